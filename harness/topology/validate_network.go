package topology

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

func (c *checker) networks() {
	for _, name := range sortedKeys(c.VirtualNetworks) {
		at := path{"virtualNetworks", name}
		v := c.VirtualNetworks[name]
		if !regionName.MatchString(v.Location) {
			c.add(at.with("location"), "%q is no region; regions are written like eastus", v.Location)
		}
		if len(v.AddressPrefixes) == 0 {
			c.add(at, "virtual network %s has no addressPrefixes", name)
		}
		for i, server := range v.DNSServers {
			c.address4(at.with("dnsServers", fmt.Sprintf("[%d]", i)), server)
		}
		if v.PublicIPAddress != "" {
			c.public(at.with("publicIPAddress"), v.PublicIPAddress)
		}
		for _, subnet := range sortedKeys(v.Subnets) {
			c.subnet(at.with("subnets", subnet), v, v.Subnets[subnet])
		}
		for _, remote := range sortedKeys(v.Peerings) {
			sub := at.with("peerings", remote)
			if remote == name {
				c.add(sub, "virtual network %s cannot be peered with itself", name)
			} else if _, ok := c.VirtualNetworks[remote]; !ok {
				c.add(sub, "there is no virtual network %q%s", remote, suggestName(remote, sortedKeys(c.VirtualNetworks)))
			}
		}
	}
}

func (c *checker) subnet(at path, v VirtualNetwork, s Subnet) {
	if s.AddressPrefix == "" {
		c.add(at, "the subnet has no addressPrefix")
	} else if p, ok := c.prefix4(at.with("addressPrefix"), s.AddressPrefix); ok {
		switch {
		case p.Bits() > 29:
			// https://learn.microsoft.com/azure/virtual-network/virtual-networks-faq
			c.add(at.with("addressPrefix"), "%s is too small; Azure's smallest subnet is a /29", p)
		case !within(p, v.AddressPrefixes):
			c.add(at.with("addressPrefix"), "%s lies outside its virtual network (%s)", p, strings.Join(v.AddressPrefixes, ", "))
		}
	}
	if g := s.NetworkSecurityGroup; g != "" {
		if _, ok := c.NetworkSecurityGroups[g]; !ok {
			c.add(at.with("networkSecurityGroup"), "there is no network security group %q%s", g, suggestName(g, sortedKeys(c.NetworkSecurityGroups)))
		}
	}
	if r := s.RouteTable; r != "" {
		if _, ok := c.RouteTables[r]; !ok {
			c.add(at.with("routeTable"), "there is no route table %q%s", r, suggestName(r, sortedKeys(c.RouteTables)))
		}
	}
}

func inPrefix(prefix, address string) bool {
	a, err := netip.ParseAddr(address)
	return err == nil && netip.MustParsePrefix(prefix).Contains(a)
}

func within(p netip.Prefix, prefixes []string) bool {
	for _, s := range prefixes {
		outer, err := netip.ParsePrefix(s)
		if err == nil && outer.Bits() <= p.Bits() && outer.Contains(p.Addr()) {
			return true
		}
	}
	return false
}

// prefixes checks that no two networks overlap: one simulated router knows
// them all, and Azure does not peer networks that do.
func (c *checker) prefixes() {
	type block struct {
		at     path
		what   string
		prefix netip.Prefix
	}
	var networks []block
	if s := c.Site; s != nil && s.At == OnPremises {
		networks = append(networks, block{path{"site", "at"}, "the on-premises network", netip.MustParsePrefix(OnPremisesPrefix)})
	}
	if s := c.Site; s != nil && s.Proxy != nil && inPrefix(ProxyPrefix, s.Proxy.Address) {
		networks = append(networks, block{path{"site", "proxy"}, "the proxy's network", netip.MustParsePrefix(ProxyPrefix)})
	}
	for _, name := range sortedKeys(c.VirtualNetworks) {
		for i, s := range c.VirtualNetworks[name].AddressPrefixes {
			at := path{"virtualNetworks", name, "addressPrefixes", fmt.Sprintf("[%d]", i)}
			if p, ok := c.prefix4(at, s); ok {
				networks = append(networks, block{at, "virtual network " + name, p})
			}
		}
		var subnets []block
		for _, subnet := range sortedKeys(c.VirtualNetworks[name].Subnets) {
			p, err := netip.ParsePrefix(c.VirtualNetworks[name].Subnets[subnet].AddressPrefix)
			if err == nil {
				subnets = append(subnets, block{path{"virtualNetworks", name, "subnets", subnet, "addressPrefix"}, "subnet " + subnet, p})
			}
		}
		for i, b := range subnets {
			for _, a := range subnets[:i] {
				if a.prefix.Overlaps(b.prefix) {
					c.add(b.at, "%s overlaps %s (%s)", b.prefix, a.what, a.prefix)
				}
			}
		}
	}
	for i, b := range networks {
		for _, a := range networks[:i] {
			if a.prefix.Overlaps(b.prefix) {
				c.add(b.at, "%s overlaps %s (%s)", b.prefix, a.what, a.prefix)
			}
		}
	}
}

