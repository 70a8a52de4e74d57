package plan_test

import (
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/harness/plan"
	"github.com/acrlab/acrlab/harness/state"
	"github.com/acrlab/acrlab/harness/topology"
	"github.com/acrlab/acrlab/harness/trace"
)

func TestTheSameInputGivesTheSameBytes(t *testing.T) {
	for _, name := range topology.Bases() {
		t.Run(name, func(t *testing.T) {
			in := input(t, base(t, name, nil))
			first := marshal(t, in)
			for range 5 {
				require.Equal(t, first, marshal(t, in))
			}
		})
	}
}

func marshal(t *testing.T, in plan.Input) string {
	t.Helper()
	n, err := plan.Make(in)
	require.NoError(t, err)
	raw, err := json.Marshal(n)
	require.NoError(t, err)
	return string(raw)
}

// A plan must not contradict itself: names that are unique, links whose ends
// exist, services on addresses that their host has.
func TestNetworksAreConsistent(t *testing.T) {
	for _, name := range topology.Bases() {
		t.Run(name, func(t *testing.T) { consistent(t, network(t, name, nil)) })
	}
}

func consistent(t *testing.T, n *plan.Network) {
	t.Helper()
	hosts, owned := map[string]bool{}, map[string]map[netip.Addr]bool{}
	for _, h := range n.Hosts {
		require.False(t, hosts[h.Name], "host %s twice", h.Name)
		hosts[h.Name], owned[h.Name] = true, map[netip.Addr]bool{netip.IPv4Unspecified(): true}
		for _, a := range h.Loopback {
			require.True(t, a.IsValid(), h.Name)
			require.False(t, owned[h.Name][a], "%s has %s twice", h.Name, a)
			owned[h.Name][a] = true
		}
	}
	interfaces := map[string]bool{}
	for _, l := range n.Links {
		for _, e := range l.Ends {
			require.True(t, hosts[e.Host], "a link to %s", e.Host)
			require.False(t, interfaces[e.Host+" "+e.Interface], "%s %s twice", e.Host, e.Interface)
			require.LessOrEqual(t, len(e.Interface), 15)
			interfaces[e.Host+" "+e.Interface] = true
			for _, p := range e.Addresses {
				require.True(t, p.IsValid())
				owned[e.Host][p.Addr()] = true
			}
		}
	}
	for _, h := range n.Hosts {
		seen := map[any]bool{}
		unique := func(key any) { require.False(t, seen[key], "%s: %v twice", h.Name, key); seen[key] = true }
		type destination struct {
			table int
			to    netip.Prefix
		}
		for _, r := range h.Routes {
			unique(destination{r.Table, r.Destination})
			require.Equal(t, r.Blackhole, r.Interface == "", "%s: %+v", h.Name, r)
			require.True(t, r.Blackhole || interfaces[h.Name+" "+r.Interface], "%s: %+v", h.Name, r)
		}
		for _, r := range h.Filter {
			unique(r.Name)
			for _, g := range r.Group {
				unique(g.Name)
			}
		}
		for _, r := range h.Redirect {
			unique(r.Name)
		}
		for _, r := range h.NAT {
			require.NotEqual(t, r.Keep, r.To.IsValid(), "%s: %+v", h.Name, r)
		}
		for _, s := range h.Services {
			unique("service " + s.Name)
			for _, a := range s.Listen {
				require.True(t, owned[h.Name][a.Addr()], "%s: %s listens on %s", h.Name, s.Name, a)
			}
		}
	}
}

// Every base is healthy: whatever a pull needs is there.
func TestBasesReachWhatAPullNeeds(t *testing.T) {
	for name, want := range map[string]map[string]trace.Fate{
		"public":                  {login: trace.Delivered, storage: trace.Delivered, mcr: trace.Delivered},
		"private-endpoint":        {"10.0.2.4": trace.Delivered, "10.0.2.5": trace.Delivered, mcr: trace.Delivered},
		"private-endpoint-peered": {"10.0.2.4": trace.Delivered, "10.0.2.5": trace.Delivered},
		"custom-dns":              {"10.0.2.4": trace.Delivered, "10.0.2.5": trace.Delivered},
		"service-endpoint":        {login: trace.Delivered, storage: trace.Delivered},
		"geo-replicated":          {login: trace.Delivered, data: trace.Delivered},
		"behind-firewall":         {login: trace.Delivered, data: trace.Delivered, mcr: trace.Delivered, storage: trace.Dropped},
		"behind-proxy":            {login: trace.Dropped, storage: trace.Dropped, mcr: trace.Dropped},
		"azure-firewall":          {login: trace.Delivered, storage: trace.Delivered, mcr: trace.Delivered},
	} {
		n := network(t, name, nil)
		for to, fate := range want {
			p := tcp(n, to)
			require.Equal(t, fate, p.Fate, "%s: %s: %s", name, to, p.Why)
		}
	}
}

