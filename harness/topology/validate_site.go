package topology

import (
	"fmt"
	"net/netip"
	"strings"
)

func (c *checker) site() {
	at := path{"site"}
	s := c.Site
	if s == nil || s.At == "" {
		c.add(at, "the client stands nowhere; set site.at to network/subnet, on-premises or internet")
		return
	}
	inAzure := false
	switch s.At {
	case OnPremises:
		c.ground(at, s)
	case Internet:
		if s.Address != "" {
			c.public(at.with("address"), s.Address)
		}
		if s.PublicIPAddress != s.Address {
			c.add(at.with("publicIPAddress"), "a client on the internet leaves from its own address, %s", s.Address)
		}
	default:
		inAzure = true
		if c.subnetAt(at.with("at"), s.At) && s.Address == "" {
			c.add(at, "subnet %s has no free address for the client", s.At)
		}
	}
	c.image(at.with("image"), s.Image)
	if inAzure {
		c.onlyOutside(at, s)
	}
	if s.Identity != "" {
		if !inAzure {
			c.add(at.with("identity"), "only a client in a virtual network has a managed identity")
		}
		if !identityName.MatchString(s.Identity) {
			c.add(at.with("identity"), "%q is no identity; write system, or a name of 3 to 128 letters, digits, dashes and underscores", s.Identity)
		}
	}
	if s.VPN != "" {
		if s.At != OnPremises {
			c.add(at.with("vpn"), "only a client on-premises has a VPN")
		}
		if _, ok := c.VirtualNetworks[s.VPN]; !ok {
			c.add(at.with("vpn"), "there is no virtual network %q%s", s.VPN, suggestName(s.VPN, sortedKeys(c.VirtualNetworks)))
		}
	}
	if s.Firewall != nil {
		if s.At != OnPremises {
			c.add(at.with("firewall"), "only a client on-premises stands behind a corporate firewall")
		}
		c.firewall(at.with("firewall"), s.Firewall)
	}
	if s.Proxy != nil {
		c.proxy(at.with("proxy"), s.Proxy)
	}
	if !inAzure {
		c.distinct(at, s)
	}
	if s.Resolver != nil && !inAzure {
		c.address4(at.with("resolver", "address"), s.Resolver.Address)
		c.forwarders(at.with("resolver", "forwarders"), s.Resolver.Forwarders)
	}
	for _, name := range sortedKeys(s.Hosts) {
		c.address4(at.with("hosts", name), s.Hosts[name])
	}
}

// ground checks the addresses of a client on-premises.
func (c *checker) ground(at path, s *Site) {
	p := netip.MustParsePrefix(OnPremisesPrefix)
	a, ok := c.address4(at.with("address"), s.Address)
	switch {
	case !ok:
	case !p.Contains(a) || a == p.Addr() || a == p.Addr().Next() || !p.Contains(a.Next()):
		c.add(at.with("address"), "%s is no host's address in the on-premises network %s (the router has the first)", a, p)
	}
	c.public(at.with("publicIPAddress"), s.PublicIPAddress)
}

// onlyOutside refuses what a virtual machine does not have of its own.
func (c *checker) onlyOutside(at path, s *Site) {
	if s.Resolver != nil {
		c.add(at.with("resolver"), "a client in a virtual network asks that network's dnsServers; set virtualNetworks.%s.dnsServers",
			strings.SplitN(s.At, "/", 2)[0])
	}
	if s.PublicIPAddress != "" {
		c.add(at.with("publicIPAddress"), "a client in a virtual network leaves from that network's publicIPAddress")
	}
}

func (c *checker) image(at path, image string) {
	host, rest, ok := strings.Cut(image, "/")
	if !ok || checkDNSName(host, false) != nil {
		c.add(at, "%q is no image; write it like myregistry.azurecr.io/hello-world:latest", image)
		return
	}
	repository, tag, tagged := strings.Cut(rest, ":")
	if !repositoryName.MatchString(repository) || tagged && !tagName.MatchString(tag) {
		c.add(at, "%q is no image; write it like myregistry.azurecr.io/hello-world:latest", image)
	}
}

