package probe

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/acrlab/acrlab/diagnoser/host"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testHost is a place whose addresses lead to servers on the loopback
// interface. Addresses that nobody serves are silent.
type testHost struct {
	t     testing.TB
	tcp   map[netip.AddrPort]string       // to a real address
	fate  map[netip.AddrPort]host.Outcome // instead of connecting
	udp   map[netip.AddrPort]string
	files map[string]string
	links map[string]string
	env   []string
	roots *x509.CertPool
	now   time.Time // zero: the real time
	v6    bool
	// quiet and closed are UDP addresses that never answer and that refuse.
	// Resolvers that nobody serves are closed, or quiet if silent is set.
	quiet, closed string
	silent        bool
	after         time.Duration // until silence is concluded

	mu    sync.Mutex
	dials map[netip.AddrPort]int
}

func (h *testHost) Connect(ctx context.Context, to netip.AddrPort, o host.ConnectOptions) (net.Conn, host.Connection) {
	h.mu.Lock()
	h.dials[to]++
	h.mu.Unlock()
	real, ok := h.tcp[to]
	outcome, fated := h.fate[to]
	switch {
	case fated && outcome != host.Silence:
		return nil, host.Connection{Outcome: outcome, Err: string(outcome)}
	case !ok:
		select {
		case <-time.After(h.after):
			return nil, host.Connection{Outcome: host.Silence, Retransmissions: 2, Err: "silence"}
		case <-ctx.Done():
			return nil, host.Connection{Outcome: host.Other, Err: ctx.Err().Error()}
		}
	}
	c, err := new(net.Dialer).DialContext(ctx, "tcp", real)
	if err != nil {
		return nil, host.Connection{Outcome: host.Reset, Err: err.Error()}
	}
	if o.MSS > 0 {
		c = &smallConn{c}
	}
	return c, host.Connection{Outcome: host.Connected}
}

// smallConn marks connections that asked for small segments.
type smallConn struct{ net.Conn }

func (h *testHost) DialUDP(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	if to.Addr().Is6() && !h.v6 {
		return nil, syscall.ENETUNREACH
	}
	real, ok := h.udp[to]
	if !ok && h.silent {
		real = h.quiet
	} else if !ok {
		real = h.closed
	}
	return new(net.Dialer).DialContext(ctx, "udp", real)
}

func (h *testHost) ReadFile(p string) ([]byte, error) {
	if s, ok := h.files[p]; ok {
		return []byte(s), nil
	}
	return nil, &os.PathError{Op: "open", Path: p, Err: os.ErrNotExist}
}

func (h *testHost) Glob(pattern string) ([]string, error) {
	var found []string
	for f := range h.files {
		if ok, err := path.Match(pattern, f); err != nil {
			return nil, err
		} else if ok {
			found = append(found, f)
		}
	}
	return found, nil
}

func (h *testHost) Readlink(p string) (string, error) {
	if s, ok := h.links[p]; ok {
		return s, nil
	}
	return "", os.ErrNotExist
}
func (h *testHost) Environ() []string { return h.env }
func (h *testHost) Run(context.Context, ...string) ([]byte, error) {
	return nil, errors.New("no programs")
}
func (h *testHost) Roots() (*x509.CertPool, error) { return h.roots, nil }
func (h *testHost) Now() time.Time {
	if h.now.IsZero() {
		return time.Now()
	}
	return h.now
}

// authority signs the certificates of a world.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, name string) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name, Organization: []string{name + " Org"}},
		NotBefore: time.Now().AddDate(-2, 0, 0), NotAfter: time.Now().AddDate(5, 0, 0), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &authority{cert, key}
}

func (a *authority) leaf(t testing.TB, from, to time.Time, names ...string) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: from, NotAfter: to, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func (a *authority) now(t testing.TB, names ...string) tls.Certificate {
	return a.leaf(t, time.Now().AddDate(0, -1, 0), time.Now().AddDate(1, 0, 0), names...)
}

const (
	login    = "myregistry.azurecr.io"
	dataName = "myregistry.eastus.data.azurecr.io"
	digest1  = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" // of {}
	sasSig   = "c2VjcmV0U2lnbmF0dXJl"
)

