package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/acrlab/acrlab/harness/state"
)

// port is an interface of Azure's router to a machine in a virtual network.
type port struct {
	host, role string
	iface      string
	subnet     *subnet
	addresses  []netip.Addr
	groups     []string   // keys of the network security groups that apply
	public     netip.Addr // of the machine itself, zero for none
	table      int
	// dark addresses belong to private endpoints that nobody approved: packets
	// to them go nowhere.
	dark []netip.Addr
}

func (p *port) network() *network { return p.subnet.network }

const firstTable = 100

// buildPorts lists the machines that Azure's router serves.
func (b *builder) buildPorts() error {
	if b.site.kind == inAzure {
		b.addPort(&port{host: clientHost, role: "client", subnet: b.site.subnet, addresses: []netip.Addr{b.site.client}}, b.site.nic)
	}
	if p := b.site.proxy; p != nil && p.subnet != nil {
		b.addPort(&port{host: proxyHost, role: "HTTPS proxy", subnet: p.subnet, addresses: []netip.Addr{p.address}}, p.nic)
	}
	for _, name := range keys(b.in.DNSServers) {
		nic, ok := b.interfaces[state.Key(state.DNSServerNIC(name))]
		if !ok || len(nic.Properties.IPConfigurations) == 0 {
			continue // the machine was deleted
		}
		c := nic.Properties.IPConfigurations[0].Properties
		a, err := parseAddr(c.PrivateIPAddress)
		if err != nil {
			return fmt.Errorf("DNS server %s: %w", name, err)
		}
		s := b.subnets[state.Key(c.Subnet.ID)]
		if s == nil {
			return fmt.Errorf("DNS server %s: there is no subnet %q", name, c.Subnet.ID)
		}
		b.addPort(&port{host: "dns-" + name, role: "DNS server", subnet: s, addresses: []netip.Addr{a}}, nic)
	}
	for _, f := range b.firewalls {
		b.addPort(&port{host: "firewall-" + f.name, role: "Azure Firewall", subnet: f.subnet, addresses: []netip.Addr{f.address}, public: f.public}, state.NetworkInterface{})
	}
	for _, s := range b.endpointSubnets() {
		p := &port{host: endpointHost(s), role: "private endpoints", subnet: s}
		for _, e := range b.endpoints {
			for _, m := range e.members {
				if e.subnet != s {
					continue
				}
				if e.approved {
					p.addresses = append(p.addresses, m.address)
				} else {
					p.dark = append(p.dark, m.address)
				}
			}
		}
		b.addPort(p, state.NetworkInterface{})
	}
	return nil
}

// endpointSubnets are the subnets that hold private endpoints, by id.
func (b *builder) endpointSubnets() []*subnet {
	var out []*subnet
	for _, e := range b.endpoints {
		if !slices.Contains(out, e.subnet) {
			out = append(out, e.subnet)
		}
	}
	slices.SortFunc(out, func(x, y *subnet) int { return strings.Compare(x.key, y.key) })
	return out
}

func endpointHost(s *subnet) string { return "privatelink-" + s.network.name + "-" + s.name }

func (b *builder) addPort(p *port, nic state.NetworkInterface) {
	p.iface = interfaceName(p.host)
	p.table = firstTable + len(b.ports)
	// A group on a private endpoint's subnet applies to the endpoint only if
	// the subnet's network policies say so.
	if p.subnet.group != "" && (p.role != "private endpoints" || p.subnet.applies("NetworkSecurityGroup")) {
		p.groups = append(p.groups, p.subnet.group)
	}
	if g := nic.Properties.NetworkSecurityGroup; g != nil {
		if key := state.Key(g.ID); b.groups[key].ID != "" && !slices.Contains(p.groups, key) {
			p.groups = append(p.groups, key)
		}
	}
	for _, c := range nic.Properties.IPConfigurations {
		if r := c.Properties.PublicIPAddress; r != nil && !p.public.IsValid() {
			p.public = b.publicIPs[state.Key(r.ID)]
		}
	}
	b.ports = append(b.ports, p)
}

// owner is the port that holds an address as network n sees it: its own
// machines first, then those of its peers.
func (b *builder) owner(n *network, a netip.Addr) (p *port, dark bool) {
	for _, in := range append([]*network{n}, b.peers(n)...) {
		for _, p := range b.ports {
			if p.network() != in {
				continue
			}
			if slices.Contains(p.addresses, a) {
				return p, false
			}
			if slices.Contains(p.dark, a) {
				return p, true
			}
		}
	}
	return nil, false
}