func TestNoCredentialsForAzureInTheEnvironment(t *testing.T) {
	n := network(t, "public", nil)
	c := plan.AzureCredentials(*n.Azure)
	require.Len(t, c, 4)
	for _, h := range n.Hosts {
		for name := range c {
			require.NotContains(t, h.Env, name)
			require.NotContains(t, h.Daemon, name)
		}
	}
	entra := serviceOf(t, hostOf(t, n, "internet"), "entra").Entra
	require.Equal(t, c["AZURE_CLIENT_SECRET"], entra.Clients[c["AZURE_CLIENT_ID"]])
	require.Equal(t, c["AZURE_TENANT_ID"], entra.Tenant)
}

func TestMakeNamesWhatItCannotUnderstand(t *testing.T) {
	hub := state.ID(state.TypeVirtualNetwork, "hub")
	for _, c := range []struct {
		name, id, want string
		change         func(map[string]any)
	}{
		{"an address space", hub, `virtual network hub: reading its address space: "ten" is neither`, func(p map[string]any) {
			p["addressSpace"] = map[string]any{"addressPrefixes": []string{"ten"}}
		}},
		{"a DNS server", hub, `virtual network hub: reading its DNS servers: "x" is not an IPv4 address`, func(p map[string]any) {
			p["dhcpOptions"] = map[string]any{"dnsServers": []string{"x"}}
		}},
		{"subnets of the wrong type", hub, `reading the properties of ` + hub, func(p map[string]any) { p["subnets"] = 1 }},
		{"an IP rule", state.ID(state.TypeRegistry, "myregistry"), `registry myregistry: reading its IP rules: "1.2.3.4/99"`, func(p map[string]any) {
			p["publicNetworkAccess"] = "Enabled"
			p["networkRuleSet"] = map[string]any{"defaultAction": "Deny", "ipRules": []any{map[string]any{"value": "1.2.3.4/99"}}}
		}},
		{"no client's address", state.ClientNIC(), `the client's address: the network interface`, func(p map[string]any) { delete(p, "ipConfigurations") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := input(t, base(t, "private-endpoint", nil))
			set(t, in.State, c.id, c.change)
			_, err := plan.Make(in)
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err := plan.Make(plan.Input{})
	require.ErrorContains(t, err, "the site does not say where the client stands")
}

// Whatever JSON a write left in the store, a plan is made or refused.
func FuzzMake(f *testing.F) {
	top, err := topology.Base("custom-dns")
	require.NoError(f, err)
	top = top.WithDefaults()
	clean, err := state.Build(top)
	require.NoError(f, err)
	for _, r := range clean.Resources {
		f.Add(r.ID, []byte(r.Properties))
	}
	f.Add(state.ID(state.TypeVirtualNetwork, "hub"), []byte(`{"addressSpace":{"addressPrefixes":["0.0.0.0/0","::/0"]},"subnets":[{"properties":{"addressPrefix":"255.255.255.255/32"}}]}`))
	f.Add(state.ID(state.TypeRouteTable, "r"), []byte(`{"routes":[{"properties":{"addressPrefix":"0.0.0.0/0","nextHopType":"VirtualAppliance"}}]}`))
	f.Fuzz(func(t *testing.T, id string, properties []byte) {
		s, err := state.Build(top)
		require.NoError(t, err)
		r, ok := s.Resources[state.Key(id)]
		if !ok || !json.Valid(properties) {
			return
		}
		r.Properties = properties
		s.Resources[state.Key(id)] = r
		n, err := plan.Make(plan.InputOf(s, top))
		if err != nil {
			return
		}
		_, err = json.Marshal(n)
		require.NoError(t, err)
	})
}
