package middlebox

import (
	"bufio"
	"bytes"
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
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/acrlab/acrlab/fakes/netio"
	"github.com/acrlab/acrlab/fakes/pki"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const registryName = "myregistry.azurecr.io"

// world is a client, a middlebox and a TLS server of Azure's authority.
type world struct {
	azure, corp *pki.Authority
	box         *Server
	at          string
	server      *httptest.Server
}

func newWorld(t *testing.T, cfg Config) *world {
	t.Helper()
	w := &world{}
	var err error
	w.azure, err = pki.New(pki.AzureSubject)
	require.NoError(t, err)
	w.corp, err = pki.New(pki.CorpSubject)
	require.NoError(t, err)
	leaf, err := w.azure.Leaf("*.azurecr.io", "127.0.0.1")
	require.NoError(t, err)
	w.server = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(rw, r.Proto)
	}))
	w.server.TLS = &tls.Config{Certificates: []tls.Certificate{*leaf}}
	w.server.EnableHTTP2 = true
	w.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	w.server.StartTLS()
	to := netip.MustParseAddrPort(w.server.Listener.Addr().String())
	w.box, err = Serve(t.Context(), netio.Host{}, []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, cfg, w.corp, w.azure.Pool(),
		WithOriginalDestination(func(net.Conn) (netip.AddrPort, error) { return to, nil }))
	require.NoError(t, err)
	w.at = w.box.Addrs()[0].String()
	t.Cleanup(func() {
		require.NoError(t, w.box.Close())
		w.server.Close()
	})
	return w
}

// get makes an HTTPS request for name through the box.
func (w *world) get(t *testing.T, name string, roots *x509.CertPool) (body string, issuer string, err error) {
	t.Helper()
	tr := &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, w.at)
		},
	}
	defer tr.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+name+"/", nil)
	require.NoError(t, err)
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return "", "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), resp.TLS.PeerCertificates[0].Issuer.CommonName, err
}

func TestNamesDecide(t *testing.T) {
	tests := map[string]struct {
		cfg  Config
		name string
		ok   bool
	}{
		"without a rule all pass":                          {Config{}, registryName, true},
		"a blocked name is reset":                          {Config{Block: []string{"*.azurecr.io"}}, registryName, false},
		"another passes":                                   {Config{Block: []string{"*.blob.core.windows.net"}}, registryName, true},
		"an allowed name passes":                           {Config{Allow: []string{registryName}}, registryName, true},
		"what is not allowed is reset":                     {Config{Allow: []string{"mcr.microsoft.com"}}, registryName, false},
		"block comes before allow":                         {Config{Allow: []string{"*.azurecr.io"}, Block: []string{registryName}}, registryName, false},
		"none is allowed":                                  {Config{AllowNone: true}, registryName, false},
		"without a name it passes where names are blocked": {Config{Block: []string{registryName}}, "127.0.0.1", true},
		"and not where names are required":                 {Config{Allow: []string{registryName}}, "127.0.0.1", false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tc.cfg)
			body, issuer, err := w.get(t, tc.name, w.azure.Pool())
			if !tc.ok {
				require.ErrorIs(t, err, syscall.ECONNRESET)
				return
			}
			require.NoError(t, err)
			require.Equal(t, "HTTP/2.0", body)
			require.Equal(t, pki.AzureSubject.CommonName, issuer)
		})
	}
}

func TestCloseIsEOFBeforeAnyByte(t *testing.T) {
	w := newWorld(t, Config{AllowNone: true, Action: Close})
	_, _, err := w.get(t, registryName, w.azure.Pool())
	require.ErrorIs(t, err, io.EOF)
}

