package infer

import (
	"fmt"
	"strings"

	"github.com/acrlab/acrlab/diagnoser/inventory"
	"github.com/acrlab/acrlab/diagnoser/probe"
	"github.com/acrlab/acrlab/diagnosis"
)

// privateCauses explain a private address that does not answer. They share all
// network evidence.
var privateCauses = []candidate{
	{
		cause: diagnosis.DNSZoneRecordOverwritten, azure: azureOverwritten,
		decidedBy: "az network private-endpoint list, then the addresses of each endpoint's NIC (is the resolved address one of this network's endpoint?)",
		summary: func(v *view) string {
			if e := v.endpoint(); e != nil && v.inv.Known(inventory.PrivateEndpoints) {
				return fmt.Sprintf("The private DNS zone's record for %s holds %s; the private endpoint that serves this network, %s, has %s.", v.host, v.addr(), e.Name, e.AddressOf(v.host))
			}
			return fmt.Sprintf("The private DNS zone's record for %s may hold the address of another network's private endpoint.", v.host)
		},
		remedy: remedyRecords,
	},
	{
		cause: diagnosis.PEDeletedZoneLeft, azure: azureEndpointGoneAt,
		decidedBy: "az acr show -n NAME --query privateEndpointConnections (empty: the private endpoint was deleted)",
		summary: func(v *view) string {
			return fmt.Sprintf("The registry has no private endpoint any more; the private DNS zone %s still leads to %s, where nothing answers.", v.zoneName(), v.addr())
		},
		remedy: remedyZoneLeft,
	},
	pending.asListed(),
	{
		cause: diagnosis.VNetPeeringMissing, azure: azurePeering,
		decidedBy: "az network vnet peering list of this client's virtual network (Connected to that of the private endpoint, both ways?)",
		summary: func(v *view) string {
			if from, to := v.network, v.endpointNetwork(); from != nil && to != nil {
				return fmt.Sprintf("Virtual network %s, where this client is, has no working peering with %s, where the private endpoint %s is.", from.Name, to.Name, v.addr())
			}
			return fmt.Sprintf("This client's virtual network may not be peered with that of the private endpoint %s.", v.addr())
		},
		remedy: remedyPeering,
	},
	{
		cause: diagnosis.UDRBlackhole, azure: azureRoute,
		decidedBy: udrBlackhole.decidedBy,
		summary:   udrBlackhole.summary, remedy: remedyRoute,
	},
	{
		cause: diagnosis.PENSGBlock, azure: azureEndpointRule,
		decidedBy: "az network vnet subnet show of the private endpoint's subnet (privateEndpointNetworkPolicies Enabled, and does its network security group deny 443 from this client?)",
		summary: func(v *view) string {
			if r, ok := v.inboundRuling(); ok && r.Rule != nil {
				return fmt.Sprintf("Inbound rule %s of network security group %s on the private endpoint's subnet denies this client TCP 443 to %s.", r.Rule.Name, r.Group.Name, v.addr())
			}
			return fmt.Sprintf("A network security group on the private endpoint's subnet may deny this client TCP 443 to %s.", v.addr())
		},
		remedy: remedyInboundRule,
	},
	{
		cause: diagnosis.NSGOutboundDeny, applies: mayBeInVNet, azure: azureOutboundRule,
		decidedBy: nsgOutbound.decidedBy,
		summary:   nsgOutbound.summary, remedy: remedyOutboundRule,
	},
	{
		cause: diagnosis.FirewallDropsRest, hidden: true, azure: azureFirewallOnRoute,
		applies: func(v *view) bool { return v.role == probe.RoleLogin },
		summary: func(v *view) string {
			return fmt.Sprintf("An Azure Firewall on the route to the private endpoint %s denies port 443.", v.addr())
		},
		remedy: remedyFirewall,
	},
	{
		cause: diagnosis.FirewallDropsData, hidden: true, azure: azureFirewallOnRoute,
		applies: func(v *view) bool { return v.role == probe.RoleData },
		summary: func(v *view) string {
			return fmt.Sprintf("An Azure Firewall on the route to the private endpoint %s denies port 443.", v.addr())
		},
		remedy: remedyFirewall,
	},
}

