package service

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/acrlab/acrlab/fakes/azure"
	"github.com/acrlab/acrlab/fakes/dns"
	"github.com/acrlab/acrlab/fakes/entra"
	"github.com/acrlab/acrlab/fakes/middlebox"
	"github.com/acrlab/acrlab/fakes/netio"
	"github.com/acrlab/acrlab/fakes/proxy"
	"github.com/acrlab/acrlab/fakes/registry"
	"github.com/acrlab/acrlab/harness/plan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	tenant = "72f988bf-0000-4000-8000-000000000001"
	app    = "11111111-0000-4000-8000-000000000001"
	login  = "myregistry.azurecr.io"
)

// ports hands out addresses that are free now: plans name their listeners.
func ports(t *testing.T, n int) []netip.AddrPort {
	t.Helper()
	var out []netip.AddrPort
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		out = append(out, netip.MustParseAddrPort(l.Addr().String()))
	}
	return out
}

func testNetwork(at []netip.AddrPort) *plan.Network {
	one := func(i int) []netip.AddrPort { return []netip.AddrPort{at[i]} }
	id := "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/myregistry"
	return &plan.Network{
		Registries: []registry.Config{{
			Name: "myregistry", LoginServer: login, Regions: []registry.Region{{Name: "eastus", Storage: "eusmanaged15.blob.core.windows.net"}},
			Public: registry.Access{Default: true}, Repositories: map[string][]string{"hello-world": {"latest"}},
			Tenant: tenant, Clients: []string{app},
		}},
		Azure: &azure.State{Subscription: "s", Tenant: tenant, Resources: map[string]azure.Resource{strings.ToLower(id): {ID: id, Location: "eastus", SKU: json.RawMessage(`{"name":"Premium"}`)}}},
		Hosts: []plan.Host{{Name: "internet", Services: []plan.Service{
			{Name: "dns", Listen: one(0), DNS: &dns.Config{Records: []dns.Record{{Name: login, TTL: 60, A: netip.MustParseAddr("127.0.0.1")}}}},
			{Name: "registry", Listen: one(1), Registry: &registry.Front{Registry: "myregistry", Region: "eastus", Roles: map[string]registry.Role{login: registry.Login}}},
			{Name: "proxy", Listen: one(2), Proxy: &proxy.Config{Resolver: at[0]}},
			{Name: "middlebox", Listen: one(3), Middlebox: &middlebox.Config{}},
			{Name: "arm", Listen: one(4), ARM: &azure.Front{Clients: []string{app}}},
			{Name: "entra", Listen: one(5), Entra: &entra.Config{Tenant: tenant, Clients: map[string]string{app: "secret"}}},
		}}},
	}
}

func start(t *testing.T, s *Set, n *plan.Network) map[string]Running {
	t.Helper()
	out := map[string]Running{}
	for _, h := range n.Hosts {
		for _, svc := range h.Services {
			r, err := s.Start(t.Context(), netio.Host{}, h, svc)
			require.NoError(t, err)
			out[svc.Name] = r
			t.Cleanup(func() { require.NoError(t, r.Close()) })
		}
	}
	return out
}

// One sign-in carries through the whole world: Entra signs, ARM and the
// registry accept.
func TestTokensOfEntraAreGoodEverywhere(t *testing.T) {
	s, err := NewSet()
	require.NoError(t, err)
	at := ports(t, 6)
	n := testNetwork(at)
	require.NoError(t, s.Prepare(t.Context(), n))
	running := start(t, s, n)
	to := map[string]netip.AddrPort{login: at[1], azure.Host: at[4], entra.Host: at[5]}
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: s.Azure.Pool()},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			host, _, _ := net.SplitHostPort(addr)
			return new(net.Dialer).DialContext(ctx, network, to[host].String())
		},
	}
	t.Cleanup(tr.CloseIdleConnections)
	client := &http.Client{Transport: tr}
	read := func(resp *http.Response, err error) map[string]any {
		t.Helper()
		require.NoError(t, err)
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode, string(raw))
		var m map[string]any
		require.NoError(t, json.Unmarshal(raw, &m))
		return m
	}
	token := read(client.PostForm("https://"+entra.Host+"/"+tenant+"/oauth2/v2.0/token", url.Values{"grant_type": {"client_credentials"},
		"client_id": {app}, "client_secret": {"secret"}, "scope": {"https://management.azure.com/.default"}}))["access_token"].(string)

	arm := func() map[string]any {
		req, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+azure.Host+"/subscriptions?api-version=2022-12-01", nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		return read(client.Do(req))
	}
	require.Len(t, arm()["value"], 1)

	refresh := read(client.PostForm("https://"+login+"/oauth2/exchange", url.Values{"grant_type": {"access_token"},
		"service": {login}, "tenant": {tenant}, "access_token": {token}}))["refresh_token"]
	require.NotEmpty(t, refresh)

	t.Run("a change of configuration reaches a running service", func(t *testing.T) {
		svc := n.Hosts[0].Services[4]
		svc.ARM = &azure.Front{}
		require.NoError(t, running["arm"].Update(t.Context(), svc))
		require.Empty(t, arm()["value"])
	})
	t.Run("a service cannot become another or move", func(t *testing.T) {
		require.ErrorContains(t, running["arm"].Update(t.Context(), n.Hosts[0].Services[0]), "cannot become")
		svc := n.Hosts[0].Services[0]
		svc.Listen = ports(t, 1)
		require.ErrorContains(t, running["dns"].Update(t.Context(), svc), "cannot move")
	})
	t.Run("a changed registry is changed for its running fronts", func(t *testing.T) {
		n.Registries[0].Public = registry.Access{}
		require.NoError(t, s.Prepare(t.Context(), n))
		resp, err := client.Get("https://" + login + "/v2/")
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusForbidden, resp.StatusCode)
	})
}

func TestStartNamesWhatIsWrong(t *testing.T) {
	s, err := NewSet()
	require.NoError(t, err)
	host := plan.Host{Name: "edge"}
	listen := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	for name, tc := range map[string]struct {
		svc  plan.Service
		want string
	}{
		"no kind":          {plan.Service{Name: "x"}, `starting service "x" on edge: exactly one kind of service must be described, not 0`},
		"two kinds":        {plan.Service{Name: "x", DNS: &dns.Config{}, Proxy: &proxy.Config{}}, "not 2"},
		"unknown registry": {plan.Service{Name: "x", Listen: listen, Registry: &registry.Front{Registry: "none"}}, `registry "none" is not among the network's registries`},
		"bad behaviour":    {plan.Service{Name: "x", Listen: listen, DNS: &dns.Config{Behaviour: "odd"}}, `starting DNS service "x" on edge`},
		"a foreign address": {plan.Service{Name: "x", Listen: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53")}, DNS: &dns.Config{}},
			"192.0.2.1:53"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Start(t.Context(), netio.Host{}, host, tc.svc)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestAuthoritiesDiffer(t *testing.T) {
	s, err := NewSet()
	require.NoError(t, err)
	for _, p := range [][]byte{s.AzurePEM(), s.CorpPEM()} {
		b, rest := pem.Decode(p)
		require.NotNil(t, b)
		require.Empty(t, rest)
	}
	require.False(t, bytes.Equal(s.AzurePEM(), s.CorpPEM()))
}
