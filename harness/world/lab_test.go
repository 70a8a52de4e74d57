package world_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/acrlab/acrlab/harness/fabric"
	"github.com/acrlab/acrlab/harness/fabric/netns"
	"github.com/acrlab/acrlab/harness/plan"
	"github.com/acrlab/acrlab/harness/service"
	"github.com/acrlab/acrlab/harness/topology"
	"github.com/acrlab/acrlab/harness/world"
	"github.com/acrlab/acrlab/internal/program"
)

// acrlab is the path of the program, which pulls.
var acrlab string

func TestMain(m *testing.M) { os.Exit(netns.RunTests(withProgram{m})) }

type withProgram struct{ m *testing.M }

func (w withProgram) Run() int {
	return program.Main(func(path string) int {
		acrlab = path
		code := w.m.Run()
		if err := goleak.Find(); code == 0 && err != nil {
			fmt.Fprintln(os.Stderr, "worlds left something behind:", err)
			return 1
		}
		return code
	})
}

func namespaces(set *service.Set) fabric.Driver {
	return &netns.Driver{Services: set, Authorities: set}
}

func base(t testing.TB, name string) topology.Topology {
	t.Helper()
	top, err := topology.Base(name)
	require.NoError(t, err)
	return top.WithDefaults()
}

// lab is a world with somebody at its client host. What it sends are packets
// of that host.
type lab struct {
	*world.World
	http  *http.Client
	token string
}

func open(t testing.TB, top topology.Topology, o world.Options) *lab {
	t.Helper()
	return openOn(t, namespaces, top, o)
}

func openOn(t testing.TB, f world.Fabric, top topology.Topology, o world.Options) *lab {
	t.Helper()
	netns.Require(t)
	w, err := world.OpenWith(t.Context(), f, top, o)
	require.NoError(t, err)
	l := &lab{World: w}
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(w.Trust("client")))
	l.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DialContext: l.dial}}
	t.Cleanup(func() {
		l.http.CloseIdleConnections()
		require.NoError(t, w.Close())
		require.NoError(t, w.Close(), "closing twice does no harm")
	})
	return l
}

// dial connects to a name as a program on the client host does.
func (l *lab) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	ip, err := l.lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	return l.Dial(ctx, "client", network, net.JoinHostPort(ip, port))
}

// lookup asks the client's name server.
func (l *lab) lookup(ctx context.Context, name string) (string, error) {
	n := l.Network()
	i := slices.IndexFunc(n.Hosts, func(h plan.Host) bool { return h.Name == n.Client })
	_, rest, _ := strings.Cut(n.Hosts[i].Files["/etc/resolv.conf"], "nameserver ")
	server, _, _ := strings.Cut(rest, "\n")
	conn, err := l.Dial(ctx, "client", "udp", net.JoinHostPort(server, "53"))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	q := new(mdns.Msg)
	q.SetQuestion(mdns.Fqdn(name), mdns.TypeA)
	r, _, err := new(mdns.Client).ExchangeWithConnContext(ctx, q, &mdns.Conn{Conn: conn})
	if err != nil {
		return "", err
	}
	for _, rr := range r.Answer {
		if a, ok := rr.(*mdns.A); ok {
			return a.A.String(), nil
		}
	}
	return mdns.RcodeToString[r.Rcode], nil
}

// signIn gets a token as az login --service-principal does.
func (l *lab) signIn(t testing.TB) {
	t.Helper()
	c := l.AzureCredentials()
	resp, err := l.http.PostForm("https://login.microsoftonline.com/"+c["AZURE_TENANT_ID"]+"/oauth2/v2.0/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {c["AZURE_CLIENT_ID"]}, "client_secret": {c["AZURE_CLIENT_SECRET"]},
		"scope": {"https://management.azure.com/.default"},
	})
	require.NoError(t, err)
	defer resp.Body.Close()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
	require.NotEmpty(t, answer.AccessToken)
	l.token = answer.AccessToken
}

// arm sends a request to Azure Resource Manager.
func (l *lab) arm(ctx context.Context, method, id, body string) (status int, answer string, err error) {
	version := "2024-05-01"
	for part, v := range map[string]string{"Microsoft.ContainerRegistry": "2023-07-01", "privateDnsZones": "2024-06-01"} {
		if strings.Contains(id, part) {
			version = v
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, "https://management.azure.com"+id+"?api-version="+version, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Authorization", "Bearer "+l.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := l.http.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(raw), err
}

// write is one that must succeed.
func (l *lab) write(t testing.TB, method, id, body string) {
	t.Helper()
	status, answer, err := l.arm(t.Context(), method, id, body)
	require.NoError(t, err)
	require.Less(t, status, 300, "%s %s: %s", method, id, answer)
	require.NoError(t, l.Err())
}

// pull runs the client that scenarios pull with.
func (l *lab) pull(t testing.TB) (code int, output string) {
	t.Helper()
	var out bytes.Buffer
	cmd := &fabric.Command{Args: []string{acrlab, "pull", "--timeout", "20s", l.Image()}, Stdout: &out, Stderr: &out}
	require.NoError(t, l.Run(t.Context(), "client", cmd))
	return cmd.ExitCode, out.String()
}

// check is what somebody at the client host sees.
type check func(t *testing.T, l *lab)

func resolves(name, to string) check {
	return func(t *testing.T, l *lab) {
		t.Helper()
		got, err := l.lookup(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, to, got)
	}
}

func connects(to string) check {
	return func(t *testing.T, l *lab) {
		t.Helper()
		conn, err := l.Dial(t.Context(), "client", "tcp", to)
		require.NoError(t, err)
		require.NoError(t, conn.Close())
	}
}

// silent is that packets are dropped: nothing comes back for longer than
// anything takes here.
func silent(to string) check {
	return func(t *testing.T, l *lab) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
		defer cancel()
		conn, err := l.Dial(ctx, "client", "tcp", to)
		if err == nil {
			_ = conn.Close()
		}
		var late net.Error
		require.ErrorAs(t, err, &late)
		require.True(t, late.Timeout(), err)
	}
}

func pulls(t *testing.T, l *lab) {
	t.Helper()
	code, out := l.pull(t)
	require.Zero(t, code, out)
}

func pullSays(words string) check {
	return func(t *testing.T, l *lab) {
		t.Helper()
		code, out := l.pull(t)
		require.NotZero(t, code, out)
		require.Regexp(t, words, out)
	}
}

// follows waits for a write that was answered first. Connections of before are
// of no more use.
func follows(t *testing.T, l *lab) {
	t.Helper()
	require.NoError(t, l.Settle(t.Context()))
	l.http.CloseIdleConnections()
}

func all(checks ...check) check {
	return func(t *testing.T, l *lab) {
		t.Helper()
		for _, c := range checks {
			c(t, l)
		}
	}
}

// consistent is that the network is the one that follows from Azure's state.
func consistent(t *testing.T, l *lab, top topology.Topology) {
	t.Helper()
	require.NoError(t, l.Settle(t.Context()))
	require.NoError(t, l.Err())
	want, err := plan.Make(plan.InputOf(l.Azure().Snapshot(), top))
	require.NoError(t, err)
	a, err := json.Marshal(want)
	require.NoError(t, err)
	b, err := json.Marshal(l.Network())
	require.NoError(t, err)
	require.JSONEq(t, string(a), string(b))
}

func addr(ip string) string { return netip.AddrPortFrom(netip.MustParseAddr(ip), 443).String() }
