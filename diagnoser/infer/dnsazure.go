package infer

import (
	"fmt"
	"strings"

	"github.com/acrlab/acrlab/diagnoser/inventory"
	"github.com/acrlab/acrlab/diagnoser/probe"
)

// asking is the virtual network whose private zones count: the one of the
// custom DNS server if names go through one, else the client's.
func (v *view) asking() *inventory.VirtualNetwork {
	if l := v.dns.effective; l != nil && v.dns.custom() {
		if n, _, _ := v.inv.Holding(l.Resolver); n != nil {
			return n
		}
	}
	return v.network
}

// zones are the visible private zones that could answer for a registry.
func (s *scene) zones() []*inventory.PrivateZone {
	var out []*inventory.PrivateZone
	if s.inv == nil {
		return nil
	}
	for i := range s.inv.Zones {
		if strings.EqualFold(s.inv.Zones[i].Name, s.zoneName()) {
			out = append(out, &s.inv.Zones[i])
		}
	}
	return out
}

// bestZone is the zone that holds the registry's record, else the first one.
func (s *scene) bestZone() *inventory.PrivateZone {
	zs := s.zones()
	for _, z := range zs {
		if _, ok := z.Record(s.registryLabel()); ok {
			return z
		}
	}
	if len(zs) > 0 {
		return zs[0]
	}
	return nil
}

// live are the private endpoints that exist and are approved.
func (s *scene) live() []*inventory.PrivateEndpoint {
	var out []*inventory.PrivateEndpoint
	if s.inv == nil {
		return nil
	}
	for i := range s.inv.Endpoints {
		if e := &s.inv.Endpoints[i]; e.Exists && strings.EqualFold(e.Status, "Approved") {
			out = append(out, e)
		}
	}
	return out
}

// inReach are the live endpoints in the client's network or one that is peered
// with it. Without a known network all are.
func (s *scene) inReach() []*inventory.PrivateEndpoint {
	all := s.live()
	if s.network == nil {
		return all
	}
	var own, peered []*inventory.PrivateEndpoint
	for _, e := range all {
		n := s.inv.Network(inventory.Parent(e.SubnetID))
		switch {
		case n == nil:
		case inventory.SameID(n.ID, s.network.ID):
			own = append(own, e)
		default:
			if ok, _ := s.inv.Peered(s.network, n); ok {
				peered = append(peered, e)
			}
		}
	}
	return append(own, peered...)
}

// endpoint is the private endpoint that this client should use.
func (s *scene) endpoint() *inventory.PrivateEndpoint {
	if near := s.inReach(); len(near) > 0 {
		return near[0]
	}
	if all := s.live(); len(all) > 0 {
		return all[0]
	}
	return nil
}

func networkName(n *inventory.VirtualNetwork, other string) string {
	if n == nil {
		return other
	}
	return "virtual network " + n.Name
}

func azureRecordMissing(v *view) ruling {
	if !v.inv.Known(inventory.PrivateEndpoints) {
		return unread
	}
	live := v.live()
	if len(live) == 0 {
		return exclude("the registry has no approved private endpoint that a record could name")
	}
	if !v.inv.Known(inventory.PrivateZones) {
		return confirm(fmt.Sprintf("private endpoint %s exists and is approved", live[0].Name))
	}
	z, _ := v.inv.Zone(v.asking(), v.alias())
	if z == nil {
		return confirm(fmt.Sprintf("private endpoint %s exists and is approved, and the zone that answers here is in no visible subscription", live[0].Name))
	}
	if addrs, ok := z.Record(inventory.Relative(v.alias(), z.Name)); ok {
		return exclude(fmt.Sprintf("zone %s holds %s", z.ID, addrList(addrs)))
	}
	return confirm(fmt.Sprintf("zone %s is linked to %s and has no A record %s; private endpoint %s exists", z.ID, networkName(v.asking(), "this network"), inventory.Relative(v.alias(), z.Name), live[0].Name))
}

// alias is the name that the private zone is asked for.
func (v *view) alias() string {
	return strings.TrimSuffix(strings.ToLower(v.host), "."+v.suffix()) + "." + v.zoneName()
}

func azureEndpointGone(v *view) ruling {
	if !v.inv.Known(inventory.PrivateEndpoints) {
		return unread
	}
	for i := range v.inv.Endpoints {
		if e := &v.inv.Endpoints[i]; e.Exists {
			return exclude(fmt.Sprintf("private endpoint %s of the registry exists (connection %s)", e.Name, e.Status))
		}
	}
	return confirm("the registry has no private endpoint left")
}

func azureZoneMissing(v *view) ruling {
	if !v.inv.Known(inventory.PrivateZones) {
		return unread
	}
	if r, ok := unreachableEndpoint(v); ok {
		return r
	}
	if zs := v.zones(); len(zs) > 0 {
		return exclude("zone " + zs[0].ID + " exists")
	}
	if r, ok := notApproved(v); ok {
		return r
	}
	return confirm(fmt.Sprintf("no visible subscription (%s) has a private DNS zone %s", strings.Join(v.inv.Subscriptions, ", "), v.zoneName()))
}

