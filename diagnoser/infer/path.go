package infer

import (
	"fmt"
	"strings"

	"github.com/acrlab/acrlab/diagnoser/inventory"
	"github.com/acrlab/acrlab/diagnoser/probe"
	"github.com/acrlab/acrlab/diagnosis"
)

// packetTable: the login server has the right address and TCP does not stand.
var packetTable = []situation{
	{
		name: "the private endpoint does not answer", family: familyPackets,
		seen: seesPrivateSilence, causes: privateCauses,
	},
	{
		name: "the public endpoint does not answer", family: familyPackets,
		seen: seesPublicSilence(probe.RoleLogin),
		causes: []candidate{
			{
				cause: diagnosis.FirewallDropsRest, azure: azureFirewallDrops,
				decidedBy: "az network nic list-effective-nsg and az network nic show-effective-route-table of this client's NIC (neither denies: a firewall does)",
				summary: func(v *view) string {
					return fmt.Sprintf("A firewall between this client and Azure drops packets to %s port 443 without an answer.", v.host)
				},
				remedy: remedyFirewall,
			},
			nsgOutbound, udrBlackhole,
		},
	},
	{
		name: "connections to the login server are refused at once", family: familyPackets,
		seen: seesRejected,
		causes: []candidate{{
			cause: diagnosis.FirewallRejectsRest,
			summary: func(v *view) string {
				return fmt.Sprintf("A firewall rejects connections to %s port 443 with %s.", v.host, rejection(v.path))
			},
			remedy: remedyFirewall,
		}},
	},
}

// ipv6Table stands apart: the client gets through in the end, after a wait.
var ipv6Table = []situation{{
	name: "only the IPv6 addresses are silent", family: familyPackets,
	seen: seesIPv6Silence,
	causes: []candidate{{
		cause: diagnosis.IPv6PathBlackholed,
		summary: func(v *view) string {
			return fmt.Sprintf("%s has IPv6 addresses that do not answer from here; clients that try them first wait for a timeout.", v.host)
		},
		remedy: func(v *view) diagnosis.Remedy {
			return diagnosis.Remedy{Summary: "Let TCP 443 to the registry's IPv6 addresses pass, or give this client no IPv6 default route."}
		},
	}},
}}

var nsgOutbound = candidate{
	cause: diagnosis.NSGOutboundDeny, applies: mayBeInVNet, azure: azureOutboundRule,
	decidedBy: "az network nic list-effective-nsg --name NIC --resource-group GROUP (does an outbound rule deny 443 to the registry?)",
	summary: func(v *view) string {
		if g, r := v.outboundRuling(); g != nil && r.Rule != nil {
			return fmt.Sprintf("Outbound rule %s of network security group %s denies this subnet TCP 443 to %s.", r.Rule.Name, g.Name, v.host)
		}
		return fmt.Sprintf("An outbound rule of the subnet's network security group denies TCP 443 to %s.", v.host)
	},
	remedy: remedyOutboundRule,
}

var udrBlackhole = candidate{
	cause: diagnosis.UDRBlackhole, applies: mayBeInVNet, azure: azureRoute,
	decidedBy: "az network nic show-effective-route-table --name NIC --resource-group GROUP (is the next hop None, or an appliance that is down?)",
	summary: func(v *view) string {
		if h, ok := v.hop(); ok && h.Route != nil {
			return fmt.Sprintf("Route %s (%s, next hop %s) of route table %s leads packets to %s nowhere.", h.Route.Name, h.Prefix, hopText(h), h.Table.Name, v.host)
		}
		return fmt.Sprintf("A user-defined route of the subnet leads packets to %s nowhere.", v.host)
	},
	remedy: remedyRoute,
}

func mayBeInVNet(v *view) bool { return !v.outside() }

// silent: nothing came back to the SYN.
func (v *view) silent() bool {
	return v.path != nil && !v.proxied() && v.path.TCP != nil && v.path.TCP.Outcome == probe.Silence
}

