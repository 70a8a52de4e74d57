package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/acrlab/acrlab/harness/state"
)

// world is the input, decoded and with its references resolved.
type world struct {
	in          Input
	networks    []*network
	subnets     map[string]*subnet // by key of the id
	groups      map[string]state.SecurityGroup
	tables      map[string]state.RouteTable
	publicIPs   map[string]netip.Addr
	natGateways map[string]state.NATGateway
	interfaces  map[string]state.NetworkInterface
	zones       []zone
	registries  []*acr
	endpoints   []*endpoint
	firewalls   []*firewall
	machines    []state.VirtualMachine
	identities  []state.ManagedIdentity
	workspaces  []state.Workspace
	diagnostics []state.DiagnosticSetting
	site        site
}

// network is a virtual network.
type network struct {
	id, key, name, location string
	prefixes                []netip.Prefix
	dns                     []netip.Addr // custom servers
	subnets                 []*subnet
	peerings                []state.Peering
	// onPremises are the prefixes behind the network's gateway, or behind that
	// of a peer whose gateway it uses.
	onPremises []netip.Prefix
}

type subnet struct {
	id, key, name string
	network       *network
	prefixes      []netip.Prefix
	group, table  string // keys, empty for none
	nat           string
	services      []string // service endpoints, lower case
	policies      string   // privateEndpointNetworkPolicies
	privateOnly   bool     // defaultOutboundAccess false
}

func (s *subnet) gateway() netip.Addr { return gatewayOf(s.prefixes[0]) }

// has says whether the subnet has a service endpoint, which applies whatever
// its region is called.
func (s *subnet) has(service string) bool {
	return slices.ContainsFunc(s.services, func(x string) bool { return x == service || strings.HasPrefix(x, service+".") })
}

const (
	serviceRegistry = "microsoft.containerregistry"
	serviceStorage  = "microsoft.storage"
)

