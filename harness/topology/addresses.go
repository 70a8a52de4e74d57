package topology

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// LoginServer is the login server name of a registry. Azure lowers the name's case.
func LoginServer(registry string) string { return strings.ToLower(registry) + ".azurecr.io" }

// Members are the member names of a private endpoint to the registry, in the
// order in which they get addresses: the data endpoints by region, the
// registry's own region first, and then the registry. That is the order that
// was seen on real network interfaces (data 10.70.4.4, registry 10.70.4.5).
func (t *Topology) Members() []string {
	if t.Registry == nil {
		return nil
	}
	out := []string{"registry_data_" + t.Registry.Location}
	for _, region := range slices.Sorted(maps.Keys(t.Registry.Replications)) {
		if region != t.Registry.Location {
			out = append(out, "registry_data_"+region)
		}
	}
	return append(out, "registry")
}

// Subnet finds a subnet by "vnet/subnet".
func (t *Topology) Subnet(name string) (Subnet, bool) {
	network, subnet, _ := strings.Cut(name, "/")
	s, ok := t.VirtualNetworks[network].Subnets[subnet]
	return s, ok
}

// choosePublicAddresses gives virtual networks and firewalls without a public
// address one each, in order of name, keeping those of before.
func (t *Topology) choosePublicAddresses(before *Topology) {
	used := map[string]bool{}
	for _, v := range t.VirtualNetworks {
		used[v.PublicIPAddress] = true
	}
	for _, f := range t.AzureFirewalls {
		used[f.PublicIPAddress] = true
	}
	for _, v := range before.VirtualNetworks {
		used[v.PublicIPAddress] = true
	}
	for _, f := range before.AzureFirewalls {
		used[f.PublicIPAddress] = true
	}
	free := func(first string) string {
		a := netip.MustParseAddr(first)
		for used[a.String()] {
			a = a.Next()
		}
		used[a.String()] = true
		return a.String()
	}
	for _, name := range slices.Sorted(maps.Keys(t.VirtualNetworks)) {
		v := t.VirtualNetworks[name]
		v.PublicIPAddress = cmp.Or(v.PublicIPAddress, before.VirtualNetworks[name].PublicIPAddress)
		if v.PublicIPAddress == "" {
			v.PublicIPAddress = free(firstNetworkPublicAddress)
		}
		t.VirtualNetworks[name] = v
	}
	for _, name := range slices.Sorted(maps.Keys(t.AzureFirewalls)) {
		f := t.AzureFirewalls[name]
		f.PublicIPAddress = cmp.Or(f.PublicIPAddress, before.AzureFirewalls[name].PublicIPAddress)
		if f.PublicIPAddress == "" {
			f.PublicIPAddress = free(firstFirewallPublicAddress)
		}
		t.AzureFirewalls[name] = f
	}
}

// choosePrivateAddresses gives everything in a subnet an address: the first
// free ones, as Azure's dynamic allocation does, in the order firewalls, private
// endpoints, DNS servers, client. What has no subnet or no room stays empty.
func (t *Topology) choosePrivateAddresses(before *Topology) {
	used := map[string]bool{}
	for _, v := range before.addressed() {
		used[v.address] = true
	}
	for _, v := range t.addressed() {
		used[v.address] = true
	}
	keep := func(subnet, address, beforeSubnet, beforeAddress string) string {
		if address != "" || beforeAddress == "" || subnet != beforeSubnet || !t.inside(subnet, beforeAddress) {
			return address
		}
		return beforeAddress
	}
	choose := func(subnet, address string) string {
		if address != "" {
			return address
		}
		s, ok := t.Subnet(subnet)
		if !ok {
			return ""
		}
		return firstFree(s.AddressPrefix, used)
	}
	for _, name := range slices.Sorted(maps.Keys(t.AzureFirewalls)) {
		f, b := t.AzureFirewalls[name], before.AzureFirewalls[name]
		f.PrivateIPAddress = choose(f.Subnet, keep(f.Subnet, f.PrivateIPAddress, b.Subnet, b.PrivateIPAddress))
		t.AzureFirewalls[name] = f
	}
	for _, name := range slices.Sorted(maps.Keys(t.PrivateEndpoints)) {
		e, b := t.PrivateEndpoints[name], before.PrivateEndpoints[name]
		addresses := nonNil(e.Addresses)
		for _, m := range t.Members() {
			if a := choose(e.Subnet, keep(e.Subnet, addresses[m], b.Subnet, b.Addresses[m])); a != "" {
				addresses[m] = a
			}
		}
		e.Addresses = addresses
		t.PrivateEndpoints[name] = e
	}
	for _, name := range slices.Sorted(maps.Keys(t.DNSServers)) {
		s, b := t.DNSServers[name], before.DNSServers[name]
		s.Address = choose(s.Subnet, keep(s.Subnet, s.Address, b.Subnet, b.Address))
		t.DNSServers[name] = s
	}
	if s := t.Site; s != nil {
		b := before.Site
		if b == nil {
			b = &Site{}
		}
		s.Address = choose(s.At, keep(s.At, s.Address, b.At, b.Address))
	}
}