func (c *checker) securityGroups() {
	for _, name := range sortedKeys(c.NetworkSecurityGroups) {
		taken := map[string]string{} // direction and priority to rule
		rules := c.NetworkSecurityGroups[name].SecurityRules
		for _, rule := range sortedKeys(rules) {
			at := path{"networkSecurityGroups", name, "securityRules", rule}
			r := rules[rule]
			if r.Priority < 100 || r.Priority > 4096 {
				c.add(at.with("priority"), "priority is %d; Azure takes 100 to 4096", r.Priority)
			}
			if r.Direction == "" {
				c.add(at, "direction is missing; want Inbound or Outbound")
			}
			if r.Access == "" {
				c.add(at, "access is missing; want Allow or Deny")
			}
			id := fmt.Sprintf("%s %d", r.Direction, r.Priority)
			if other := taken[id]; other != "" {
				c.add(at.with("priority"), "rule %s has priority %d as well; Azure takes each once per direction", other, r.Priority)
			}
			taken[id] = rule
			c.destination(at.with("sourceAddressPrefix"), r.SourceAddressPrefix)
			c.destination(at.with("destinationAddressPrefix"), r.DestinationAddressPrefix)
			c.ports(at.with("destinationPortRange"), r.DestinationPortRange)
		}
	}
}

// ports checks "*", "443" or "1-100".
func (c *checker) ports(at path, s string) {
	if s == "*" {
		return
	}
	first, last, ranged := strings.Cut(s, "-")
	if !ranged {
		last = first
	}
	a, errA := strconv.ParseUint(first, 10, 16)
	b, errB := strconv.ParseUint(last, 10, 16)
	if errA != nil || errB != nil || a > b {
		c.add(at, "%q is no port range; write it like 443, 1000-2000 or *", s)
	}
}

func (c *checker) routeTables() {
	for _, name := range sortedKeys(c.RouteTables) {
		taken := map[string]string{}
		routes := c.RouteTables[name].Routes
		for _, route := range sortedKeys(routes) {
			at := path{"routeTables", name, "routes", route}
			r := routes[route]
			switch {
			case r.AddressPrefix == "":
				c.add(at, "addressPrefix is missing")
			case r.AddressPrefix == "*":
				c.add(at.with("addressPrefix"), "a route cannot have the prefix *; write 0.0.0.0/0")
			default:
				c.destination(at.with("addressPrefix"), r.AddressPrefix)
			}
			if other := taken[r.AddressPrefix]; other != "" {
				c.add(at.with("addressPrefix"), "route %s has the prefix %s as well; Azure takes each once", other, r.AddressPrefix)
			}
			taken[r.AddressPrefix] = route
			switch {
			case r.NextHopType == "":
				c.add(at, "nextHopType is missing; want %s", "Internet, None, VirtualAppliance, VirtualNetworkGateway or VnetLocal")
			case r.NextHopType == "VirtualAppliance":
				c.address4(at.with("nextHopIpAddress"), r.NextHopIPAddress)
			case r.NextHopIPAddress != "":
				c.add(at.with("nextHopIpAddress"), "only a next hop of type VirtualAppliance has an address, this is %s", r.NextHopType)
			}
		}
	}
}