func TestSilenceLastsUntilTheBoxCloses(t *testing.T) {
	w := newWorld(t, Config{AllowNone: true, Action: Silence})
	c, err := net.Dial("tcp", w.at)
	require.NoError(t, err)
	defer c.Close()
	done := make(chan error, 1)
	go func() {
		done <- tls.Client(c, &tls.Config{ServerName: registryName, RootCAs: w.azure.Pool()}).Handshake()
	}()
	select {
	case err := <-done:
		t.Fatalf("answered: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	require.NoError(t, w.box.Close())
	require.Error(t, <-done)
}

func TestInspection(t *testing.T) {
	w := newWorld(t, Config{Inspect: true, Exempt: []string{"exempt.azurecr.io"}})
	_, _, err := w.get(t, registryName, w.azure.Pool())
	var unknown x509.UnknownAuthorityError
	require.ErrorAs(t, err, &unknown)

	body, issuer, err := w.get(t, registryName, w.corp.Pool())
	require.NoError(t, err)
	require.Equal(t, pki.CorpSubject.CommonName, issuer)
	require.Equal(t, "HTTP/2.0", body, "the server's protocol is offered to the client")

	_, issuer, err = w.get(t, "exempt.azurecr.io", w.azure.Pool())
	require.NoError(t, err)
	require.Equal(t, pki.AzureSubject.CommonName, issuer)
}

func TestInspectionDoesNotHideAnUntrustedServer(t *testing.T) {
	w := newWorld(t, Config{Inspect: true})
	_, _, err := w.get(t, "other.example", w.corp.Pool())
	require.Error(t, err, "the server's certificate is not for this name")
}

func TestPlainHTTP(t *testing.T) {
	page := &Page{Status: 470, Body: "Action: Deny. Reason: No rule matched. Proceeding with default action."}
	w := newWorld(t, Config{PlainHTTP: page})
	c, err := net.Dial("tcp", w.at)
	require.NoError(t, err)
	defer c.Close()
	_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: myregistry.azurecr.io\r\n\r\n")
	require.NoError(t, err)
	got, err := io.ReadAll(c)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(got), "HTTP/1.1 470 status code 470\r\n"), string(got))
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(got)), nil)
	require.NoError(t, err)
	require.Equal(t, "text/plain; charset=utf-8", resp.Header.Get("Content-Type"))
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, page.Body, string(body))
}

func TestOtherProtocolsHaveNoName(t *testing.T) {
	w := newWorld(t, Config{Allow: []string{registryName}})
	c, err := net.Dial("tcp", w.at)
	require.NoError(t, err)
	defer c.Close()
	_, err = io.WriteString(c, "GET / HTTP/1.1\r\n\r\n")
	require.NoError(t, err)
	_, err = c.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

func TestUpdateAppliesToNewConnections(t *testing.T) {
	w := newWorld(t, Config{AllowNone: true})
	_, _, err := w.get(t, registryName, w.azure.Pool())
	require.Error(t, err)
	require.NoError(t, w.box.Update(Config{}))
	_, _, err = w.get(t, registryName, w.azure.Pool())
	require.NoError(t, err)
	require.ErrorContains(t, w.box.Update(Config{Action: "drop"}), `action "drop"`)
}

func TestDirectConnectionsReachNobody(t *testing.T) {
	w := newWorld(t, Config{})
	box, err := Serve(t.Context(), netio.Host{}, []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Config{}, w.corp, w.azure.Pool(),
		WithOriginalDestination(func(net.Conn) (netip.AddrPort, error) { return netip.AddrPort{}, errors.New("not redirected") }))
	require.NoError(t, err)
	defer box.Close()
	c, err := net.Dial("tcp", box.Addrs()[0].String())
	if err == nil { // else the reset was faster than Dial
		defer c.Close()
		_, err = c.Read(make([]byte, 1))
	}
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

func FuzzReadServerName(f *testing.F) {
	f.Add([]byte{22, 3, 1, 0, 5, 1, 0, 0, 1, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		name, raw, err := ReadServerName(bytes.NewReader(in))
		if !bytes.HasPrefix(in, raw) || err != nil && name != "" {
			t.Fatalf("%q %v", name, err)
		}
	})
}
