package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/acrlab/acrlab/fakes/netio"
	"github.com/acrlab/acrlab/fakes/pki"
	"github.com/acrlab/acrlab/fakes/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	loginName   = "myregistry.azurecr.io"
	storageName = "eusmanaged15.blob.core.windows.net"
	image       = loginName + "/hello-world:latest"
)

// world is a registry on loopback, and a way for a client to reach it.
type world struct {
	server *registry.Server
	reg    *registry.Registry
	cfg    registry.Config
	ca     *pki.Authority
	// unreachable names a host whose connections fail with err.
	unreachable string
	err         error
	// roots says that the client trusts the registry's authority.
	roots bool
}

func newWorld(t *testing.T, change func(*registry.Config)) *world {
	t.Helper()
	cfg := registry.Config{Name: "myregistry", LoginServer: loginName, Regions: []registry.Region{{Name: "eastus", Storage: storageName}},
		Public: registry.Access{Default: true}, Users: map[string]string{"admin": "secret"}, AnonymousPull: true}
	change(&cfg)
	reg, err := registry.New(cfg)
	require.NoError(t, err)
	ca, err := pki.New(pki.AzureSubject)
	require.NoError(t, err)
	front := registry.Front{Registry: "myregistry", Region: "eastus", Roles: map[string]registry.Role{loginName: registry.Login,
		"myregistry.eastus.data.azurecr.io": registry.Data, storageName: registry.Storage}}
	s, err := registry.Serve(t.Context(), netio.Host{}, []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, front, reg, ca)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return &world{server: s, reg: reg, cfg: cfg, ca: ca, roots: true}
}

// transport is the client's own, with names and trust of the world.
func (w *world) transport(t *testing.T) *http.Transport {
	t.Helper()
	tr := newTransport()
	tr.Proxy = nil
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if host, _, _ := net.SplitHostPort(addr); host == w.unreachable {
			return nil, w.err
		}
		return new(net.Dialer).DialContext(ctx, network, w.server.Addrs()[0].String())
	}
	tr.TLSClientConfig = &tls.Config{}
	if w.roots {
		tr.TLSClientConfig.RootCAs = w.ca.Pool()
	}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

func noDockerConfig(t *testing.T) {
	t.Helper()
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	t.Setenv("REGISTRY_AUTH_FILE", "")
	t.Setenv("XDG_RUNTIME_DIR", "")
}

func TestPullReadsEveryLayer(t *testing.T) {
	noDockerConfig(t)
	for name, data := range map[string]bool{"from the data endpoint": true, "from storage": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(c *registry.Config) { c.DataEndpoints = data })
			p, err := Fetch(t.Context(), image, Options{Transport: w.transport(t)})
			require.NoError(t, err)
			require.Equal(t, "sha256:ed203bfdc29db751d0ba2c182d7167d8e1667503310fe0a36c351d53b4495ddd", p.Digest)
			require.Len(t, p.Layers, 2)
			require.Greater(t, p.Layers[1].Size, int64(48<<10))
			require.NotZero(t, p.Config.Size)
		})
	}
}

