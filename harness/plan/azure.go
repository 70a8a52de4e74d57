package plan

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/acrlab/acrlab/fakes/dns"
)

const gatewayTable = 99

// buildAzure makes Azure's router: one routing table for every machine's
// subnet, security groups, translation to public addresses, and 168.63.129.16.
func (b *builder) buildAzure() error {
	h := b.host(azureHost, "Azure: virtual networks and their router")
	h.Forward = true
	h.Loopback = []netip.Addr{platformDNS, platformIMDS}
	b.link(
		End{Host: azureHost, Interface: internetInterface, Addresses: []netip.Prefix{internetLink[1]}},
		End{Host: internetHost, Interface: azureHost, Addresses: []netip.Prefix{internetLink[0]}},
	)
	var served []netip.Addr
	for _, p := range b.ports {
		if len(p.addresses) == 0 {
			continue // nothing there answers
		}
		b.host(p.host, p.role)
		b.attach(p.host, azureHost, p.iface, p.subnet.gateway(), p.addresses...)
		for _, a := range append(slices.Clone(p.addresses), p.public) {
			// Overlapping networks: the first machine has the address.
			if a.IsValid() && !slices.Contains(served, a) {
				served = append(served, a)
				h.Routes = append(h.Routes, Route{Destination: host(a), Interface: p.iface, Why: p.role + " " + p.host})
			}
		}
	}
	for _, p := range b.ports {
		if len(p.addresses) == 0 {
			continue
		}
		if err := b.routingTable(h, p.subnet, p.table); err != nil {
			return err
		}
		h.Rules = append(h.Rules, RouteRule{Priority: 1000 + p.table, Interface: p.iface, Table: p.table})
	}
	if err := b.gatewayTable(h); err != nil {
		return err
	}
	h.Routes = append(h.Routes, Route{Destination: everything, Blackhole: true, Why: "no machine has this address"})
	if err := b.securityGroups(h); err != nil {
		return err
	}
	b.forwardedTraffic(h)
	b.sourceTranslation(h)
	h.serve(Service{Name: "dns", Listen: listen(53, platformDNS), DNS: b.platformDNS()})
	machines, err := b.metadata()
	if err != nil {
		return err
	}
	h.serve(Service{Name: "imds", Listen: listen(80, platformIMDS), IMDS: machines})
	return nil
}

// gatewayTable routes what comes in from the site's private line. It follows
// the GatewaySubnet if the network has one.
func (b *builder) gatewayTable(h *Host) error {
	v := b.site.vpn
	if v == nil {
		return nil
	}
	s := &subnet{key: v.key + "/subnets/gatewaysubnet", name: "GatewaySubnet", network: v, prefixes: v.prefixes, privateOnly: true}
	for _, x := range v.subnets {
		if x.name == s.name {
			s = x
		}
	}
	if err := b.routingTable(h, s, gatewayTable); err != nil {
		return err
	}
	h.Rules = append(h.Rules, RouteRule{Priority: 1000 + gatewayTable, Interface: vpnInterface, Table: gatewayTable})
	for _, p := range b.site.onPremises {
		h.Routes = append(h.Routes, Route{Destination: p, Via: vpnLink[1].Addr(), Interface: vpnInterface, Why: "gateway route"})
	}
	return nil
}

// routingTable writes a subnet's effective routes into a table: a /32 for
// every machine, and the prefixes for everything else. A prefix of a virtual
// network leads nowhere beyond its machines.
func (b *builder) routingTable(h *Host, s *subnet, table int) error {
	routes, err := b.routes(s)
	if err != nil {
		return err
	}
	done := map[netip.Prefix]bool{}
	add := func(r Route) {
		if !done[r.Destination] {
			done[r.Destination] = true
			r.Table = table
			h.Routes = append(h.Routes, r)
		}
	}
	// Next hops are on link in every table.
	add(Route{Destination: host(internetLink[0].Addr()), Interface: internetInterface, Why: "link"})
	if b.site.vpn != nil {
		add(Route{Destination: host(vpnLink[1].Addr()), Interface: vpnInterface, Why: "link"})
	}
	var machines []Route
	for _, p := range b.ports {
		for _, a := range append(slices.Clone(p.addresses), p.dark...) {
			if owner, _ := b.owner(s.network, a); owner != p {
				continue // out of sight from this network
			}
			if r, ok := lookup(routes, a); ok {
				machines = append(machines, b.route(s, r, host(a)))
			}
		}
	}
	// On-link routes before those that go through them.
	slices.SortStableFunc(machines, func(x, y Route) int { return onLinkFirst(x) - onLinkFirst(y) })
	for _, r := range machines {
		add(r)
	}
	for _, r := range routes {
		if r.State == active && r.NextHopType != hopEndpoint {
			add(b.route(s, r, r.AddressPrefix))
		}
	}
	add(Route{Destination: everything, Blackhole: true, Why: "no route"})
	return nil
}

func onLinkFirst(r Route) int {
	if r.Via.IsValid() {
		return 1
	}
	return 0
}

