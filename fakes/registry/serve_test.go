package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/acrlab/acrlab/fakes/netio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCertificatesFollowTheNameAskedFor(t *testing.T) {
	front := testFront()
	front.Roles["myregistry.eastus.geo.azurecr.io"] = Login
	s, ca := serve(t, newRegistry(t, testConfig()), front)
	dial := func(name string) (*tls.ConnectionState, error) {
		conn, err := tls.Dial("tcp", s.Addrs()[0].String(), &tls.Config{RootCAs: ca.Pool(), ServerName: name, NextProtos: []string{"h2", "http/1.1"}})
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		state := conn.ConnectionState()
		return &state, nil
	}
	for name, want := range map[string]string{
		loginName:                          "*.azurecr.io",
		"MyRegistry.azurecr.io":            "*.azurecr.io",
		dataName:                           "*.eastus.data.azurecr.io",
		"myregistry.eastus.geo.azurecr.io": "*.eastus.geo.azurecr.io",
		storageName:                        "*.blob.core.windows.net",
	} {
		state, err := dial(name)
		require.NoError(t, err, name)
		require.Equal(t, []string{want}, state.PeerCertificates[0].DNSNames, name)
		require.Equal(t, "http/1.1", state.NegotiatedProtocol)
		require.Equal(t, uint16(tls.VersionTLS13), state.Version)
		require.Equal(t, "Microsoft Azure RSA TLS Issuing CA 03", state.PeerCertificates[0].Issuer.CommonName)
	}
	_, err := dial("myregistry.privatelink.azurecr.io")
	require.ErrorContains(t, err, "x509: certificate is valid for *.azurecr.io, not myregistry.privatelink.azurecr.io")
	require.ErrorAs(t, err, &x509.HostnameError{})
}

func TestAServerIsUpdatedAndClosed(t *testing.T) {
	reg := newRegistry(t, testConfig())
	s, ca := serve(t, reg, testFront())
	c := client(t, s, ca)
	get := func(name string) int {
		resp, err := c.Get("https://" + name + "/v2/")
		require.NoError(t, err)
		bodyOf(t, resp)
		return resp.StatusCode
	}
	require.Equal(t, 401, get(loginName))
	front := testFront()
	delete(front.Roles, loginName)
	require.NoError(t, s.Update(front))
	require.Equal(t, 404, get(loginName))
	require.ErrorContains(t, s.Update(Front{Registry: "r"}), "answers for no name")
	require.ErrorContains(t, s.Update(Front{Registry: "r", Roles: map[string]Role{"a": "b"}}), `"a" has the unknown role "b"`)

	// Connections in every state end with Close: idle, in a handshake, mid-request.
	raw, err := net.Dial("tcp", s.Addrs()[0].String())
	require.NoError(t, err)
	defer raw.Close()
	half, err := tls.Dial("tcp", s.Addrs()[0].String(), &tls.Config{RootCAs: ca.Pool(), ServerName: dataName})
	require.NoError(t, err)
	defer half.Close()
	_, err = io.WriteString(half, "GET / HTTP/1.1\r\nHost:")
	require.NoError(t, err)
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	select {
	case err := <-closed:
		require.NoError(t, err)
	case <-time.After(10 * time.Second):
		t.Fatal("Close does not return")
	}
	require.NoError(t, raw.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, err = raw.Read(make([]byte, 1))
	require.Error(t, err)
	require.NotErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, s.Close(), "closing twice is fine")
}

func TestAnAddressInUseIsNamed(t *testing.T) {
	s, ca := serve(t, newRegistry(t, testConfig()), testFront())
	_, err := Serve(t.Context(), netio.Host{}, []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0"), s.Addrs()[0]}, testFront(), newRegistry(t, testConfig()), ca)
	require.ErrorContains(t, err, `serving registry "myregistry": listening on `+s.Addrs()[0].String())
}

func TestFrontsOfOneRegistryShareItsContent(t *testing.T) {
	reg := newRegistry(t, testConfig())
	public, private := testFront(), testFront()
	private.Private = true
	token := accessToken(t, reg.Handler(public), "repository:hello-world:pull,push")
	reg.store.putBlob("hello-world", digestOf("sha256", []byte("x")), []byte("x"))
	require.Equal(t, 200, call(reg.Handler(private), "HEAD", "https://"+loginName+"/v2/hello-world/blobs/"+string(digestOf("sha256", []byte("x"))), nil, bearer(token)).StatusCode)
}
