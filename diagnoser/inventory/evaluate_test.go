package inventory

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func network(name string, prefix string) VirtualNetwork {
	return VirtualNetwork{ID: "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/" + name, Name: name, Prefixes: []netip.Prefix{netip.MustParsePrefix(prefix)}}
}

func TestSecurityRulesAreTriedByPriorityAndDefaultsComeLast(t *testing.T) {
	vnet := network("hub", "10.0.0.0/16")
	inv := &Inventory{Networks: []VirtualNetwork{vnet}}
	rule := func(name string, priority int, access, to, ports string) SecurityRule {
		return SecurityRule{Name: name, Priority: priority, Direction: "Outbound", Access: access, Protocol: "*", Sources: []string{"*"}, Destinations: []string{to}, DestinationPorts: []string{ports}}
	}
	registry := Flow{Source: addr("10.0.1.4"), Destination: addr("20.62.128.38"), Port: 443, DestinationTags: []string{"AzureContainerRegistry"}}
	inside := Flow{Source: addr("10.0.1.4"), Destination: addr("10.0.2.5"), Port: 443}
	for _, c := range []struct {
		name   string
		rules  []SecurityRule
		flow   Flow
		allow  bool
		by     string
		unsure bool
	}{
		{"no rule of one's own", nil, registry, true, "AllowInternetOutBound", false},
		{"no rule of one's own, inside", nil, inside, true, "AllowVnetOutBound", false},
		{"a tag that covers it", []SecurityRule{rule("d", 200, "Deny", "azurecontainerregistry", "443")}, registry, false, "d", false},
		{"a tag of another service", []SecurityRule{rule("d", 200, "Deny", "Storage", "443")}, registry, true, "AllowInternetOutBound", false},
		{"the lower number wins", []SecurityRule{rule("d", 200, "Deny", "*", "*"), rule("a", 100, "Allow", "AzureContainerRegistry", "443")}, registry, true, "a", false},
		{"another port", []SecurityRule{rule("d", 200, "Deny", "*", "80-442")}, registry, true, "AllowInternetOutBound", false},
		{"a port range", []SecurityRule{rule("d", 200, "Deny", "*", "400-500")}, registry, false, "d", false},
		{"a prefix", []SecurityRule{rule("d", 200, "Deny", "20.62.128.0/24", "*")}, registry, false, "d", false},
		{"a regional tag may match", []SecurityRule{rule("d", 200, "Deny", "AzureContainerRegistry.WestUS", "*")}, registry, true, "AllowInternetOutBound", true},
		{"Internet does not cover the network", []SecurityRule{rule("d", 200, "Deny", "Internet", "*")}, inside, true, "AllowVnetOutBound", false},
		{"VirtualNetwork covers a private endpoint", []SecurityRule{rule("d", 200, "Deny", "VirtualNetwork", "*")}, inside, false, "d", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := inv.Decide(&SecurityGroup{Rules: c.rules}, Outbound, c.flow, &inv.Networks[0])
			require.NotNil(t, r.Rule)
			require.Equal(t, c.by, r.Rule.Name)
			require.Equal(t, c.allow, r.Allow)
			require.Equal(t, c.unsure, r.Unsure != "")
		})
	}
	icmp := rule("d", 100, "Deny", "*", "*")
	icmp.Protocol = "Icmp"
	require.True(t, inv.Decide(&SecurityGroup{Rules: []SecurityRule{icmp}}, Outbound, registry, &inv.Networks[0]).Allow, "another protocol")
}

