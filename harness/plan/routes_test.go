package plan_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/harness/plan"
	"github.com/acrlab/acrlab/harness/state"
	"github.com/acrlab/acrlab/harness/topology"
	"github.com/acrlab/acrlab/harness/trace"
)

// withRoutes puts a route table on the client's subnet.
func withRoutes(vnet string, routes map[string]topology.Route) func(*topology.Topology) {
	return func(top *topology.Topology) {
		top.RouteTables = map[string]topology.RouteTable{"rt": {Routes: routes}}
		s := top.VirtualNetworks[vnet].Subnets["clients"]
		s.RouteTable = "rt"
		top.VirtualNetworks[vnet].Subnets["clients"] = s
	}
}

func policies(vnet, subnet, value string) func(*topology.Topology) {
	return func(top *topology.Topology) {
		s := top.VirtualNetworks[vnet].Subnets[subnet]
		s.PrivateEndpointNetworkPolicies = value
		top.VirtualNetworks[vnet].Subnets[subnet] = s
	}
}

func both(changes ...func(*topology.Topology)) func(*topology.Topology) {
	return func(top *topology.Topology) {
		for _, c := range changes {
			c(top)
		}
	}
}

func none(prefix string) map[string]topology.Route {
	return map[string]topology.Route{"r": {AddressPrefix: prefix, NextHopType: "None"}}
}

func TestRoutesOfASubnet(t *testing.T) {
	const pe = "10.0.2.5"
	for _, c := range []struct {
		name, base, to string
		change         func(*topology.Topology)
		want           trace.Fate
	}{
		{"system route to the internet", "public", login, nil, trace.Delivered},
		{"a user-defined route beats the system route of the same prefix", "public", login, withRoutes("app", none("0.0.0.0/0")), trace.Dropped},
		{"a service tag as prefix", "public", login, withRoutes("app", none("AzureContainerRegistry.EastUS")), trace.Dropped},
		{"a service tag of another service", "public", login, withRoutes("app", none("Storage")), trace.Delivered},
		{"the longest prefix wins", "public", login, withRoutes("app", map[string]topology.Route{
			"a": {AddressPrefix: "0.0.0.0/0", NextHopType: "None"}, "b": {AddressPrefix: login + "/32", NextHopType: "Internet"}}), trace.Delivered},
		{"an appliance that does not exist", "public", login, withRoutes("app", map[string]topology.Route{
			"a": {AddressPrefix: "0.0.0.0/0", NextHopType: "VirtualAppliance", NextHopIPAddress: "10.1.1.99"}}), trace.Dropped},
		{"a gateway that does not exist", "public", login, withRoutes("app", map[string]topology.Route{
			"a": {AddressPrefix: "0.0.0.0/0", NextHopType: "VirtualNetworkGateway"}}), trace.Dropped},
		{"private ranges do not go to the internet", "public", "10.200.0.1", nil, trace.Dropped},

		{"a private endpoint's /32 beats a default route", "private-endpoint", pe, withRoutes("hub", none("0.0.0.0/0")), trace.Delivered},
		{"and a route for its subnet", "private-endpoint", pe, withRoutes("hub", none("10.0.2.0/24")), trace.Delivered},
		{"and a /32, without route table policies", "private-endpoint", pe, withRoutes("hub", none(pe+"/32")), trace.Delivered},
		{"group policies do not concern routes", "private-endpoint", pe, both(withRoutes("hub", none(pe+"/32")), policies("hub", "endpoints", "NetworkSecurityGroupEnabled")), trace.Delivered},
		{"with route table policies a /32 wins", "private-endpoint", pe, both(withRoutes("hub", none(pe+"/32")), policies("hub", "endpoints", "RouteTableEnabled")), trace.Dropped},
		{"and one as specific as the network", "private-endpoint", pe, both(withRoutes("hub", none("10.0.0.0/16")), policies("hub", "endpoints", "Enabled")), trace.Dropped},
		{"but no default route", "private-endpoint", pe, both(withRoutes("hub", none("0.0.0.0/0")), policies("hub", "endpoints", "Enabled")), trace.Delivered},
		{"a /32 for one address leaves the other", "private-endpoint", "10.0.2.4", both(withRoutes("hub", none(pe+"/32")), policies("hub", "endpoints", "Enabled")), trace.Delivered},

		{"a peered network", "private-endpoint-peered", pe, nil, trace.Delivered},
		{"without the peering of the other side", "private-endpoint-peered", pe, func(top *topology.Topology) {
			v := top.VirtualNetworks["hub"]
			v.Peerings = nil
			top.VirtualNetworks["hub"] = v
		}, trace.Dropped},
		{"a peering that is disconnected on one side", "private-endpoint-peered", pe, func(top *topology.Topology) {
			top.VirtualNetworks["hub"].Peerings["spoke"] = topology.Peering{PeeringState: "Disconnected"}
		}, trace.Dropped},
		{"a peering that lets nothing in", "private-endpoint-peered", pe, func(top *topology.Topology) {
			no := false
			top.VirtualNetworks["hub"].Peerings["spoke"] = topology.Peering{AllowVirtualNetworkAccess: &no}
		}, trace.Dropped},
		{"an endpoint that is not approved", "private-endpoint", pe, func(top *topology.Topology) {
			e := top.PrivateEndpoints["pe-registry"]
			e.ConnectionState = "Pending"
			top.PrivateEndpoints["pe-registry"] = e
		}, trace.Dropped},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := network(t, c.base, c.change)
			consistent(t, n)
			p := tcp(n, c.to)
			require.Equal(t, c.want, p.Fate, p.Why)
		})
	}
}