var (
	loginAddr   = netip.MustParseAddr("20.62.128.38")
	dataAddr    = netip.MustParseAddr("20.62.128.40")
	controlAddr = netip.MustParseAddr("20.62.128.50")
	proxyAddr   = netip.MustParseAddr("10.1.0.8")
	ownResolver = netip.MustParseAddr("10.1.0.53")
)

// world is a registry with its data endpoint, the control servers and a
// resolver, all healthy; a test breaks one thing and runs.
type world struct {
	*testHost
	ca     *authority
	zone   map[string][]string // name to records in zone file form
	rcode  map[string]int      // answers by name, instead of records
	target Target
	opt    Options

	resolvers []netip.Addr
	certs     map[netip.Addr]tls.Certificate
	handlers  map[netip.Addr]http.Handler // by address, port 443

	v2      http.HandlerFunc // GET /v2/
	token   http.HandlerFunc
	blob    http.HandlerFunc // at the data endpoint
	headers func(http.Header)
	mu      sync.Mutex
	seen    []http.Header // of requests to the data endpoint
	tokens  []string      // Authorization at the token service
}

func newWorld(t testing.TB) *world {
	w := &world{ca: newAuthority(t, "Azure"), zone: map[string][]string{}, rcode: map[string]int{}}
	w.testHost = &testHost{t: t, tcp: map[netip.AddrPort]string{}, fate: map[netip.AddrPort]host.Outcome{}, udp: map[netip.AddrPort]string{},
		files: map[string]string{"/etc/resolv.conf": "nameserver " + ownResolver.String() + "\n"},
		links: map[string]string{}, after: 50 * time.Millisecond, dials: map[netip.AddrPort]int{}, roots: w.ca.pool()}
	w.zone[login] = []string{"CNAME eus.fe.azcr.io."}
	w.zone["eus.fe.azcr.io"] = []string{"CNAME r0318eus-az.eastus.cloudapp.azure.com."}
	w.zone["r0318eus-az.eastus.cloudapp.azure.com"] = []string{"A " + loginAddr.String()}
	w.zone[dataName] = []string{"A " + dataAddr.String()}
	for _, c := range controlHosts("") {
		w.zone[c.host] = []string{"A " + controlAddr.String()}
	}
	w.resolvers = []netip.Addr{ownResolver}
	w.target = Target{Host: login, Repository: "hello", Reference: "1", Suffix: "azurecr.io"}

	w.v2 = func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		rw.Header().Set("Www-Authenticate", `Bearer realm="https://`+login+`/oauth2/token",service="`+login+`"`)
		rw.WriteHeader(401)
		fmt.Fprintln(rw, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
	}
	w.token = func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprint(rw, `{"access_token":"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln"}`)
	}
	w.blob = func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("sig") != sasSig {
			rw.Header().Set("Server", "Windows-Azure-Blob/1.0")
			rw.WriteHeader(403)
			return
		}
		fmt.Fprint(rw, "{}")
	}
	w.certs = map[netip.Addr]tls.Certificate{
		loginAddr:   w.ca.now(t, "*.azurecr.io"),
		dataAddr:    w.ca.now(t, "*.eastus.data.azurecr.io"),
		controlAddr: w.ca.now(t, "mcr.microsoft.com", "login.microsoftonline.com", "management.azure.com"),
	}
	w.handlers = map[netip.Addr]http.Handler{
		loginAddr: http.HandlerFunc(w.registry),
		dataAddr: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			w.mu.Lock()
			w.seen = append(w.seen, r.Header.Clone())
			w.mu.Unlock()
			w.blob(rw, r)
		}),
		controlAddr: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
	}
	return w
}

// up starts the servers. What they answer must not be changed any more.
func (w *world) up() *world {
	quiet, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(w.t, err)
	w.t.Cleanup(func() { quiet.Close() })
	w.quiet = quiet.LocalAddr().String()
	closed, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(w.t, err)
	w.closed = closed.LocalAddr().String()
	closed.Close()
	for _, a := range w.resolvers {
		w.dnsAt(a)
	}
	for a, h := range w.handlers {
		w.serve(a, w.certs[a], h)
	}
	return w
}

