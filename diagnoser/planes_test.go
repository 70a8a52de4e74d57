package diagnoser

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/diagnoser/host"
	"github.com/acrlab/acrlab/diagnosis"
)

const registryName = "myregistry.azurecr.io"

// place is a host on which every name leads to one server on the loopback
// interface, which answers by the name that is asked.
type place struct {
	server, resolver string
	roots            *x509.CertPool
	files            map[string]string
	credentials      bool
}

func (p *place) Connect(ctx context.Context, _ netip.AddrPort, _ host.ConnectOptions) (net.Conn, host.Connection) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", p.server)
	if err != nil {
		return nil, host.Connection{Outcome: host.Other, Err: err.Error()}
	}
	return c, host.Connection{Outcome: host.Connected}
}

func (p *place) DialUDP(ctx context.Context, _ netip.AddrPort) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "udp", p.resolver)
}

func (p *place) ReadFile(name string) ([]byte, error) {
	if s, ok := p.files[name]; ok {
		return []byte(s), nil
	}
	return nil, &os.PathError{Op: "open", Path: name, Err: os.ErrPermission}
}

func (p *place) Environ() []string {
	if !p.credentials {
		return nil
	}
	return []string{"AZURE_TENANT_ID=11111111-1111-1111-1111-111111111111", "AZURE_CLIENT_ID=22222222-2222-2222-2222-222222222222",
		"AZURE_CLIENT_SECRET=secret-value", "AZURE_SUBSCRIPTION_ID=33333333-3333-3333-3333-333333333333"}
}

func (p *place) Glob(string) ([]string, error)   { return nil, nil }
func (p *place) Readlink(string) (string, error) { return "", os.ErrPermission }
func (p *place) Run(context.Context, ...string) ([]byte, error) {
	return nil, errors.New("no programs here")
}
func (p *place) Roots() (*x509.CertPool, error) { return p.roots, nil }
func (p *place) Now() time.Time                 { return time.Now() }

// standing serves every name by its handler; names without one answer 404.
func standing(t *testing.T, handlers map[string]http.HandlerFunc) *place {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		Subject: pkix.Name{CommonName: "Microsoft Azure RSA TLS Issuing CA", Organization: []string{"Microsoft Corporation"}},
		IsCA:    true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		DNSNames: []string{"*.azurecr.io", "*.eastus.data.azurecr.io", "*.microsoft.com", "*.microsoftonline.com", "*.azure.com"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(cert)

	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, _, _ := strings.Cut(r.Host, ":")
		if f := handlers[name]; f != nil {
			f(w, r)
			return
		}
		http.NotFound(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.StartTLS()
	t.Cleanup(server.Close)

	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	names := &dns.Server{PacketConn: udp, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		a := new(dns.Msg)
		a.SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			a.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 10}, A: net.IPv4(20, 62, 128, 38)}}
		}
		_ = w.WriteMsg(a)
	})}
	go func() { _ = names.ActivateAndServe() }()
	t.Cleanup(func() { _ = names.Shutdown() })
	return &place{server: server.Listener.Addr().String(), resolver: udp.LocalAddr().String(), roots: roots,
		files: map[string]string{"/etc/resolv.conf": "nameserver 192.0.2.53\n"}, credentials: true}
}

func challenge(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/oauth2/") {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Www-Authenticate", `Bearer realm="https://`+registryName+`/oauth2/token",service="`+registryName+`"`)
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = io.WriteString(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
}