func (t *Topology) inside(subnet, address string) bool {
	s, ok := t.Subnet(subnet)
	if !ok {
		return false
	}
	prefix, err := netip.ParsePrefix(s.AddressPrefix)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(address)
	return err == nil && usable(prefix, a)
}

// firstFree takes the first address of a subnet that Azure does not reserve
// and nobody has. Empty when the subnet is full or no IPv4 prefix.
func firstFree(subnet string, used map[string]bool) string {
	prefix, err := netip.ParsePrefix(subnet)
	if err != nil || !prefix.Addr().Is4() || prefix.Bits() > 29 {
		return ""
	}
	prefix = prefix.Masked()
	for a := next(prefix.Addr(), 4); usable(prefix, a); a = a.Next() {
		if !used[a.String()] {
			used[a.String()] = true
			return a.String()
		}
	}
	return ""
}

// usable says whether Azure would give a out in the subnet: it reserves the
// first four addresses and the last one.
// https://learn.microsoft.com/azure/virtual-network/virtual-networks-faq
func usable(subnet netip.Prefix, a netip.Addr) bool {
	subnet = subnet.Masked()
	if !subnet.Contains(a) || !a.Is4() {
		return false
	}
	if !subnet.Contains(a.Next()) {
		return false // the last: broadcast
	}
	for first, n := subnet.Addr(), 0; n < 4; first, n = first.Next(), n+1 {
		if a == first {
			return false
		}
	}
	return true
}

// holder is something that has an address in a subnet.
type holder struct {
	what    string // for messages
	at      path
	subnet  string // "vnet/subnet"
	address string
}

// addressed lists everything with an address in a subnet, in a fixed order.
func (t *Topology) addressed() []holder {
	var out []holder
	for _, name := range slices.Sorted(maps.Keys(t.AzureFirewalls)) {
		f := t.AzureFirewalls[name]
		out = append(out, holder{"Azure Firewall " + name, path{"azureFirewalls", name, "privateIPAddress"}, f.Subnet, f.PrivateIPAddress})
	}
	for _, name := range slices.Sorted(maps.Keys(t.PrivateEndpoints)) {
		e := t.PrivateEndpoints[name]
		for _, m := range slices.Sorted(maps.Keys(e.Addresses)) {
			out = append(out, holder{"member " + m + " of private endpoint " + name,
				path{"privateEndpoints", name, "addresses", m}, e.Subnet, e.Addresses[m]})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.DNSServers)) {
		s := t.DNSServers[name]
		out = append(out, holder{"DNS server " + name, path{"dnsServers", name, "address"}, s.Subnet, s.Address})
	}
	if s := t.Site; s != nil && strings.Contains(s.At, "/") {
		out = append(out, holder{"the client", path{"site", "address"}, s.At, s.Address})
	}
	if subnet := t.proxySubnet(); subnet != "" {
		out = append(out, holder{"the proxy", path{"site", "proxy", "address"}, subnet, t.Site.Proxy.Address})
	}
	out = slices.DeleteFunc(out, func(h holder) bool { return h.address == "" })
	return out
}

// proxySubnet is the subnet that a proxy's address lies in: then it is a virtual
// machine there. Empty for a proxy elsewhere.
func (t *Topology) proxySubnet() string {
	if t.Site == nil || t.Site.Proxy == nil || !strings.Contains(t.Site.At, "/") {
		return ""
	}
	a, err := netip.ParseAddr(t.Site.Proxy.Address)
	if err != nil {
		return ""
	}
	for _, network := range slices.Sorted(maps.Keys(t.VirtualNetworks)) {
		subnets := t.VirtualNetworks[network].Subnets
		for _, name := range slices.Sorted(maps.Keys(subnets)) {
			if p, err := netip.ParsePrefix(subnets[name].AddressPrefix); err == nil && p.Contains(a) {
				return network + "/" + name
			}
		}
	}
	return ""
}