func (c *checker) firewall(at path, f *Firewall) {
	for _, name := range sortedKeys(f.Rules) {
		sub := at.with("rules", name)
		r := f.Rules[name]
		if r.Priority < 1 {
			c.add(sub.with("priority"), "priority is %d; want 1 or more, lower is tried first", r.Priority)
		}
		for i, to := range r.To {
			c.target(sub.with("to", fmt.Sprintf("[%d]", i)), to)
		}
		for i, p := range r.Ports {
			c.positivePort(sub.with("ports", fmt.Sprintf("[%d]", i)), p)
		}
	}
	if n := f.Names; n != nil {
		c.names(at.with("names", "block"), n.Block)
		c.names(at.with("names", "allow"), n.Allow)
		c.names(at.with("names", "exempt"), n.Exempt)
		if len(n.Exempt) > 0 && !n.Inspect {
			c.add(at.with("names", "exempt"), "names are exempt from inspection, but inspect is not set")
		}
	}
}

// target checks what a corporate firewall rule matches: a prefix, a DNS name or
// a service tag. A tag is a word without dots, or one with a region.
func (c *checker) target(at path, to string) {
	if strings.Contains(to, "/") {
		c.prefix4(at, to)
		return
	}
	if to == "" {
		c.add(at, "the destination is empty; leave to out to match all")
		return
	}
	if _, err := netip.ParseAddr(to); err == nil {
		c.add(at, "write the address %s as %s/32", to, to)
		return
	}
	if err := checkDNSName(to, true); err != nil {
		c.add(at, "%q is no DNS name, prefix or service tag", to)
	}
}

func (c *checker) proxy(at path, p *Proxy) {
	if err := checkDNSName(p.Name, false); err != nil {
		c.add(at.with("name"), "%v", err)
	}
	if a, ok := c.address4(at.with("address"), p.Address); ok {
		c.proxyAddress(at.with("address"), a)
	}
	c.positivePort(at.with("port"), p.Port)
	c.public(at.with("publicIPAddress"), p.PublicIPAddress)
	c.names(at.with("allow"), p.Allow)
	c.names(at.with("deny"), p.Deny)
	c.names(at.with("anonymous"), p.Anonymous)
	c.names(at.with("exempt"), p.Exempt)
	if len(p.Exempt) > 0 && !p.Inspect {
		c.add(at.with("exempt"), "names are exempt from inspection, but inspect is not set")
	}
	if len(p.Anonymous) > 0 && !p.Authenticate {
		c.add(at.with("anonymous"), "names need no credentials, but authenticate is not set")
	}
}

// proxyAddress: a proxy stands beside a client on-premises, in a virtual network
// or behind a private line, or on the internet, as the client does.
func (c *checker) proxyAddress(at path, a netip.Addr) {
	s := c.Site
	if s.At == Internet {
		c.public(at, a.String())
		return
	}
	places := []string{ProxyPrefix}
	if s.At == OnPremises {
		places = append(places, OnPremisesPrefix)
	} else if c.proxySubnet() != "" {
		return // checked with everything else in a subnet
	}
	for _, place := range places {
		if prefix := netip.MustParsePrefix(place); prefix.Contains(a) && a != prefix.Addr() && a != prefix.Addr().Next() && prefix.Contains(a.Next()) {
			return
		}
	}
	if s.At != OnPremises {
		places = append(places, "a subnet")
	}
	c.add(at, "%s is no host's address in %s (the router has the first)", a, oneOf(places))
}

// distinct checks that the client, the resolver and the proxy outside Azure are
// three machines.
func (c *checker) distinct(at path, s *Site) {
	taken := map[string]string{s.Address: "the client"}
	check := func(at path, address, what string) {
		if other := taken[address]; other != "" && address != "" {
			c.add(at, "%s is the address of %s as well", address, other)
		}
		taken[address] = what
	}
	if s.Resolver != nil {
		check(at.with("resolver", "address"), s.Resolver.Address, "the resolver")
	}
	if s.Proxy != nil {
		check(at.with("proxy", "address"), s.Proxy.Address, "the proxy")
	}
}