func status(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

func stall(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func endless(w http.ResponseWriter, r *http.Request) {
	chunk := strings.Repeat(" ", 64<<10)
	for r.Context().Err() == nil {
		if _, err := io.WriteString(w, chunk); err != nil {
			return
		}
	}
}

func token(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/token") {
		base := "https://login.microsoftonline.com/11111111-1111-1111-1111-111111111111"
		_, _ = io.WriteString(w, `{"token_endpoint":"`+base+`/oauth2/v2.0/token","authorization_endpoint":"`+base+`/authorize","issuer":"`+base+`/v2.0"}`)
		return
	}
	_, _ = io.WriteString(w, `{"token_type":"Bearer","expires_in":3600,"access_token":"e30.eyJ0aWQiOiIxMTExIn0.c2ln"}`)
}

func TestABrokenPlaneStopsNoOther(t *testing.T) {
	entra, manager := "login.microsoftonline.com", "management.azure.com"
	garbage := status(http.StatusOK, "<html>Sign in</html>")
	for name, handlers := range map[string]map[string]http.HandlerFunc{
		"Entra answers with a page":      {entra: garbage},
		"Entra fails":                    {entra: status(http.StatusInternalServerError, "oops")},
		"Entra is silent":                {entra: stall},
		"Entra never ends":               {entra: endless},
		"management forbids":             {entra: token, manager: status(http.StatusForbidden, `{"error":{"code":"AuthorizationFailed","message":"no"}}`)},
		"management fails":               {entra: token, manager: status(http.StatusInternalServerError, "oops")},
		"management answers with a page": {entra: token, manager: garbage},
		"management answers with a list": {entra: token, manager: status(http.StatusOK, `[1,2]`)},
		"management is silent":           {entra: token, manager: stall},
		"management never ends":          {entra: token, manager: endless},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handlers[registryName] = challenge
			p := standing(t, handlers)
			d, err := Diagnose(t.Context(), p, registryName+"/app:1", Options{Timeout: 3 * time.Second})
			require.NoError(t, err)
			require.NoError(t, diagnosis.Validate(d))
			require.Equal(t, 2, ExitCode(d), "the registry answers and no token was had: %+v", d.Findings)
			require.NotEmpty(t, d.NotChecked)
			require.Contains(t, checks(d), "manifest and layers", "the registry's plane was walked to its end")
			var text strings.Builder
			require.NoError(t, WriteText(&text, d, false))
			require.NotContains(t, text.String(), "secret-value")
			require.NotContains(t, text.String(), "0x", "no address of an object")
		})
	}
}

func checks(d *diagnosis.Diagnosis) []string {
	var out []string
	for _, o := range d.NotChecked {
		out = append(out, o.Check)
	}
	return out
}

func TestARegistryThatAnswersNonsenseIsUndecidedOrBlamed(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"a page":          status(http.StatusOK, "<html>Welcome to the hotel</html>"),
		"invalid JSON":    status(http.StatusForbidden, `{"errors":[`),
		"a redirect loop": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) },
		"a body no end":   endless,
		"silence":         stall,
		"a huge header":   func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Fill", strings.Repeat("x", 1<<20)) },
		"a huge challenge": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Www-Authenticate", "Bearer "+strings.Repeat(`a="b",`, 5000))
			w.WriteHeader(http.StatusUnauthorized)
		},
		"a challenge for another host": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Www-Authenticate", `Bearer realm="https://evil.example/token",service="evil.example"`)
			w.WriteHeader(http.StatusUnauthorized)
		},
		"too many requests": status(http.StatusTooManyRequests, ""),
		"not found":         status(http.StatusNotFound, "nothing"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := standing(t, map[string]http.HandlerFunc{registryName: answer})
			p.credentials = false
			d, err := Diagnose(t.Context(), p, registryName+"/app:1", Options{Timeout: 5 * time.Second, WithoutAzure: true})
			require.NoError(t, err)
			require.NoError(t, diagnosis.Validate(d))
			require.False(t, d.Healthy)
			require.NotZero(t, ExitCode(d))
			if len(d.Findings) == 0 {
				require.NotEmpty(t, d.NotChecked, "an undecided diagnosis says what it does not know")
			}
			for _, f := range d.Findings {
				require.NotContains(t, []diagnosis.Cause{diagnosis.RegistryIPRule, diagnosis.PublicAccessDisabled}, f.Cause, "nonsense is no denial of the registry's")
			}
		})
	}
}

func TestAPlaceWithoutReadableFilesIsDiagnosed(t *testing.T) {
	p := standing(t, map[string]http.HandlerFunc{registryName: challenge})
	p.files, p.credentials = nil, false
	d, err := Diagnose(t.Context(), p, registryName+"/app:1", Options{Timeout: 5 * time.Second, WithoutAzure: true})
	require.NoError(t, err)
	require.NoError(t, diagnosis.Validate(d))
	require.False(t, d.Healthy)
	require.NotEmpty(t, d.NotChecked)
}

func TestAnEndlessAnswerOfAzureIsCutOff(t *testing.T) {
	p := standing(t, map[string]http.HandlerFunc{"management.azure.com": endless})
	tr, err := newTransport(p)
	require.NoError(t, err)
	defer tr.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://management.azure.com/", nil)
	require.NoError(t, err)
	resp, err := tr.RoundTrip(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer+1))
	require.ErrorContains(t, err, "longer than")
	require.EqualValues(t, maxAnswer, n)
}
