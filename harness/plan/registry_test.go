package plan_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/harness/plan"
	"github.com/acrlab/acrlab/harness/state"
	"github.com/acrlab/acrlab/harness/topology"
)

// seen is the address that the registry's login server sees.
func seen(t *testing.T, n *plan.Network) netip.Addr {
	t.Helper()
	p := tcp(n, login)
	var source string
	for _, h := range p.Hops {
		for _, note := range h.Notes {
			if after, ok := cutPrefix(note, "leaves as "); ok {
				source = after
			}
		}
	}
	if source == "" {
		source = clientAddress(n)
	}
	return netip.MustParseAddr(source)
}

func cutPrefix(s, prefix string) (string, bool) {
	if len(s) > len(prefix) && s[:len(prefix)] == prefix {
		return s[len(prefix):], true
	}
	return "", false
}

func letIn(n *plan.Network, t *testing.T, a netip.Addr) bool {
	access := registryOf(t, n, "myregistry").Public
	if access.Default {
		return true
	}
	for _, p := range access.Allow {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func TestRegistryRulesAndTheSourceTheySee(t *testing.T) {
	const egress = "198.51.100.4" // of the network app
	rules := func(r topology.NetworkRuleSet) func(*topology.Topology) {
		return func(top *topology.Topology) { top.Registry.NetworkRuleSet = &r }
	}
	without := func(top *topology.Topology) {
		top.VirtualNetworks["app"].Subnets["clients"] = topology.Subnet{AddressPrefix: "10.1.1.0/24"}
	}
	for _, c := range []struct {
		name, base string
		change     func(*topology.Topology)
		source     string
		in         bool
	}{
		{"everybody", "public", nil, egress, true},
		{"nobody", "public", rules(topology.NetworkRuleSet{DefaultAction: "Deny"}), egress, false},
		{"the outbound address", "public", rules(topology.NetworkRuleSet{DefaultAction: "Deny", IPRules: []string{egress}}), egress, true},
		{"a block that holds it", "public", rules(topology.NetworkRuleSet{DefaultAction: "Deny", IPRules: []string{"198.51.100.0/28"}}), egress, true},
		{"another address", "public", rules(topology.NetworkRuleSet{DefaultAction: "Deny", IPRules: []string{"198.51.100.9"}}), egress, false},
		{"public access disabled overrides rules", "public", func(top *topology.Topology) {
			top.Registry.PublicNetworkAccess = "Disabled"
			top.Registry.NetworkRuleSet = &topology.NetworkRuleSet{DefaultAction: "Deny", IPRules: []string{egress}}
		}, egress, false},
		{"and default action Allow", "public", func(top *topology.Topology) { top.Registry.PublicNetworkAccess = "Disabled" }, egress, false},

		{"a service endpoint keeps the private source", "service-endpoint", nil, "10.1.1.4", true},
		{"a subnet rule without the service endpoint", "service-endpoint", without, egress, false},
		{"a service endpoint without the subnet rule", "service-endpoint", rules(topology.NetworkRuleSet{DefaultAction: "Deny"}), "10.1.1.4", false},
		{"a service endpoint hides the address of the IP rule", "service-endpoint", rules(topology.NetworkRuleSet{DefaultAction: "Deny", IPRules: []string{egress}}), "10.1.1.4", false},
		{"public access disabled overrides the subnet rule", "service-endpoint", func(top *topology.Topology) { top.Registry.PublicNetworkAccess = "Disabled" }, "10.1.1.4", false},
		{"from on-premises", "behind-firewall", rules(topology.NetworkRuleSet{DefaultAction: "Deny", IPRules: []string{"203.0.113.10"}}), "203.0.113.10", true},
		{"through an Azure Firewall", "azure-firewall", rules(topology.NetworkRuleSet{DefaultAction: "Deny", IPRules: []string{"198.51.100.100"}}), "198.51.100.100", true},
		{"and not from the network's own address", "azure-firewall", rules(topology.NetworkRuleSet{DefaultAction: "Deny", IPRules: []string{egress}}), "198.51.100.100", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := network(t, c.base, c.change)
			a := seen(t, n)
			require.Equal(t, c.source, a.String())
			require.Equal(t, c.in, letIn(n, t, a))
		})
	}
}

func TestSubnetRuleCountsOnlyWithTheServiceEndpoint(t *testing.T) {
	require.Equal(t, []netip.Prefix{netip.MustParsePrefix("10.1.1.0/24")}, registryOf(t, network(t, "service-endpoint", nil), "myregistry").Public.Allow)
	n := network(t, "service-endpoint", func(top *topology.Topology) {
		top.VirtualNetworks["app"].Subnets["clients"] = topology.Subnet{AddressPrefix: "10.1.1.0/24", ServiceEndpoints: []string{"Microsoft.Storage"}}
	})
	require.Empty(t, registryOf(t, n, "myregistry").Public.Allow)
}

func TestDataEndpointsWhenEnabledOrBehindAPrivateEndpoint(t *testing.T) {
	require.False(t, registryOf(t, network(t, "public", nil), "myregistry").DataEndpoints)
	require.True(t, registryOf(t, network(t, "private-endpoint", nil), "myregistry").DataEndpoints)
	on := true
	require.True(t, registryOf(t, network(t, "public", func(top *topology.Topology) { top.Registry.DataEndpointEnabled = &on }), "myregistry").DataEndpoints)
}

func TestPrivateFrontsOnlyForApprovedConnections(t *testing.T) {
	n := network(t, "private-endpoint", nil)
	h := hostOf(t, n, "privatelink-hub-endpoints")
	require.Len(t, h.Services, 2)
	for _, s := range h.Services {
		require.True(t, s.Registry.Private)
	}
	for _, status := range []string{"Pending", "Rejected", "Disconnected"} {
		n := network(t, "private-endpoint", func(top *topology.Topology) {
			e := top.PrivateEndpoints["pe-registry"]
			e.ConnectionState = status
			top.PrivateEndpoints["pe-registry"] = e
		})
		for _, h := range n.Hosts {
			require.NotEqual(t, "privatelink-hub-endpoints", h.Name, status)
		}
		consistent(t, n)
	}
}

func TestApprovalIsTheRegistrysToGive(t *testing.T) {
	in := input(t, base(t, "private-endpoint", nil))
	set(t, in.State, state.ID(state.TypeConnection, "myregistry", "pe-registry"), func(p map[string]any) {
		p["privateLinkServiceConnectionState"] = map[string]any{"status": "Rejected"}
	})
	n, err := plan.Make(in)
	require.NoError(t, err)
	require.Equal(t, "dropped", string(tcp(n, "10.0.2.5").Fate))
}

func TestContentBelongsToOneRegistry(t *testing.T) {
	in := input(t, base(t, "public", nil))
	r := in.State.Resources[state.Key(state.ID(state.TypeRegistry, "myregistry"))]
	r.ID, r.Name = state.ID(state.TypeRegistry, "another"), "another"
	in.State.Resources[state.Key(r.ID)] = r
	set(t, in.State, r.ID, func(p map[string]any) { p["loginServer"] = "another.azurecr.io" })
	n, err := plan.Make(in)
	require.NoError(t, err)
	consistent(t, n)
	require.Empty(t, registryOf(t, n, "another").Repositories)
	require.NotEmpty(t, registryOf(t, n, "myregistry").Repositories)
	require.Equal(t, login, last(publicDNS(t, n, "198.51.100.4", "myregistry.azurecr.io")), "the scenario's registry keeps its address")
}

func last(s []string) string { return s[len(s)-1] }