func TestPullLogsInWithDockersConfiguration(t *testing.T) {
	noDockerConfig(t)
	w := newWorld(t, func(c *registry.Config) { c.AnonymousPull = false })
	require.ErrorContains(t, Pull(t.Context(), image, Options{Transport: w.transport(t)}), "UNAUTHORIZED: authentication required, visit https://aka.ms/acr/authorization")
	auth := base64.StdEncoding.EncodeToString([]byte("admin:secret"))
	require.NoError(t, os.WriteFile(filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json"), []byte(`{"auths":{"`+loginName+`":{"auth":"`+auth+`"}}}`), 0o600))
	require.NoError(t, Pull(t.Context(), image, Options{Transport: w.transport(t)}))
}

func TestFailuresAreToldInTheWordsOfTheNetwork(t *testing.T) {
	noDockerConfig(t)
	timeout := &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 443}, Err: os.ErrDeadlineExceeded}
	for name, tc := range map[string]struct {
		config func(*registry.Config)
		world  func(*world)
		image  string
		want   string
	}{
		"denied by network rules": {config: func(c *registry.Config) { c.Public = registry.Access{} },
			want: "DENIED: client with IP '127.0.0.1' is not allowed access. Refer https://aka.ms/acr/firewall to grant access."},
		"the login server is unreachable": {world: func(w *world) { w.unreachable, w.err = loginName, timeout },
			want: `reading the manifest: Get "https://myregistry.azurecr.io/v2/": dial tcp 192.0.2.1:443: i/o timeout`},
		"the data path is unreachable": {world: func(w *world) { w.unreachable, w.err = storageName, timeout },
			want: "dial tcp 192.0.2.1:443: i/o timeout"},
		"the authority is unknown": {world: func(w *world) { w.roots = false },
			want: "x509: certificate signed by unknown authority"},
		"the tag is unknown":   {image: loginName + "/hello-world:none", want: `MANIFEST_UNKNOWN: manifest tagged by "none" is not found`},
		"the image is no name": {image: "Hello World", want: "pulling Hello World: "},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.config == nil {
				tc.config = func(*registry.Config) {}
			}
			w := newWorld(t, tc.config)
			if tc.world != nil {
				tc.world(w)
			}
			if tc.image == "" {
				tc.image = image
			}
			err := Pull(t.Context(), tc.image, Options{Transport: w.transport(t)})
			require.ErrorContains(t, err, tc.want)
			require.NotRegexp(t, `sig=[^R]`, err.Error())
		})
	}
}

func TestAProxyThatClosesIsNamedAsSuch(t *testing.T) {
	noDockerConfig(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			// Half closed, so that unread bytes do not turn the end into a reset.
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}
	}()
	defer func() { _ = l.Close(); <-done }()
	for scheme, want := range map[string]string{"https": "proxyconnect tcp: EOF", "http": `Get "https://myregistry.azurecr.io/v2/": `} {
		tr := newTransport()
		tr.Proxy = http.ProxyURL(&url.URL{Scheme: scheme, Host: l.Addr().String()})
		t.Cleanup(tr.CloseIdleConnections)
		err := Pull(t.Context(), image, Options{Transport: tr})
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "EOF")
	}
}

func TestASilentPeerEndsWithTheTimeout(t *testing.T) {
	noDockerConfig(t)
	w := newWorld(t, func(*registry.Config) {})
	tr := w.transport(t)
	tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	err := Pull(t.Context(), image, Options{Transport: tr, Timeout: 50 * time.Millisecond})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestSignaturesOfLinksAreNotShown(t *testing.T) {
	inner := errors.New(`Get "https://h/c/d?se=2026&sig=a%2Bb%3D&sp=r": EOF and SIG=x`)
	err := redact(inner)
	require.EqualError(t, err, `Get "https://h/c/d?se=2026&sig=REDACTED&sp=r": EOF and SIG=REDACTED`)
	require.ErrorIs(t, err, inner)
	require.NoError(t, redact(nil))
}

func TestTheCommand(t *testing.T) {
	noDockerConfig(t)
	for name, tc := range map[string]struct {
		args   []string
		code   int
		stderr string
	}{
		"no image":         {nil, 2, "usage: acrlab pull"},
		"two images":       {[]string{"a", "b"}, 2, "usage: acrlab pull"},
		"an unknown flag":  {[]string{"-x"}, 2, "flag provided but not defined"},
		"no time":          {[]string{"--timeout", "0s", "a"}, 2, "usage: acrlab pull"},
		"a bad name":       {[]string{"Hello World"}, 1, "Error: pulling Hello World: "},
		"help is no error": {[]string{"-h"}, 0, "usage: acrlab pull"},
	} {
		var stdout, stderr bytes.Buffer
		require.Equal(t, tc.code, Main(tc.args, &stdout, &stderr), name)
		require.Contains(t, stderr.String(), tc.stderr, name)
		require.Empty(t, stdout.String(), name)
	}
}
