package plan_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/harness/plan"
	"github.com/acrlab/acrlab/harness/state"
	"github.com/acrlab/acrlab/harness/topology"
	"github.com/acrlab/acrlab/harness/trace"
)

type rules map[string]topology.SecurityRule

// withGroup puts a security group on a subnet.
func withGroup(vnet, subnet string, r rules) func(*topology.Topology) {
	return func(top *topology.Topology) {
		top.NetworkSecurityGroups = map[string]topology.NetworkSecurityGroup{"nsg": {SecurityRules: r}}
		s := top.VirtualNetworks[vnet].Subnets[subnet]
		s.NetworkSecurityGroup = "nsg"
		top.VirtualNetworks[vnet].Subnets[subnet] = s
	}
}

func out(priority int, access, to, port string) topology.SecurityRule {
	return topology.SecurityRule{Priority: priority, Direction: "Outbound", Access: access, Protocol: "Tcp", DestinationAddressPrefix: to, DestinationPortRange: port}
}

func TestSecurityRulesAreTriedByPriority(t *testing.T) {
	for _, c := range []struct {
		name  string
		rules rules
		fate  trace.Fate
		why   string
	}{
		{"no rule of its own", nil, trace.Delivered, ""},
		{"deny by tag", rules{"deny-acr": out(100, "Deny", "AzureContainerRegistry", "443")}, trace.Dropped, "rule nsg-nsg-deny-acr (priority 100)"},
		{"deny by regional tag, in any case", rules{"d": out(100, "Deny", "azurecontainerregistry.EASTUS", "443")}, trace.Dropped, "rule nsg-nsg-d (priority 100)"},
		{"deny in another region", rules{"d": out(100, "Deny", "AzureContainerRegistry.WestEurope", "443")}, trace.Delivered, ""},
		{"the storage tag does not cover the login server", rules{"d": out(100, "Deny", "Storage", "443")}, trace.Delivered, ""},
		{"allow before deny", rules{"z-allow": out(100, "Allow", "AzureContainerRegistry", "443"), "a-deny": out(200, "Deny", "Internet", "*")}, trace.Delivered, ""},
		{"deny before allow", rules{"z-allow": out(300, "Allow", "AzureContainerRegistry", "443"), "a-deny": out(200, "Deny", "Internet", "*")}, trace.Dropped, "rule nsg-nsg-a-deny (priority 200)"},
		{"another port", rules{"d": out(100, "Deny", "*", "444-1000")}, trace.Delivered, ""},
		{"an address", rules{"d": out(100, "Deny", login, "443")}, trace.Dropped, "rule nsg-nsg-d (priority 100)"},
		{"an inbound rule does not concern what goes out", rules{"d": {Priority: 100, Direction: "Inbound", Access: "Deny"}}, trace.Delivered, ""},
		{"a tag without simulated addresses matches nothing", rules{"d": out(100, "Deny", "AzureMonitor", "443")}, trace.Delivered, ""},
		{"a prefix of IPv6 matches nothing", rules{"d": out(100, "Deny", "::/0", "443")}, trace.Delivered, ""},
		{"ports without a protocol", rules{"d": {Priority: 100, Direction: "Outbound", Access: "Deny", DestinationPortRange: "443"}}, trace.Dropped, "rule nsg-nsg-d (priority 100)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := network(t, "public", withGroup("app", "clients", c.rules))
			consistent(t, n)
			p := tcp(n, login)
			require.Equal(t, c.fate, p.Fate, p.Why)
			if c.why != "" {
				require.Equal(t, c.why, p.Why)
			}
		})
	}
}

func TestPlatformDNSPassesEverySecurityRule(t *testing.T) {
	n := network(t, "public", withGroup("app", "clients", rules{"all": {Priority: 100, Direction: "Outbound", Access: "Deny"}}))
	require.Equal(t, trace.Delivered, udp(n, "168.63.129.16").Fate)
	require.Equal(t, trace.Dropped, udp(n, google).Fate)
}

func TestGroupOnEndpointSubnetNeedsNetworkPolicies(t *testing.T) {
	for policies, want := range map[string]trace.Fate{
		"Disabled": trace.Delivered, "RouteTableEnabled": trace.Delivered,
		"Enabled": trace.Dropped, "NetworkSecurityGroupEnabled": trace.Dropped,
	} {
		n := network(t, "private-endpoint", func(top *topology.Topology) {
			withGroup("hub", "endpoints", rules{"d": {Priority: 100, Direction: "Inbound", Access: "Deny", SourceAddressPrefix: "VirtualNetwork"}})(top)
			s := top.VirtualNetworks["hub"].Subnets["endpoints"]
			s.PrivateEndpointNetworkPolicies = policies
			top.VirtualNetworks["hub"].Subnets["endpoints"] = s
		})
		require.Equal(t, want, tcp(n, "10.0.2.5").Fate, policies)
	}
}

func TestEffectiveRulesEndWithTheDefaults(t *testing.T) {
	in := input(t, base(t, "private-endpoint-peered", withGroup("spoke", "clients", nil)))
	got, err := plan.EffectiveSecurityRules(in, state.SubnetID("spoke", "clients"))
	require.NoError(t, err)
	var names []string
	for _, r := range got {
		names = append(names, r.Name)
	}
	require.Equal(t, []string{"AllowVnetInBound", "AllowAzureLoadBalancerInBound", "DenyAllInBound",
		"AllowVnetOutBound", "AllowInternetOutBound", "DenyAllOutBound"}, names)
	require.Equal(t, []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/16"), netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("168.63.129.16/32"),
	}, got[0].Source, "the network, its peer and the platform")
	for _, p := range got[4].Destination {
		require.False(t, p.Overlaps(netip.MustParsePrefix("10.0.0.0/8")), "Internet holds %s", p)
	}
}

func TestUnknownTagsAndPortsAreErrors(t *testing.T) {
	for want, r := range map[string]topology.SecurityRule{
		`network security group nsg: rule r: "AzureContainerRegistries"`: out(100, "Deny", "AzureContainerRegistries", "443"),
		`"AzureContainerRegistry.Mars"`:                                  out(100, "Deny", "AzureContainerRegistry.Mars", "443"),
		`"9-1" is not a port range`:                                      out(100, "Deny", "*", "9-1"),
	} {
		_, err := plan.Make(input(t, base(t, "public", withGroup("app", "clients", rules{"r": r}))))
		require.ErrorContains(t, err, want)
	}
}