func TestTheLongestPrefixWinsAndUserRoutesBeforeSystemRoutes(t *testing.T) {
	hub, far := network("hub", "10.0.0.0/16"), network("far", "10.9.0.0/16")
	hub.Peerings = []Peering{{RemoteID: far.ID, State: "Connected", AllowAccess: true}}
	hub.Subnets = []Subnet{{Name: "clients", RouteTableID: "rt"}}
	far.Subnets = []Subnet{{ID: far.ID + "/subnets/pe", Name: "pe", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.9.2.0/24")}}}
	for _, c := range []struct {
		name, route, to, want string
		policies              string
	}{
		{"no route", "192.168.0.0/24", "20.62.128.38", "Internet", ""},
		{"default route", "0.0.0.0/0", "20.62.128.38", "None", ""},
		{"own network before the default route", "0.0.0.0/0", "10.0.5.5", "VnetLocal", ""},
		{"same prefix as the system's", "10.0.0.0/16", "10.0.5.5", "None", ""},
		{"peered network", "0.0.0.0/0", "10.9.7.7", "VNetPeering", ""},
		{"a private endpoint's /32 before a /24", "10.9.2.0/24", "10.9.2.5", "InterfaceEndpoint", ""},
		{"a /32 of one's own", "10.9.2.5/32", "10.9.2.5", "None", ""},
		{"a /24 with route policies", "10.9.2.0/24", "10.9.2.5", "None", "RouteTableEnabled"},
		{"a default route with route policies", "0.0.0.0/0", "10.9.2.5", "InterfaceEndpoint", "Enabled"},
		{"a tag", "AzureContainerRegistry", "20.62.128.38", "None", ""},
		{"private space of nobody", "192.168.0.0/24", "172.16.1.1", "None", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			inv := &Inventory{Networks: []VirtualNetwork{hub, far},
				RouteTables: []RouteTable{{ID: "rt", Routes: []Route{{Name: "r", Prefix: c.route, NextHop: "None"}}}},
				Endpoints:   []PrivateEndpoint{{Exists: true, Status: "Approved", SubnetID: far.ID + "/subnets/pe", Members: []Member{{Address: addr("10.9.2.5")}}}}}
			inv.Networks[1].Subnets = []Subnet{far.Subnets[0]}
			inv.Networks[1].Subnets[0].PrivateEndpointPolicies = c.policies
			hop := inv.NextHop(&inv.Networks[0], &inv.Networks[0].Subnets[0], addr(c.to), []string{"AzureContainerRegistry"})
			require.Equal(t, c.want, hop.Type)
		})
	}
}

func TestPeeringNeedsBothDirections(t *testing.T) {
	a, b := network("a", "10.0.0.0/16"), network("b", "10.1.0.0/16")
	inv := &Inventory{}
	ok, because := inv.Peered(&a, &b)
	require.False(t, ok)
	require.Contains(t, because, "no peering")
	a.Peerings = []Peering{{Name: "p", RemoteID: b.ID, State: "Connected", AllowAccess: true}}
	ok, because = inv.Peered(&a, &b)
	require.False(t, ok)
	require.Contains(t, because, "b has no peering to a")
	b.Peerings = []Peering{{Name: "q", RemoteID: a.ID, State: "Initiated", AllowAccess: true}}
	ok, because = inv.Peered(&a, &b)
	require.False(t, ok)
	require.Contains(t, because, "Initiated")
	b.Peerings[0].State = "Connected"
	ok, _ = inv.Peered(&a, &b)
	require.True(t, ok)
}

func TestTheLongestLinkedZoneAnswers(t *testing.T) {
	n := network("hub", "10.0.0.0/16")
	link := []ZoneLink{{NetworkID: n.ID}}
	inv := &Inventory{Zones: []PrivateZone{
		{ID: "1", Name: "privatelink.azurecr.io", Links: link},
		{ID: "2", Name: "eastus.data.privatelink.azurecr.io", Links: link},
		{ID: "3", Name: "myregistry.privatelink.azurecr.io"},
	}}
	z, _ := inv.Zone(&n, "myregistry.eastus.data.privatelink.azurecr.io")
	require.Equal(t, "2", z.ID)
	z, _ = inv.Zone(&n, "myregistry.privatelink.azurecr.io")
	require.Equal(t, "1", z.ID, "a zone that is not linked does not answer")
	z, _ = inv.Zone(&n, "notprivatelink.azurecr.io")
	require.Nil(t, z, "a suffix ends at a label")
}

func TestOverlappingNetworksHoldNoAddressForSure(t *testing.T) {
	a, b := network("a", "10.0.0.0/16"), network("b", "10.0.0.0/16")
	a.Subnets = []Subnet{{Prefixes: a.Prefixes}}
	b.Subnets = []Subnet{{Prefixes: b.Prefixes}}
	inv := &Inventory{Networks: []VirtualNetwork{a, b}}
	n, _, ambiguous := inv.Holding(addr("10.0.0.4"))
	require.Nil(t, n)
	require.True(t, ambiguous)
}

func TestAzureFirewallTriesNetworkRulesFirst(t *testing.T) {
	f := Firewall{Collections: []RuleCollection{
		{Name: "app", Priority: 100, Action: "Deny", Rules: []FirewallRule{{Name: "d", Type: "ApplicationRule", TargetFQDNs: []string{"*.azurecr.io"}}}},
		{Name: "net", Priority: 900, Action: "Allow", Rules: []FirewallRule{{Name: "a", Type: "NetworkRule", Destinations: []string{"AzureContainerRegistry"}, Ports: []string{"443"}}}},
	}}
	tagged := Flow{Source: addr("10.0.1.4"), Destination: addr("20.62.128.38"), Port: 443, DestinationTags: []string{"AzureContainerRegistry"}}
	require.True(t, f.Pass("r.azurecr.io", tagged).Allow)
	tagged.DestinationTags = nil
	p := f.Pass("r.azurecr.io", tagged)
	require.False(t, p.Allow)
	require.Equal(t, "app/d", p.By)
	require.Equal(t, Passage{Layer: "default"}, f.Pass("mcr.microsoft.com", tagged))
	require.False(t, MatchesFQDN("*.azurecr.io", "azurecr.io"))
	require.True(t, MatchesFQDN("*.blob.core.windows.net", "a.b.blob.core.windows.net"))
}
