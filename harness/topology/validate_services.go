package topology

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

func (c *checker) privateEndpoints() {
	members := c.Members()
	for _, name := range sortedKeys(c.PrivateEndpoints) {
		at := path{"privateEndpoints", name}
		e := c.PrivateEndpoints[name]
		if e.Subnet == "" {
			c.add(at, "subnet is missing; write it as network/subnet")
			continue
		}
		if !c.subnetAt(at.with("subnet"), e.Subnet) {
			continue
		}
		for _, m := range sortedKeys(e.Addresses) {
			if !slices.Contains(members, m) {
				c.add(at.with("addresses", m), "the registry has no member %q; it has %s", m, strings.ReplaceAll(oneOf(members), " or ", " and "))
			}
		}
		for _, m := range members {
			if e.Addresses[m] == "" {
				// https://learn.microsoft.com/azure/container-registry/container-registry-private-endpoints
				c.add(at, "subnet %s has no free address for member %s", e.Subnet, m)
			}
		}
	}
}

func (c *checker) privateDNSZones() {
	for _, zone := range sortedKeys(c.PrivateDNSZones) {
		at := path{"privateDnsZones", zone}
		z := c.PrivateDNSZones[zone]
		if !strings.Contains(zone, ".") {
			// A private zone of a single label is refused by Azure.
			c.add(at, "a private DNS zone needs at least two labels")
		}
		for i, v := range z.Links {
			if _, ok := c.VirtualNetworks[v]; !ok {
				c.add(at.with("links", fmt.Sprintf("[%d]", i)), "there is no virtual network %q%s", v, suggestName(v, sortedKeys(c.VirtualNetworks)))
			}
			if slices.Contains(z.Links[:i], v) {
				c.add(at.with("links", fmt.Sprintf("[%d]", i)), "virtual network %s is linked twice", v)
			}
		}
		for _, record := range sortedKeys(z.Records) {
			for i, a := range z.Records[record] {
				c.address4(at.with("records", record, fmt.Sprintf("[%d]", i)), a)
			}
		}
		c.withoutRecords(at, zone, z)
	}
	// Two nested zones may both be linked; two zones of one name cannot be
	// written, since names are keys.
}

func (c *checker) withoutRecords(at path, zone string, z PrivateDNSZone) {
	if len(z.WithoutRecords) == 0 {
		return
	}
	var there []string
	if z.Records != nil {
		there = sortedKeys(z.Records)
	} else if zone == "privatelink.azurecr.io" {
		there = c.zoneRecords()
	}
	for i, name := range z.WithoutRecords {
		if !slices.Contains(there, name) {
			c.add(at.with("withoutRecords", fmt.Sprintf("[%d]", i)), "the zone would not hold a record %q anyway%s", name, suggestName(name, there))
		}
	}
}

// zoneRecords are the relative names that a zone group writes for a private
// endpoint: the registry and one data endpoint per region.
// https://learn.microsoft.com/azure/container-registry/container-registry-private-endpoints
func (t *Topology) zoneRecords() []string {
	name := strings.ToLower(t.Registry.Name)
	out := []string{name, name + "." + t.Registry.Location + ".data"}
	for _, region := range sortedKeys(t.Registry.Replications) {
		out = append(out, name+"."+region+".data")
	}
	return out
}

func (c *checker) azureFirewalls() {
	for _, name := range sortedKeys(c.AzureFirewalls) {
		at := path{"azureFirewalls", name}
		f := c.AzureFirewalls[name]
		_, subnet, _ := strings.Cut(f.Subnet, "/")
		switch {
		case f.Subnet == "":
			c.add(at, "subnet is missing; write it as network/AzureFirewallSubnet")
		case c.subnetAt(at.with("subnet"), f.Subnet) && subnet != "AzureFirewallSubnet":
			c.add(at.with("subnet"), "Azure puts a firewall into a subnet called AzureFirewallSubnet alone")
		}
		if f.PublicIPAddress != "" {
			c.public(at.with("publicIPAddress"), f.PublicIPAddress)
		}
		for _, rule := range sortedKeys(f.NetworkRules) {
			r, sub := f.NetworkRules[rule], at.with("networkRules", rule)
			c.firewallPriority(sub, r.Priority)
			for i, d := range r.DestinationAddresses {
				c.destination(sub.with("destinationAddresses", fmt.Sprintf("[%d]", i)), d)
			}
			for i, p := range r.DestinationPorts {
				c.ports(sub.with("destinationPorts", fmt.Sprintf("[%d]", i)), p)
			}
		}
		for _, rule := range sortedKeys(f.ApplicationRules) {
			r, sub := f.ApplicationRules[rule], at.with("applicationRules", rule)
			c.firewallPriority(sub, r.Priority)
			if len(r.TargetFQDNs) == 0 {
				c.add(sub, "targetFqdns is empty")
			}
			c.names(sub.with("targetFqdns"), r.TargetFQDNs)
		}
	}
}

// firewallPriority: a rule collection's is 100 to 65000.
// https://learn.microsoft.com/azure/firewall/policy-rule-sets
func (c *checker) firewallPriority(at path, p int) {
	if p < 100 || p > 65000 {
		c.add(at.with("priority"), "priority is %d; Azure Firewall takes 100 to 65000", p)
	}
}

// names checks DNS names whose first label may be "*"; "*" alone is every name.
func (c *checker) names(at path, list []string) {
	for i, name := range list {
		if name == "*" {
			continue
		}
		if err := checkDNSName(name, true); err != nil {
			c.add(at.with(fmt.Sprintf("[%d]", i)), "%v", err)
		}
	}
}

func (c *checker) dnsServers() {
	for _, name := range sortedKeys(c.DNSServers) {
		at := path{"dnsServers", name}
		s := c.DNSServers[name]
		if s.Subnet == "" {
			c.add(at, "subnet is missing; write it as network/subnet")
		} else if c.subnetAt(at.with("subnet"), s.Subnet) && s.Address == "" {
			c.add(at, "subnet %s has no free address", s.Subnet)
		}
		c.forwarders(at.with("forwarders"), s.Forwarders)
	}
}

func (c *checker) forwarders(at path, forwarders map[string]string) {
	for _, suffix := range sortedKeys(forwarders) {
		to := forwarders[suffix]
		if a, err := netip.ParseAddrPort(to); err == nil && a.Addr().Is4() {
			continue
		}
		c.address4(at.with(suffix), to)
	}
}

// addresses checks everything that has an address in a subnet.
func (c *checker) addresses() {
	taken := map[string]string{}
	for _, h := range c.addressed() {
		a, ok := c.address4(h.at, h.address)
		if !ok {
			continue
		}
		if other := taken[h.address]; other != "" {
			c.add(h.at, "%s is the address of %s as well", a, other)
		}
		taken[h.address] = h.what
		s, ok := c.Subnet(h.subnet)
		if !ok {
			continue // said elsewhere
		}
		p, err := netip.ParsePrefix(s.AddressPrefix)
		switch {
		case err != nil: // said elsewhere
		case !p.Contains(a):
			c.add(h.at, "%s lies outside subnet %s (%s)", a, h.subnet, p)
		case !usable(p, a):
			c.add(h.at, "Azure reserves %s: the first four addresses and the last one of a subnet are its own", a)
		}
	}
}

// positivePort checks a TCP or UDP port.
func (c *checker) positivePort(at path, p int) {
	if p < 1 || p > 65535 {
		c.add(at, "%s is no port; want 1 to 65535", strconv.Itoa(p))
	}
}