func azureZoneNotLinked(v *view) ruling {
	if !v.inv.Known(inventory.PrivateZones) {
		return unread
	}
	if r, ok := unreachableEndpoint(v); ok {
		return r
	}
	zs := v.zones()
	if len(zs) == 0 {
		return exclude("there is no zone " + v.zoneName() + " to link")
	}
	net := v.asking()
	if net == nil {
		for _, z := range zs {
			if len(z.Links) == 0 && z.LinksErr == "" {
				return confirm("zone " + z.ID + " is linked to no virtual network at all")
			}
		}
		return unread
	}
	for _, z := range zs {
		if z.LinksErr != "" {
			return unread
		}
	}
	if z, link := v.inv.Zone(net, v.alias()); z != nil {
		if strings.EqualFold(link.State, "InProgress") {
			return confirm(fmt.Sprintf("link %s of zone %s to %s is still InProgress", link.Name, z.Name, net.Name))
		}
		return exclude(fmt.Sprintf("zone %s is linked to virtual network %s by %s", z.ID, net.Name, link.Name))
	}
	if r, ok := notApproved(v); ok {
		return r
	}
	return confirm(fmt.Sprintf("zone %s has no link to virtual network %s%s", v.bestZone().ID, net.Name, linkedTo(v.bestZone())))
}

func linkedTo(z *inventory.PrivateZone) string {
	if len(z.Links) == 0 {
		return " (it has none)"
	}
	var names []string
	for _, l := range z.Links {
		names = append(names, inventory.Segment(l.NetworkID, "virtualNetworks"))
	}
	return " (it is linked to " + strings.Join(names, ", ") + ")"
}

// unreachableEndpoint rules on the zone's causes for a client whose network has
// no way to any private endpoint: a private answer would not help it, and with
// public access on it is meant to come by the registry's rules.
func unreachableEndpoint(v *view) (ruling, bool) {
	if !v.strandedFromEndpoint() || !v.inv.Known(inventory.Registries) || v.inv.Registry == nil || strings.EqualFold(v.inv.Registry.PublicNetworkAccess, "Disabled") {
		return unread, false
	}
	if _, denied := v.denied(); !denied {
		return unread, false
	}
	return exclude(fmt.Sprintf("virtual network %s has no way to any private endpoint of the registry, so its public address is the right one", v.network.Name)), true
}

// strandedFromEndpoint: the client's network is known, endpoints exist, and
// none is in it or in a peered network.
func (v *view) strandedFromEndpoint() bool {
	return v.network != nil && v.inv.Known(inventory.Networks, inventory.PrivateEndpoints) && len(v.live()) > 0 && len(v.inReach()) == 0
}

// notApproved rules on DNS causes where no endpoint is approved: its zone group
// has nothing to write.
func notApproved(v *view) (ruling, bool) {
	if r := azurePending(v); r.verdict == confirmed {
		return exclude(r.saw), true
	}
	return unread, false
}

func azureRecordFallsBack(v *view) ruling {
	if !v.inv.Known(inventory.PrivateZones) {
		return unread
	}
	z, link := v.inv.Zone(v.asking(), v.alias())
	if z == nil || !link.Fallback {
		return unread
	}
	rel := inventory.Relative(v.alias(), z.Name)
	if _, ok := z.Record(rel); ok {
		return unread
	}
	return confirm(fmt.Sprintf("zone %s has no A record %s, and link %s has resolutionPolicy NxDomainRedirect", z.ID, rel, link.Name))
}

func azureOnPremDNS(v *view) ruling {
	for i := range v.r.Endpoints {
		p := &v.r.Endpoints[i]
		if e := v.inv.EndpointWith(p.Addr); e != nil && p.TCP != nil && p.TCP.Outcome == probe.Connected {
			return confirm(fmt.Sprintf("private endpoint %s answers from here: %s", e.Name, tcpText(p)))
		}
	}
	if !v.inv.Known(inventory.Gateways, inventory.Networks, inventory.PrivateEndpoints) {
		return unread
	}
	for _, e := range v.live() {
		for _, g := range v.inv.GatewayNetworks {
			if inventory.SameID(g, inventory.Parent(e.SubnetID)) {
				return confirm(fmt.Sprintf("the virtual network of private endpoint %s has a gateway to networks outside Azure", e.Name))
			}
			gn, pn := v.inv.Network(g), v.inv.Network(inventory.Parent(e.SubnetID))
			if gn != nil && pn != nil {
				if ok, _ := v.inv.Peered(gn, pn); ok {
					return confirm(fmt.Sprintf("virtual network %s, peered with that of private endpoint %s, has a gateway to networks outside Azure", gn.Name, e.Name))
				}
			}
		}
	}
	return exclude("no virtual network with a private endpoint of the registry has a gateway to networks outside Azure")
}