func seesPublicSilence(role probe.EndpointRole) func(*view) (sighting, bool) {
	return func(v *view) (sighting, bool) {
		if !v.silent() || v.role != role || v.isPrivate(v.path.Addr) {
			return sighting{}, false
		}
		out := sighting{evidence: append([]diagnosis.Evidence{pathEvidence(v.path, "packets are dropped on the way, there or back")}, v.controlEvidence()...)}
		tried, fine := v.controls()
		if v.outside() {
			out.evidence = append(out.evidence, diagnosis.Evidence{Probe: "dns", Saw: "168.63.129.16 does not answer here", Means: "the client is not in an Azure virtual network: no network security group or route of Azure applies to it"})
			out.excluded = []diagnosis.Exclusion{
				{Cause: diagnosis.NSGOutboundDeny, Because: "the client is not in a virtual network"},
				{Cause: diagnosis.UDRBlackhole, Because: "the client is not in a virtual network"},
			}
			if tried > 0 && fine == 0 && !v.login.sound() {
				out.weak = "a connection from here to anything else: all that were tried fail"
			}
		}
		if v.class(v.dns.effective) == public {
			out.excluded = append(out.excluded, diagnosis.Exclusion{Cause: diagnosis.DNSNameWrong, Because: "the name resolves"})
		}
		return out, true
	}
}

func seesRejected(v *view) (sighting, bool) {
	if v.path == nil || v.proxied() || v.path.TCP == nil {
		return sighting{}, false
	}
	switch v.path.TCP.Outcome {
	case probe.Reset, probe.HostUnreach, probe.NetUnreach:
	default:
		return sighting{}, false
	}
	return sighting{
		evidence: append([]diagnosis.Evidence{pathEvidence(v.path, "a device answers in the registry's place; Azure's own filters and routes are silent")}, v.controlEvidence()...),
		excluded: []diagnosis.Exclusion{
			{Cause: diagnosis.FirewallDropsRest, Because: "the refusal came back at once"},
			{Cause: diagnosis.NSGOutboundDeny, Because: "network security groups drop without an answer"},
		},
	}, true
}

func rejection(p *probe.Path) string {
	switch p.TCP.Outcome {
	case probe.Reset:
		return "a TCP RST"
	case probe.HostUnreach:
		return "ICMP host unreachable or prohibited"
	}
	return "ICMP network unreachable"
}

func seesIPv6Silence(v *view) (sighting, bool) {
	if v.proxied() || !v.sound() || v.path.Addr.Is6() {
		return sighting{}, false
	}
	for _, p := range v.siblings {
		if p.Addr.Is6() && p.TCP != nil && p.TCP.Outcome == probe.Silence {
			return sighting{
				evidence: []diagnosis.Evidence{
					pathEvidence(p, "IPv6 packets are dropped"),
					{Probe: "tcp", Saw: tcpText(v.path), Means: "IPv4 passes"},
				},
				excluded: []diagnosis.Exclusion{{Cause: diagnosis.FirewallDropsRest, Because: "the IPv4 address answers"}},
			}, true
		}
	}
	return sighting{}, false
}

// flow is the first packet of the client's connection to the endpoint.
func (v *view) flow(to addr) inventory.Flow {
	f := inventory.Flow{Source: v.r.Vantage.Source, Destination: to, Port: 443}
	if !v.isPrivate(to) {
		f.DestinationTags = v.tags()
	}
	return f
}

// outboundRuling evaluates the client subnet's network security group.
func (v *view) outboundRuling() (*inventory.SecurityGroup, inventory.Ruling) {
	if v.subnet == nil {
		return nil, inventory.Ruling{}
	}
	g := v.inv.SecurityGroup(v.subnet.SecurityGroupID)
	if g == nil {
		return nil, inventory.Ruling{}
	}
	return g, v.inv.Decide(g, inventory.Outbound, v.flow(v.addr()), v.network)
}