func TestPlatformDNSPassesEveryRoute(t *testing.T) {
	n := network(t, "public", withRoutes("app", none("0.0.0.0/0")))
	require.Equal(t, trace.Delivered, udp(n, "168.63.129.16").Fate)
}

func TestEffectiveRoutesShowWhoLost(t *testing.T) {
	in := input(t, base(t, "private-endpoint", both(withRoutes("hub", none("0.0.0.0/0")), policies("hub", "endpoints", "Disabled"))))
	routes, err := plan.EffectiveRoutes(in, state.SubnetID("hub", "clients"))
	require.NoError(t, err)
	find := func(prefix, source string) plan.EffectiveRoute {
		i := slices.IndexFunc(routes, func(r plan.EffectiveRoute) bool {
			return r.AddressPrefix == netip.MustParsePrefix(prefix) && r.Source == source
		})
		require.GreaterOrEqual(t, i, 0, "%s %s", prefix, source)
		return routes[i]
	}
	require.Equal(t, "Invalid", find("0.0.0.0/0", "Default").State)
	require.Equal(t, "Active", find("0.0.0.0/0", "User").State)
	require.Equal(t, "InterfaceEndpoint", find("10.0.2.5/32", "Default").NextHopType)
	require.Equal(t, "VnetLocal", find("10.0.0.0/16", "Default").NextHopType)
	require.Equal(t, "None", find("192.168.0.0/16", "Default").NextHopType)

	// With route table policies only a route as specific as the network counts.
	for prefix, want := range map[string]string{"0.0.0.0/0": "Active", "10.0.0.0/15": "Active", "10.0.0.0/16": "Invalid", "10.0.2.5/32": "Invalid"} {
		in := input(t, base(t, "private-endpoint", both(withRoutes("hub", none(prefix)), policies("hub", "endpoints", "Enabled"))))
		routes, err = plan.EffectiveRoutes(in, state.SubnetID("hub", "clients"))
		require.NoError(t, err)
		require.Equal(t, want, find("10.0.2.5/32", "Default").State, prefix)
	}

	_, err = plan.EffectiveRoutes(in, state.SubnetID("hub", "gone"))
	require.ErrorContains(t, err, "there is no subnet")
}

func TestRouteErrorsNameTheRoute(t *testing.T) {
	for want, r := range map[string]topology.Route{
		`route table rt: route r: unknown next hop type "Nowhere"`:        {AddressPrefix: "0.0.0.0/0", NextHopType: "Nowhere"},
		`route table rt: route r: reading its next hop`:                   {AddressPrefix: "0.0.0.0/0", NextHopType: "VirtualAppliance"},
		`route table rt: route r: "everything" is neither a prefix nor a`: {AddressPrefix: "everything", NextHopType: "None"},
	} {
		_, err := plan.Make(input(t, base(t, "public", withRoutes("app", map[string]topology.Route{"r": r}))))
		require.ErrorContains(t, err, want)
	}
}
