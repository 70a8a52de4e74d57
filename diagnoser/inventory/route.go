package inventory

import (
	"net/netip"
	"strings"
)

// Hop is the route that Azure takes for a destination from a subnet.
type Hop struct {
	// Type is a nextHopType of Azure: None, Internet, VirtualAppliance,
	// VnetLocal, VNetPeering, VirtualNetworkGateway, InterfaceEndpoint.
	Type   string
	IP     netip.Addr
	Prefix string
	// Route and Table are set when a user-defined route won.
	Route *Route
	Table *RouteTable
	// Unsure names a user-defined route by service tag that may win instead.
	Unsure string
}

// NextHop is the effective route: the longest prefix wins, at equal length a
// user-defined route before a system route
// (https://learn.microsoft.com/azure/virtual-network/virtual-networks-udr-overview#how-azure-selects-a-route).
// tags are service tags known to cover the destination.
func (i *Inventory) NextHop(n *VirtualNetwork, s *Subnet, dst netip.Addr, tags []string) Hop {
	dst = dst.Unmap()
	best, bits := i.systemRoute(n, dst)
	table := i.RouteTable(s.RouteTableID)
	if table == nil {
		return best
	}
	// Network policies for routes on the private endpoint's subnet let a route
	// as narrow as the endpoint's network override the endpoint's /32.
	weakened := best.Type == "InterfaceEndpoint" && i.routePoliciesAt(dst)
	peNet, _, _ := i.Holding(dst)
	unsure := ""
	user := -1
	for k := range table.Routes {
		r := &table.Routes[k]
		p, ok := ParsePrefix(r.Prefix)
		if !ok {
			switch tagCovers(r.Prefix, tags) {
			case yes:
				// A tag stands for prefixes that are longer than any default route.
				if user < 24 && bits <= 24 {
					user = 24
					best = userHop(r, table)
				}
			case maybe:
				unsure = r.Name
			}
			continue
		}
		if !p.Contains(dst) || p.Bits() <= user {
			continue
		}
		beats := p.Bits() >= bits
		if weakened && peNet != nil {
			for _, space := range peNet.Prefixes {
				beats = beats || p.Bits() >= space.Bits() && space.Contains(dst)
			}
		}
		if beats {
			user = p.Bits()
			best = userHop(r, table)
		}
	}
	best.Unsure = unsure
	return best
}

func userHop(r *Route, t *RouteTable) Hop {
	return Hop{Type: r.NextHop, IP: r.NextHopIP, Prefix: r.Prefix, Route: r, Table: t}
}

// systemRoute is what Azure routes without user-defined routes.
func (i *Inventory) systemRoute(n *VirtualNetwork, dst netip.Addr) (Hop, int) {
	best, bits := Hop{Type: "Internet", Prefix: "0.0.0.0/0"}, 0
	if dst.IsPrivate() {
		// Azure routes unused private space to None.
		best = Hop{Type: "None", Prefix: "private address space"}
	}
	take := func(kind string, p netip.Prefix) {
		if p.Contains(dst) && p.Bits() >= bits {
			best, bits = Hop{Type: kind, Prefix: p.String()}, p.Bits()
		}
	}
	for _, p := range n.Prefixes {
		take("VnetLocal", p)
	}
	reach := []*VirtualNetwork{n}
	for _, peer := range n.Peerings {
		r := i.Network(peer.RemoteID)
		if r == nil || !strings.EqualFold(peer.State, "Connected") {
			continue
		}
		reach = append(reach, r)
		for _, p := range r.Prefixes {
			take("VNetPeering", p)
		}
	}
	if best.Type == "None" && i.reachesGateway(n) {
		best = Hop{Type: "VirtualNetworkGateway", Prefix: best.Prefix}
	}
	// A private endpoint puts a /32 into its own network and those peered with it.
	if e := i.EndpointWith(dst); e != nil {
		for _, r := range reach {
			if SameID(Parent(e.SubnetID), r.ID) {
				return Hop{Type: "InterfaceEndpoint", Prefix: netip.PrefixFrom(dst, dst.BitLen()).String()}, dst.BitLen()
			}
		}
	}
	return best, bits
}

func (i *Inventory) routePoliciesAt(a netip.Addr) bool {
	e := i.EndpointWith(a)
	if e == nil {
		return false
	}
	_, s := i.Subnet(e.SubnetID)
	return s != nil && (strings.EqualFold(s.PrivateEndpointPolicies, "Enabled") || strings.EqualFold(s.PrivateEndpointPolicies, "RouteTableEnabled"))
}

// FilterPolicies says whether security groups apply to private endpoints in a subnet
// (https://learn.microsoft.com/azure/private-link/disable-private-endpoint-network-policy).
func (s *Subnet) FilterPolicies() bool {
	return strings.EqualFold(s.PrivateEndpointPolicies, "Enabled") || strings.EqualFold(s.PrivateEndpointPolicies, "NetworkSecurityGroupEnabled")
}

func tagCovers(tag string, tags []string) answer {
	if a := regional(tag, tags); a != no {
		return a
	}
	if strings.EqualFold(tag, "AzureCloud") && len(tags) > 0 {
		return yes
	}
	return no
}