func azureOutboundRule(v *view) ruling {
	if v.subnet == nil || !v.inv.Known(inventory.Networks) {
		return unread
	}
	if v.subnet.SecurityGroupID == "" {
		return exclude(fmt.Sprintf("subnet %s/%s has no network security group", v.network.Name, v.subnet.Name))
	}
	g, r := v.outboundRuling()
	switch {
	case g == nil:
		return unread
	case !r.Allow:
		return confirm(fmt.Sprintf("%s to %s", ruleText(r), v.addr()))
	case r.Unsure != "":
		return unread
	}
	return exclude(fmt.Sprintf("%s to %s", ruleText(r), v.addr()))
}

// hop is Azure's effective route from the client to the endpoint.
func (v *view) hop() (inventory.Hop, bool) {
	if v.subnet == nil || !v.addr().IsValid() || v.subnet.RouteTableID != "" && v.inv.RouteTable(v.subnet.RouteTableID) == nil {
		return inventory.Hop{}, false
	}
	return v.inv.NextHop(v.network, v.subnet, v.addr(), v.flow(v.addr()).DestinationTags), true
}

func hopText(h inventory.Hop) string {
	if h.IP.IsValid() {
		return h.Type + " " + h.IP.String()
	}
	return h.Type
}

func azureRoute(v *view) ruling {
	h, ok := v.hop()
	if !ok {
		return unread
	}
	if h.Route == nil {
		if h.Unsure != "" {
			return unread
		}
		return exclude(fmt.Sprintf("subnet %s/%s has no user-defined route for %s (next hop %s)", v.network.Name, v.subnet.Name, v.addr(), h.Type))
	}
	text := fmt.Sprintf("route %s of table %s sends %s to %s", h.Route.Name, h.Table.Name, h.Prefix, hopText(h))
	switch {
	case strings.EqualFold(h.Type, "None"):
		return confirm(text + ", which drops in silence")
	case strings.EqualFold(h.Type, "VirtualNetworkGateway") && len(v.inv.GatewayNetworks) == 0 && v.inv.Known(inventory.Gateways):
		return confirm(text + ", and there is no gateway")
	case strings.EqualFold(h.Type, "VirtualAppliance"):
		if f := v.inv.FirewallAt(h.IP); f != nil {
			return exclude(text + ", which is Azure Firewall " + f.Name)
		}
		if n, _, _ := v.inv.Holding(h.IP); n == nil && h.IP.IsPrivate() {
			return confirm(text + ", an address of no visible virtual network")
		}
		if !v.inv.Known(inventory.Firewalls) {
			return unread
		}
		return unread // an appliance that may be down, or may drop
	}
	return exclude(text)
}

// azureFirewallDrops: what Azure itself would let through and is still silent
// is dropped by a firewall.
func azureFirewallDrops(v *view) ruling {
	if v.outside() {
		return unread
	}
	if f, pass := v.azureFirewall(); f != nil && !pass.Allow {
		return confirm(firewallText(f, pass, v.host))
	}
	n, u := azureOutboundRule(v), azureRoute(v)
	switch {
	case n.verdict == confirmed:
		return exclude("a network security group already drops the packets: " + n.saw)
	case u.verdict == confirmed:
		return exclude("a route already drops the packets: " + u.saw)
	case n.verdict == excluded && u.verdict == excluded:
		return confirm("Azure lets the packets out: " + n.saw + "; " + u.saw)
	}
	return unread
}

// azureFirewall is the Azure Firewall on the client's route, and its decision.
func (v *view) azureFirewall() (*inventory.Firewall, inventory.Passage) {
	h, ok := v.hop()
	if !ok || !strings.EqualFold(h.Type, "VirtualAppliance") {
		return nil, inventory.Passage{}
	}
	f := v.inv.FirewallAt(h.IP)
	if f == nil || f.RulesErr != "" {
		return nil, inventory.Passage{}
	}
	return f, f.Pass(v.host, v.flow(v.addr()))
}

func firewallText(f *inventory.Firewall, p inventory.Passage, host string) string {
	if p.By != "" {
		return fmt.Sprintf("Azure Firewall %s on the route denies %s by rule %s", f.Name, host, p.By)
	}
	return fmt.Sprintf("Azure Firewall %s on the route has no rule that allows %s on port 443", f.Name, host)
}