// route is what an effective route does to packets for a prefix, which is a
// machine's or the route's own.
func (b *builder) route(s *subnet, r EffectiveRoute, to netip.Prefix) Route {
	out := Route{Destination: to, Why: r.String()}
	switch r.NextHopType {
	case hopLocal, hopPeering, hopEndpoint:
		if to.IsSingleIP() {
			if p, dark := b.owner(s.network, to.Addr()); p != nil && !dark {
				out.Interface = p.iface
			}
		}
	case hopInternet, hopServiceEndpoint:
		if _, ok := b.egress(s); ok || r.NextHopType == hopServiceEndpoint || b.leavesItself(s) {
			out.Via, out.Interface = internetLink[0].Addr(), internetInterface
		}
	case hopAppliance:
		if p, dark := b.owner(s.network, r.NextHopIPAddress); p != nil && !dark {
			out.Interface = p.iface
			if to != host(r.NextHopIPAddress) {
				out.Via = r.NextHopIPAddress
			}
		}
	case hopGateway:
		if len(s.network.onPremises) > 0 {
			out.Via, out.Interface = vpnLink[1].Addr(), vpnInterface
		}
	}
	if out.Blackhole = out.Interface == ""; out.Blackhole && r.NextHopType != hopNone {
		out.Why += ", which leads to nothing here"
	}
	return out
}

// leavesItself says whether a machine in the subnet has a public address.
func (b *builder) leavesItself(s *subnet) bool {
	return slices.ContainsFunc(b.ports, func(p *port) bool { return p.subnet == s && p.public.IsValid() })
}

// sourceTranslation gives connections to the internet their public source.
// What goes by a service endpoint keeps its private source: that is how the
// registry tells the subnet.
// https://learn.microsoft.com/azure/virtual-network/virtual-network-service-endpoints-overview
func (b *builder) sourceTranslation(h *Host) {
	out := []string{internetInterface}
	var seen []*subnet
	for _, p := range b.ports {
		if !slices.Contains(seen, p.subnet) && len(p.addresses) > 0 {
			seen = append(seen, p.subnet)
		}
	}
	for _, s := range seen {
		for _, service := range []struct{ name, tag string }{{serviceRegistry, "AzureContainerRegistry"}, {serviceStorage, "Storage"}} {
			if s.has(service.name) {
				list, _ := ServiceTag(service.tag)
				h.NAT = append(h.NAT, NATRule{Match: Match{Out: out, Source: s.prefixes, Destination: list}, Keep: true})
			}
		}
	}
	for _, p := range b.ports {
		if p.public.IsValid() {
			h.NAT = append(h.NAT, NATRule{Match: Match{Out: out, Source: hosts(p.addresses...)}, To: p.public})
		}
	}
	for _, s := range seen {
		if a, ok := b.egress(s); ok {
			h.NAT = append(h.NAT, NATRule{Match: Match{Out: out, Source: s.prefixes}, To: a})
		}
	}
}

// forwardedTraffic drops what a peer passes on for others, where the peering
// does not allow it.
// https://learn.microsoft.com/azure/virtual-network/virtual-network-manage-peering
func (b *builder) forwardedTraffic(h *Host) {
	for _, n := range b.networks {
		for _, remote := range b.peers(n) {
			half := b.peering(n, remote)
			from, to := b.interfacesOf(remote), b.interfacesOf(n)
			if half.Properties.AllowForwardedTraffic || len(from) == 0 || len(to) == 0 {
				continue
			}
			name := fmt.Sprintf("peering-%s-%s", n.name, remote.name)
			h.Filter = append(h.Filter, FilterRule{
				Name: name, Match: Match{In: from, Out: to}, Why: "the peering of " + n.name + " with " + remote.name + " does not allow forwarded traffic",
				Group: []FilterRule{
					{Name: name + "-own", Match: Match{Source: remote.prefixes}, Verdict: Accept},
					{Name: name + "-forwarded", Verdict: Drop},
				},
			})
		}
	}
}

func (b *builder) interfacesOf(n *network) []string {
	var out []string
	for _, p := range b.ports {
		if p.network() == n && len(p.addresses) > 0 {
			out = append(out, p.iface)
		}
	}
	return out
}

// platformDNS is 168.63.129.16: it answers machines of virtual networks alone,
// each with the zones that its network is linked to.
func (b *builder) platformDNS() *dns.Config {
	c := &dns.Config{Records: b.publicRecords(), OnlyViews: true}
	for _, n := range b.networks {
		var sources []netip.Prefix
		for _, p := range b.ports {
			if p.network() == n && len(p.addresses) > 0 && p.role != "private endpoints" {
				sources = append(sources, hosts(p.addresses...)...)
			}
		}
		if len(sources) == 0 {
			continue
		}
		c.Views = append(c.Views, dns.View{Source: sources, Zones: append(b.geoZones(n.location), b.zonesOf(n)...)})
	}
	return c
}
