package registry

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/fakes/netio"
	"github.com/acrlab/acrlab/fakes/pki"
)

const (
	loginName   = "myregistry.azurecr.io"
	dataName    = "myregistry.eastus.data.azurecr.io"
	storageName = "eusmanaged15.blob.core.windows.net"
)

// testConfig is a public registry with one user and data endpoints.
func testConfig() Config {
	return Config{
		Name: "myregistry", LoginServer: loginName,
		Regions:       []Region{{Name: "eastus", Storage: storageName}},
		DataEndpoints: true,
		Public:        Access{Default: true},
		Users:         map[string]string{"admin": "secret"},
		Tenant:        "11111111-2222-3333-4444-555555555555",
		Clients:       []string{"app-1"},
	}
}

func testFront() Front {
	return Front{Registry: "myregistry", Region: "eastus",
		Roles: map[string]Role{loginName: Login, dataName: Data, storageName: Storage}}
}

func newRegistry(t *testing.T, cfg Config, opts ...Option) *Registry {
	t.Helper()
	r, err := New(cfg, opts...)
	require.NoError(t, err)
	return r
}

// serve puts a registry on a loopback socket.
func serve(t *testing.T, r *Registry, front Front) (*Server, *pki.Authority) {
	t.Helper()
	ca, err := pki.New(pki.AzureSubject)
	require.NoError(t, err)
	s, err := Serve(t.Context(), netio.Host{}, []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, front, r, ca)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s, ca
}

// client reaches every name at one server and follows no redirect.
func client(t *testing.T, s *Server, ca *pki.Authority) *http.Client {
	t.Helper()
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), NextProtos: []string{"h2", "http/1.1"}},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.Addrs()[0].String())
		},
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func bodyOf(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return string(b)
}