func seesPrivateSilence(v *view) (sighting, bool) {
	if v.path == nil || v.proxied() || v.path.TCP == nil || !v.isPrivate(v.path.Addr) {
		return sighting{}, false
	}
	// EHOSTUNREACH after seconds is an unanswered ARP request of the last hop.
	if o := v.path.TCP.Outcome; o != probe.Silence && o != probe.HostUnreach {
		return sighting{}, false
	}
	out := sighting{}
	if l := v.dns.effective; l != nil {
		out.evidence = append(out.evidence, dnsEvidence(l, "the name leads to a private address, as with a private endpoint it should"))
	}
	out.evidence = append(out.evidence, pathEvidence(v.path, "packets to the private address are dropped, or nobody holds it"))
	if linked(v.dns.effective) {
		out.excluded = append(out.excluded, diagnosis.Exclusion{Cause: diagnosis.DNSZoneNotLinked, Because: "the private zone answers here"})
	}
	if v.dns.hosts == nil && v.class(v.dns.azure) == private {
		out.excluded = append(out.excluded, diagnosis.Exclusion{Cause: diagnosis.CustomDNSNoForwarder, Because: "168.63.129.16 gives a private address as well"})
	}
	return out, true
}

// endpointNetwork is the virtual network that holds the private address.
func (v *view) endpointNetwork() *inventory.VirtualNetwork {
	e := v.inv.EndpointWith(v.addr())
	if e == nil {
		return nil
	}
	return v.inv.Network(inventory.Parent(e.SubnetID))
}

func azureOverwritten(v *view) ruling {
	if !v.inv.Known(inventory.PrivateEndpoints) {
		return unread
	}
	live := v.live()
	if len(live) == 0 {
		return exclude("the registry has no approved private endpoint with another address")
	}
	at := v.inv.EndpointWith(v.addr())
	if at == nil {
		return confirm(fmt.Sprintf("%s belongs to no private endpoint of the registry; %s has %s", v.addr(), live[0].Name, live[0].AddressOf(v.host)))
	}
	if !v.inv.Known(inventory.Networks) || v.network == nil {
		return unread
	}
	for _, e := range v.inReach() {
		if e == at {
			return exclude(fmt.Sprintf("%s is the address of private endpoint %s, which serves this network", v.addr(), at.Name))
		}
	}
	if near := v.inReach(); len(near) > 0 {
		return confirm(fmt.Sprintf("%s is the address of private endpoint %s, out of reach of %s; its own private endpoint %s has %s", v.addr(), at.Name, v.network.Name, near[0].Name, near[0].AddressOf(v.host)))
	}
	return exclude(fmt.Sprintf("%s is the address of private endpoint %s, and this network has no other", v.addr(), at.Name))
}

func azureEndpointGoneAt(v *view) ruling {
	if !v.inv.Known(inventory.PrivateEndpoints) {
		return unread
	}
	if e := v.inv.EndpointWith(v.addr()); e != nil {
		return exclude(fmt.Sprintf("private endpoint %s exists and holds %s", e.Name, v.addr()))
	}
	return azureEndpointGone(v)
}

func azurePeering(v *view) ruling {
	if !v.inv.Known(inventory.Networks, inventory.PrivateEndpoints) {
		return unread
	}
	e := v.inv.EndpointWith(v.addr())
	if e == nil {
		return exclude(fmt.Sprintf("%s belongs to no private endpoint of the registry, in whichever network", v.addr()))
	}
	to := v.endpointNetwork()
	if v.network == nil || to == nil {
		return unread
	}
	if inventory.SameID(v.network.ID, to.ID) {
		return exclude("client and private endpoint are in the same virtual network " + to.Name)
	}
	if len(v.inReach()) > 0 && !v.reaches(e) {
		return exclude("this network has a private endpoint of its own; the record leads elsewhere")
	}
	ok, because := v.inv.Peered(v.network, to)
	if ok {
		return exclude(fmt.Sprintf("%s and %s are peered and Connected both ways", v.network.Name, to.Name))
	}
	if h, known := v.hop(); known && strings.EqualFold(h.Type, "VirtualAppliance") {
		return unread // a hub appliance carries packets between networks that are not peered
	}
	return confirm(because)
}

func (v *view) reaches(e *inventory.PrivateEndpoint) bool {
	for _, n := range v.inReach() {
		if n == e {
			return true
		}
	}
	return false
}

