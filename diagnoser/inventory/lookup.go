package inventory

import (
	"net/netip"
	"slices"
	"strings"
)

// SameID compares resource ids; ARM ids are case-insensitive
// (https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules).
func SameID(a, b string) bool {
	return strings.EqualFold(strings.TrimSuffix(a, "/"), strings.TrimSuffix(b, "/"))
}

// Segment returns what follows a key in a resource id: Segment(id,
// "resourceGroups") is the resource group. Empty if the id has no such key.
func Segment(id, key string) string {
	parts := strings.Split(id, "/")
	for i := 0; i+1 < len(parts); i++ {
		if strings.EqualFold(parts[i], key) {
			return parts[i+1]
		}
	}
	return ""
}

// Parent cuts the last type/name pair off a child's id.
func Parent(id string) string {
	for range 2 {
		i := strings.LastIndexByte(id, '/')
		if i < 0 {
			return ""
		}
		id = id[:i]
	}
	return id
}

// Network finds a virtual network by id.
func (i *Inventory) Network(id string) *VirtualNetwork {
	if i == nil {
		return nil
	}
	for k := range i.Networks {
		if SameID(i.Networks[k].ID, id) {
			return &i.Networks[k]
		}
	}
	return nil
}

// Subnet finds a subnet by id, with its network.
func (i *Inventory) Subnet(id string) (*VirtualNetwork, *Subnet) {
	n := i.Network(Parent(id))
	if n == nil {
		return nil, nil
	}
	for k := range n.Subnets {
		if SameID(n.Subnets[k].ID, id) {
			return n, &n.Subnets[k]
		}
	}
	return n, nil
}

// Holding finds the subnet that contains the address, the longest prefix
// first. Address ranges of unrelated networks may overlap: ambiguous says that
// another network holds it as well, and then none is returned.
func (i *Inventory) Holding(a netip.Addr) (net *VirtualNetwork, sub *Subnet, ambiguous bool) {
	if i == nil || !a.IsValid() {
		return nil, nil, false
	}
	a = a.Unmap()
	best := -1
	for k := range i.Networks {
		n := &i.Networks[k]
		for j := range n.Subnets {
			for _, p := range n.Subnets[j].Prefixes {
				if !p.Contains(a) {
					continue
				}
				if net != nil && !SameID(net.ID, n.ID) {
					ambiguous = true
				}
				if p.Bits() > best {
					net, sub, best = n, &n.Subnets[j], p.Bits()
				}
			}
		}
	}
	if ambiguous {
		return nil, nil, true
	}
	return net, sub, false
}

// SecurityGroup finds a network security group by id.
func (i *Inventory) SecurityGroup(id string) *SecurityGroup {
	if i == nil || id == "" {
		return nil
	}
	for k := range i.SecurityGroups {
		if SameID(i.SecurityGroups[k].ID, id) {
			return &i.SecurityGroups[k]
		}
	}
	return nil
}

// RouteTable finds a route table by id.
func (i *Inventory) RouteTable(id string) *RouteTable {
	if i == nil || id == "" {
		return nil
	}
	for k := range i.RouteTables {
		if SameID(i.RouteTables[k].ID, id) {
			return &i.RouteTables[k]
		}
	}
	return nil
}

// FirewallAt finds the Azure Firewall with a private address.
func (i *Inventory) FirewallAt(a netip.Addr) *Firewall {
	if i == nil || !a.IsValid() {
		return nil
	}
	for k := range i.Firewalls {
		if i.Firewalls[k].PrivateIP == a {
			return &i.Firewalls[k]
		}
	}
	return nil
}

// EndpointWith finds the private endpoint that holds an address.
func (i *Inventory) EndpointWith(a netip.Addr) *PrivateEndpoint {
	if i == nil {
		return nil
	}
	for k := range i.Endpoints {
		if i.Endpoints[k].Exists && i.Endpoints[k].Has(a) {
			return &i.Endpoints[k]
		}
	}
	return nil
}

// Peered says whether packets pass between two virtual networks: both
// directions of the peering must be Connected
// (https://learn.microsoft.com/azure/virtual-network/virtual-network-peering-overview).
// because says what is missing.
func (i *Inventory) Peered(a, b *VirtualNetwork) (ok bool, because string) {
	if SameID(a.ID, b.ID) {
		return true, ""
	}
	for _, dir := range [][2]*VirtualNetwork{{a, b}, {b, a}} {
		from, to := dir[0], dir[1]
		k := slices.IndexFunc(from.Peerings, func(p Peering) bool { return SameID(p.RemoteID, to.ID) })
		if k < 0 {
			return false, "virtual network " + from.Name + " has no peering to " + to.Name
		}
		p := from.Peerings[k]
		if !strings.EqualFold(p.State, "Connected") {
			return false, "peering " + p.Name + " of " + from.Name + " to " + to.Name + " is " + p.State + ", not Connected"
		}
		if !p.AllowAccess {
			return false, "peering " + p.Name + " of " + from.Name + " has allowVirtualNetworkAccess false"
		}
	}
	return true, ""
}

// Zone is the private zone that answers a name for a virtual network: the
// linked one with the longest suffix. Nil: none is linked.
func (i *Inventory) Zone(n *VirtualNetwork, name string) (*PrivateZone, *ZoneLink) {
	if i == nil || n == nil {
		return nil, nil
	}
	var zone *PrivateZone
	var link *ZoneLink
	for k := range i.Zones {
		z := &i.Zones[k]
		if !Within(name, z.Name) || zone != nil && len(zone.Name) >= len(z.Name) {
			continue
		}
		for j := range z.Links {
			if SameID(z.Links[j].NetworkID, n.ID) {
				zone, link = z, &z.Links[j]
			}
		}
	}
	return zone, link
}

// Within says whether a name lies in a zone, at its apex or below.
func Within(name, zone string) bool {
	name, zone = strings.ToLower(strings.TrimSuffix(name, ".")), strings.ToLower(strings.TrimSuffix(zone, "."))
	return name == zone || strings.HasSuffix(name, "."+zone)
}

// Relative is a name without its zone: "myregistry" for
// "myregistry.privatelink.azurecr.io" in "privatelink.azurecr.io".
func Relative(name, zone string) string {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if name == strings.ToLower(zone) {
		return "@"
	}
	return strings.TrimSuffix(name, "."+strings.ToLower(strings.TrimSuffix(zone, ".")))
}

// Record is the A record of a relative name, and whether there is one.
func (z *PrivateZone) Record(rel string) ([]netip.Addr, bool) {
	for name, addrs := range z.Records {
		if strings.EqualFold(name, rel) && len(addrs) > 0 {
			return addrs, true
		}
	}
	return nil, false
}
