package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/acrlab/acrlab/fakes/dns"
	"github.com/acrlab/acrlab/fakes/netio"
	"github.com/acrlab/acrlab/fakes/pki"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const registryName = "myregistry.azurecr.io"

var anyPort = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}

// world is a proxy, the resolver that it asks and a TLS server.
type world struct {
	azure, corp *pki.Authority
	proxy       *Server
	at          string
	port        string // of the server
	resolver    *dns.Server
}

func newWorld(t *testing.T, cfg Config) *world {
	t.Helper()
	w := &world{}
	var err error
	w.azure, err = pki.New(pki.AzureSubject)
	require.NoError(t, err)
	w.corp, err = pki.New(pki.CorpSubject)
	require.NoError(t, err)
	leaf, err := w.azure.Leaf("*.azurecr.io")
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(rw, r.Proto) }))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{*leaf}}
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	_, w.port, err = net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	w.resolver, err = dns.Serve(t.Context(), netio.Host{}, anyPort, dns.Config{Records: []dns.Record{
		{Name: registryName, TTL: 60, CNAME: "r0318eus-az.eastus.cloudapp.azure.com"},
		{Name: "r0318eus-az.eastus.cloudapp.azure.com", TTL: 10, A: netip.MustParseAddr("127.0.0.1")},
		{Name: "exempt.azurecr.io", TTL: 10, A: netip.MustParseAddr("127.0.0.1")},
	}})
	require.NoError(t, err)
	if !cfg.Resolver.IsValid() {
		cfg.Resolver = w.resolver.Addrs()[0]
	}
	w.proxy, err = Serve(t.Context(), netio.Host{}, anyPort, cfg, w.corp, w.azure.Pool())
	require.NoError(t, err)
	w.at = w.proxy.Addrs()[0].String()
	t.Cleanup(func() {
		require.NoError(t, w.proxy.Close())
		require.NoError(t, w.resolver.Close())
		server.Close()
	})
	return w
}

// get makes an HTTPS request through the proxy, with the client of Go programs
// (crane, containerd, docker).
func (w *world) get(t *testing.T, name, scheme string, roots *x509.CertPool) (*http.Response, string, error) {
	t.Helper()
	tr := &http.Transport{
		ForceAttemptHTTP2: true,
		Proxy:             http.ProxyURL(&url.URL{Scheme: scheme, Host: w.at}),
		TLSClientConfig:   &tls.Config{RootCAs: roots},
	}
	defer tr.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+net.JoinHostPort(name, w.port)+"/v2/", nil)
	require.NoError(t, err)
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

// connect sends one CONNECT and reads the answer.
func (w *world) connect(t *testing.T, target string) (net.Conn, *http.Response) {
	t.Helper()
	c, err := net.Dial("tcp", w.at)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	_, err = io.WriteString(c, "CONNECT "+target+" HTTP/1.1\r\nHost: "+target+"\r\n\r\n")
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: http.MethodConnect})
	require.NoError(t, err)
	return c, resp
}

func TestTunnelCarriesTLSUntouched(t *testing.T) {
	w := newWorld(t, Config{})
	resp, body, err := w.get(t, registryName, "http", w.azure.Pool())
	require.NoError(t, err)
	require.Equal(t, "HTTP/2.0", body)
	require.Equal(t, pki.AzureSubject.CommonName, resp.TLS.PeerCertificates[0].Issuer.CommonName)
}

// What clients print, measured with real ones (docs/fidelity.md).
func TestWhatGoClientsSay(t *testing.T) {
	tests := map[string]struct {
		cfg    Config
		scheme string
		name   string
		want   string
	}{
		"a denied name":                     {Config{Deny: []string{"*.azurecr.io"}}, "http", registryName, "Forbidden"},
		"a name that is not allowed":        {Config{Allow: []string{"mcr.microsoft.com"}}, "http", registryName, "Forbidden"},
		"no credentials":                    {Config{Authenticate: true}, "http", registryName, "Proxy Authentication Required"},
		"a closed connection":               {Config{Behaviour: Close}, "http", registryName, "EOF"},
		"a name that the proxy cannot find": {Config{}, "http", "other.azurecr.io", "Service Unavailable"},
		"https:// for a proxy in cleartext": {Config{}, "https", registryName, "proxyconnect tcp: EOF"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tc.cfg)
			_, _, err := w.get(t, tc.name, tc.scheme, w.azure.Pool())
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestAnonymousNamesNeedNoCredentials(t *testing.T) {
	w := newWorld(t, Config{Authenticate: true, Anonymous: []string{"*.azurecr.io"}})
	_, _, err := w.get(t, registryName, "http", w.azure.Pool())
	require.NoError(t, err)
}

func TestRefusalsLookLikeSquid(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := gone.Addr().String()
	require.NoError(t, gone.Close())
	tests := map[string]struct {
		cfg    Config
		target string
		status int
		code   string
	}{
		"denied":          {Config{Deny: []string{registryName}}, registryName + ":443", 403, "ERR_ACCESS_DENIED 0"},
		"unauthenticated": {Config{Authenticate: true}, registryName + ":443", 407, "ERR_CACHE_ACCESS_DENIED 0"},
		"unknown name":    {Config{}, "nowhere.example:443", 503, "ERR_DNS_FAIL 0"},
		"refused":         {Config{}, closed, 503, "ERR_CONNECT_FAIL 111"},
		"no port":         {Config{}, registryName, 400, "ERR_INVALID_REQ 0"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tc.cfg)
			_, resp := w.connect(t, tc.target)
			require.Equal(t, tc.status, resp.StatusCode)
			require.Equal(t, tc.code, resp.Header.Get("X-Squid-Error"))
			require.Equal(t, "squid/5.7", resp.Header.Get("Server"))
			require.Contains(t, resp.Header.Get("Via"), "squid")
			require.Contains(t, resp.Header.Get("Content-Type"), "text/html")
			require.Empty(t, resp.Header.Get("Docker-Distribution-Api-Version"))
			if tc.status == http.StatusProxyAuthRequired {
				require.Equal(t, `Basic realm="`+realm+`"`, resp.Header.Get("Proxy-Authenticate"))
			}
		})
	}
}