func (w *world) registry(rw http.ResponseWriter, r *http.Request) {
	if w.headers != nil {
		w.headers(rw.Header())
	}
	switch {
	case r.URL.Path == "/v2/":
		w.v2(rw, r)
	case strings.HasPrefix(r.URL.Path, "/oauth2/"):
		w.mu.Lock()
		w.tokens = append(w.tokens, r.URL.Path+" "+r.Header.Get("Authorization"))
		w.mu.Unlock()
		w.token(rw, r)
	case strings.Contains(r.URL.Path, "/manifests/"):
		body := `{"schemaVersion":2,"config":{"digest":"` + digest1 + `","size":2},"layers":[]}`
		sum := sha256.Sum256([]byte(body))
		rw.Header().Set("Docker-Content-Digest", "sha256:"+hex.EncodeToString(sum[:]))
		fmt.Fprint(rw, body)
	case strings.Contains(r.URL.Path, "/blobs/"):
		http.Redirect(rw, r, "https://"+dataName+"/c//docker/registry/v2/blobs/x?se=2030&sig="+sasSig+"&sp=r", http.StatusTemporaryRedirect)
	default:
		http.NotFound(rw, r)
	}
}

func (w *world) serve(at netip.Addr, cert tls.Certificate, h http.Handler) {
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // clients here break handshakes off
	s.StartTLS()
	w.t.Cleanup(s.Close)
	w.tcp[netip.AddrPortFrom(at, 443)] = s.Listener.Addr().String()
}

// raw puts a listener at an address whose connections f handles.
func (w *world) raw(at netip.AddrPort, f func(net.Conn)) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(w.t, err)
	var open sync.WaitGroup
	var mu sync.Mutex
	conns := map[net.Conn]bool{}
	open.Add(1)
	go func() {
		defer open.Done()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns[c] = true
			mu.Unlock()
			open.Add(1)
			go func() {
				defer open.Done()
				f(c)
				mu.Lock()
				delete(conns, c)
				mu.Unlock()
				c.Close()
			}()
		}
	}()
	w.t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range conns {
			c.Close()
		}
		mu.Unlock()
		open.Wait()
	})
	w.tcp[at] = l.Addr().String()
}

// dnsAt serves the zone at an address, port 53, by UDP and TCP.
func (w *world) dnsAt(at netip.Addr) {
	w.dnsServe(at, dns.HandlerFunc(w.answer))
}

func (w *world) dnsServe(at netip.Addr, h dns.Handler) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(w.t, err)
	started := make(chan struct{})
	s := &dns.Server{PacketConn: pc, Handler: h, NotifyStartedFunc: func() { close(started) }}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.ActivateAndServe() }()
	<-started
	w.t.Cleanup(func() { s.Shutdown(); <-done })
	w.udp[netip.AddrPortFrom(at, 53)] = pc.LocalAddr().String()
}

func (w *world) answer(rw dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg)
	m.SetReply(q)
	name := q.Question[0].Name
	for range 8 {
		if code, ok := w.rcode[plain(name)]; ok {
			m.Rcode = code
			break
		}
		records, ok := w.zone[plain(name)]
		if !ok {
			m.Rcode = dns.RcodeNameError
			break
		}
		next := ""
		for _, text := range records {
			rr, err := dns.NewRR(name + " 10 IN " + text)
			if err != nil {
				panic(err)
			}
			if c, ok := rr.(*dns.CNAME); ok {
				next = c.Target
				m.Answer = append(m.Answer, rr)
			} else if rr.Header().Rrtype == q.Question[0].Qtype {
				m.Answer = append(m.Answer, rr)
			}
		}
		if next == "" {
			break
		}
		name = next
	}
	rw.WriteMsg(m)
}

func (w *world) run() *Report {
	w.t.Helper()
	w.up()
	return Run(w.t.Context(), w, w.target, w.opt)
}

// path finds the one path of a kind.
func onePath(t *testing.T, r *Report, role EndpointRole, via Via) Path {
	t.Helper()
	var found []Path
	for _, p := range append(r.Paths, r.Control...) {
		if p.Role == role && p.Via == via {
			found = append(found, p)
		}
	}
	require.Len(t, found, 1, "paths to %s by %s", role, via)
	return found[0]
}

func addr443(a netip.Addr) netip.AddrPort { return netip.AddrPortFrom(a, 443) }

func pemOf(a *authority) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}