// inboundRuling evaluates the network security group of the endpoint's subnet.
func (v *view) inboundRuling() (inventory.Ruling, bool) {
	e := v.inv.EndpointWith(v.addr())
	if e == nil {
		return inventory.Ruling{}, false
	}
	n, s := v.inv.Subnet(e.SubnetID)
	if s == nil || !s.FilterPolicies() {
		return inventory.Ruling{}, false
	}
	g := v.inv.SecurityGroup(s.SecurityGroupID)
	if g == nil {
		return inventory.Ruling{}, false
	}
	return v.inv.Decide(g, inventory.Inbound, v.flow(v.addr()), n), true
}

func azureEndpointRule(v *view) ruling {
	if !v.inv.Known(inventory.Networks, inventory.PrivateEndpoints) {
		return unread
	}
	e := v.inv.EndpointWith(v.addr())
	if e == nil {
		return exclude(fmt.Sprintf("%s belongs to no private endpoint of the registry", v.addr()))
	}
	_, s := v.inv.Subnet(e.SubnetID)
	switch {
	case s == nil:
		return unread
	case s.SecurityGroupID == "":
		return exclude("the private endpoint's subnet " + s.Name + " has no network security group")
	case !s.FilterPolicies():
		return exclude(fmt.Sprintf("privateEndpointNetworkPolicies of subnet %s is %s: network security groups do not apply to private endpoints there", s.Name, orUnset(s.PrivateEndpointPolicies)))
	}
	r, ok := v.inboundRuling()
	switch {
	case !ok:
		return unread
	case !r.Allow:
		return confirm(fmt.Sprintf("%s from %s to %s", ruleText(r), v.r.Vantage.Source, v.addr()))
	case r.Unsure != "":
		return unread
	}
	return exclude(fmt.Sprintf("%s from %s to %s", ruleText(r), v.r.Vantage.Source, v.addr()))
}

func azureFirewallOnRoute(v *view) ruling {
	if f, p := v.azureFirewall(); f != nil && !p.Allow {
		return confirm(firewallText(f, p, v.host))
	}
	return unread
}

func orUnset(s string) string {
	if s == "" {
		return "Disabled"
	}
	return s
}

// pending is a private endpoint that the registry's owner has not let in.
var pending = candidate{
	cause: diagnosis.PENotApproved, hidden: true, azure: azurePending,
	decidedBy: "az acr private-endpoint-connection list --registry-name NAME",
	summary: func(v *view) string {
		if e := v.unapproved(); e != nil {
			return fmt.Sprintf("The connection of private endpoint %s is %s, not Approved, so it carries nothing.", e.Name, e.Status)
		}
		return "The private endpoint's connection is not approved, so it carries nothing."
	},
	remedy: remedyApprove,
}

// asListed names the cause from the network alone as well: an endpoint that is
// not approved is as silent as any.
func (c candidate) asListed() candidate {
	c.hidden = false
	c.azure = func(v *view) ruling {
		r := azurePending(v)
		if r.verdict != unknown || !v.inv.Known(inventory.PrivateEndpoints) {
			return r
		}
		if live := v.live(); len(live) > 0 {
			return exclude("the connection of private endpoint " + live[0].Name + " is Approved")
		}
		return exclude("no private endpoint waits for approval")
	}
	return c
}

func (s *scene) unapproved() *inventory.PrivateEndpoint {
	if s.inv == nil {
		return nil
	}
	for i := range s.inv.Endpoints {
		if e := &s.inv.Endpoints[i]; e.Exists && !strings.EqualFold(e.Status, "Approved") && e.Status != "" {
			return e
		}
	}
	return nil
}

// azurePending: an endpoint waits for approval and none is approved.
func azurePending(v *view) ruling {
	if !v.inv.Known(inventory.PrivateEndpoints) || len(v.live()) > 0 {
		return unread
	}
	e := v.unapproved()
	if e == nil {
		return unread
	}
	if v.network != nil {
		// An endpoint in a network that the client has no way to is no help to it.
		to := v.inv.Network(inventory.Parent(e.SubnetID))
		if to != nil {
			if ok, _ := v.inv.Peered(v.network, to); !ok {
				return unread
			}
		}
	}
	return confirm(fmt.Sprintf("connection of private endpoint %s: %s", e.Name, e.Status))
}