// A browser's second try, with credentials, comes on the same connection.
func TestConnectionSurvivesADemandForCredentials(t *testing.T) {
	w := newWorld(t, Config{Authenticate: true, Anonymous: []string{registryName}})
	c, err := net.Dial("tcp", w.at)
	require.NoError(t, err)
	defer c.Close()
	in := bufio.NewReader(c)
	for _, step := range []struct {
		target string
		want   int
	}{{"mcr.microsoft.com:443", 407}, {registryName + ":" + w.port, 200}} {
		_, err = io.WriteString(c, "CONNECT "+step.target+" HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		req := &http.Request{Method: http.MethodConnect}
		if step.want != 200 {
			req.Method = http.MethodGet // else ReadResponse leaves the body unread
		}
		resp, err := http.ReadResponse(in, req)
		require.NoError(t, err)
		require.Equal(t, step.want, resp.StatusCode)
		if step.want != 200 {
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
		}
	}
}

func TestSilenceLastsUntilTheProxyCloses(t *testing.T) {
	w := newWorld(t, Config{Behaviour: Silence})
	c, err := net.Dial("tcp", w.at)
	require.NoError(t, err)
	defer c.Close()
	_, err = io.WriteString(c, "CONNECT "+registryName+":443 HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
	_, err = c.Read(make([]byte, 1))
	var ne net.Error
	require.True(t, errors.As(err, &ne) && ne.Timeout(), "%v", err)
	require.NoError(t, c.SetReadDeadline(time.Time{}))
	require.NoError(t, w.proxy.Close())
	_, err = c.Read(make([]byte, 1))
	require.Error(t, err)
}

func TestInspection(t *testing.T) {
	w := newWorld(t, Config{Inspect: true, Exempt: []string{"exempt.azurecr.io"}})
	_, _, err := w.get(t, registryName, "http", w.azure.Pool())
	var unknown x509.UnknownAuthorityError
	require.ErrorAs(t, err, &unknown)

	resp, body, err := w.get(t, registryName, "http", w.corp.Pool())
	require.NoError(t, err)
	require.Equal(t, pki.CorpSubject.CommonName, resp.TLS.PeerCertificates[0].Issuer.CommonName)
	require.Equal(t, "HTTP/2.0", body)

	resp, _, err = w.get(t, "exempt.azurecr.io", "http", w.azure.Pool())
	require.NoError(t, err)
	require.Equal(t, pki.AzureSubject.CommonName, resp.TLS.PeerCertificates[0].Issuer.CommonName)
}

func TestTunnelPassesOnHalfCloses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		b, _ := io.ReadAll(c)
		_, _ = c.Write(append([]byte("got "), b...))
	}()
	w := newWorld(t, Config{})
	c, resp := w.connect(t, l.Addr().String())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	_, err = io.WriteString(c, "all")
	require.NoError(t, err)
	require.NoError(t, c.(*net.TCPConn).CloseWrite())
	got, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Equal(t, "got all", string(got))
}

func TestCleartextRequestsAreForwarded(t *testing.T) {
	var seen http.Header
	origin := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		seen = r.Header.Clone()
		b, _ := io.ReadAll(r.Body)
		_, _ = rw.Write(append([]byte(r.URL.Path+" "), b...))
	}))
	defer origin.Close()
	w := newWorld(t, Config{Deny: []string{"denied.example"}})
	tr := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: w.at})}
	defer tr.CloseIdleConnections()
	// The client's own rules never send loopback addresses to a proxy that the
	// environment names; ProxyURL does.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, origin.URL+"/path", io.NopCloser(io.LimitReader(zeros{}, 3)))
	require.NoError(t, err)
	req.ContentLength = 3
	resp, err := tr.RoundTrip(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "/path 000", string(b))
	require.Contains(t, seen.Get("Via"), "squid")

	req, err = http.NewRequestWithContext(t.Context(), http.MethodGet, "http://denied.example/", nil)
	require.NoError(t, err)
	resp, err = tr.RoundTrip(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusForbidden, resp.StatusCode)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

func TestMalformedRequests(t *testing.T) {
	w := newWorld(t, Config{})
	for name, in := range map[string]string{
		"not HTTP":          "hello\r\n\r\n",
		"origin form":       "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"port out of range": "CONNECT a.example:99999 HTTP/1.1\r\nHost: x\r\n\r\n",
		"an endless head":   "GET http://x/ HTTP/1.1\r\nA: " + string(make([]byte, maxHead)),
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", w.at)
			require.NoError(t, err)
			defer c.Close()
			_, err = io.WriteString(c, in)
			require.NoError(t, err)
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, http.StatusBadRequest, resp.StatusCode)
		})
	}
}