func read(in Input) (*world, error) {
	w := &world{
		in: in, subnets: map[string]*subnet{}, groups: map[string]state.SecurityGroup{}, tables: map[string]state.RouteTable{},
		publicIPs: map[string]netip.Addr{}, natGateways: map[string]state.NATGateway{}, interfaces: map[string]state.NetworkInterface{},
	}
	for _, step := range []func() error{
		w.readPlain, w.readNetworks, w.readRegistries, w.readEndpoints, w.readZones, w.readFirewalls, w.readSite,
		w.readIdentities, w.readMonitor,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// readPlain reads what refers to nothing.
func (w *world) readPlain() error {
	groups, err := state.SecurityGroups(w.in.State)
	if err != nil {
		return err
	}
	for _, g := range groups {
		w.groups[state.Key(g.ID)] = g
	}
	tables, err := state.RouteTables(w.in.State)
	if err != nil {
		return err
	}
	for _, t := range tables {
		w.tables[state.Key(t.ID)] = t
	}
	ips, err := state.PublicIPAddresses(w.in.State)
	if err != nil {
		return err
	}
	for _, ip := range ips {
		if ip.Properties.IPAddress == "" {
			continue // not allocated yet
		}
		a, err := parseAddr(ip.Properties.IPAddress)
		if err != nil {
			return fmt.Errorf("public IP address %s: %w", ip.Name, err)
		}
		w.publicIPs[state.Key(ip.ID)] = a
	}
	nats, err := state.NATGateways(w.in.State)
	if err != nil {
		return err
	}
	for _, n := range nats {
		w.natGateways[state.Key(n.ID)] = n
	}
	nics, err := state.NetworkInterfaces(w.in.State)
	if err != nil {
		return err
	}
	for _, n := range nics {
		w.interfaces[state.Key(n.ID)] = n
	}
	return nil
}

func (w *world) readNetworks() error {
	list, err := state.VirtualNetworks(w.in.State)
	if err != nil {
		return err
	}
	for _, v := range list {
		n := &network{id: v.ID, key: state.Key(v.ID), name: v.Name, location: v.Location, peerings: v.Properties.VirtualNetworkPeerings}
		if n.prefixes, err = parsePrefixes(v.Properties.AddressSpace.AddressPrefixes); err != nil {
			return fmt.Errorf("virtual network %s: reading its address space: %w", v.Name, err)
		}
		if o := v.Properties.DHCPOptions; o != nil {
			for _, s := range o.DNSServers {
				a, err := parseAddr(s)
				if err != nil {
					return fmt.Errorf("virtual network %s: reading its DNS servers: %w", v.Name, err)
				}
				n.dns = append(n.dns, a)
			}
		}
		for _, s := range v.Properties.Subnets {
			if err := w.readSubnet(n, s); err != nil {
				return fmt.Errorf("virtual network %s: subnet %s: %w", v.Name, s.Name, err)
			}
		}
		w.networks = append(w.networks, n)
	}
	return nil
}

func (w *world) readSubnet(n *network, s state.Subnet) error {
	id := s.ID
	if id == "" {
		id = n.id + "/subnets/" + s.Name
	}
	name := s.Name
	if name == "" {
		name = state.Name(id)
	}
	sub := &subnet{id: id, key: state.Key(id), name: name, network: n, policies: s.Properties.PrivateEndpointNetworkPolicies}
	var err error
	if sub.prefixes, err = parsePrefixes(s.Properties.Prefixes()); err != nil {
		return err
	}
	if len(sub.prefixes) == 0 {
		return fmt.Errorf("it has no IPv4 address prefix")
	}
	if r := s.Properties.NetworkSecurityGroup; r != nil && r.ID != "" {
		if sub.group = state.Key(r.ID); w.groups[sub.group].ID == "" {
			return fmt.Errorf("there is no network security group %s", r.ID)
		}
	}
	if r := s.Properties.RouteTable; r != nil && r.ID != "" {
		if sub.table = state.Key(r.ID); w.tables[sub.table].ID == "" {
			return fmt.Errorf("there is no route table %s", r.ID)
		}
	}
	if r := s.Properties.NATGateway; r != nil {
		sub.nat = state.Key(r.ID)
	}
	for _, e := range s.Properties.ServiceEndpoints {
		sub.services = append(sub.services, strings.ToLower(e.Service))
	}
	sub.privateOnly = s.Properties.DefaultOutboundAccess != nil && !*s.Properties.DefaultOutboundAccess
	n.subnets = append(n.subnets, sub)
	w.subnets[sub.key] = sub
	return nil
}

func (w *world) network(id string) *network {
	i := slices.IndexFunc(w.networks, func(n *network) bool { return n.key == state.Key(id) })
	if i < 0 {
		return nil
	}
	return w.networks[i]
}

// peers are the networks that n exchanges packets with: both halves of the
// peering exist, are connected and let traffic through.
// https://learn.microsoft.com/azure/virtual-network/virtual-network-peering-overview
func (w *world) peers(n *network) []*network {
	var out []*network
	for _, p := range n.peerings {
		remote := w.network(p.Properties.RemoteVirtualNetwork.ID)
		if remote == nil || remote == n || !open(p) || slices.Contains(out, remote) {
			continue
		}
		if back := w.peering(remote, n); back != nil && open(*back) {
			out = append(out, remote)
		}
	}
	return out
}

// peering is the half of a peering that belongs to n and leads to remote.
func (w *world) peering(n, remote *network) *state.Peering {
	for i, p := range n.peerings {
		if state.Key(p.Properties.RemoteVirtualNetwork.ID) == remote.key {
			return &n.peerings[i]
		}
	}
	return nil
}

func open(p state.Peering) bool {
	access := p.Properties.AllowVirtualNetworkAccess
	return strings.EqualFold(p.Properties.PeeringState, "Connected") && (access == nil || *access)
}

// egress is the public address that a subnet's connections leave from; not ok
// when it has none.
func (w *world) egress(s *subnet) (netip.Addr, bool) {
	if g, ok := w.natGateways[s.nat]; ok {
		for _, r := range g.Properties.PublicIPAddresses {
			if a, ok := w.publicIPs[state.Key(r.ID)]; ok {
				return a, true
			}
		}
	}
	if s.privateOnly {
		return netip.Addr{}, false
	}
	return defaultOutbound(s.network.id), true
}
