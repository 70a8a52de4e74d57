package state

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/acrlab/acrlab/harness/topology"
)

// allocator hands out addresses of subnets, skipping those that are spoken for.
type allocator struct {
	prefix map[string]netip.Prefix // by "vnet/subnet"
	used   map[string]map[netip.Addr]bool
}

// reserve notes every address that the topology names, before any is handed out.
func (b *builder) reserve() error {
	b.free = allocator{prefix: map[string]netip.Prefix{}, used: map[string]map[netip.Addr]bool{}}
	for _, vnet := range keys(b.t.VirtualNetworks) {
		for _, subnet := range keys(b.t.VirtualNetworks[vnet].Subnets) {
			name := vnet + "/" + subnet
			p, err := netip.ParsePrefix(b.t.VirtualNetworks[vnet].Subnets[subnet].AddressPrefix)
			if err != nil {
				return fmt.Errorf("subnet %s: reading its address prefix: %w", name, err)
			}
			b.free.prefix[name] = p.Masked()
			b.free.used[name] = map[netip.Addr]bool{}
		}
	}
	for _, pe := range b.t.PrivateEndpoints {
		for _, a := range pe.Addresses {
			b.free.take(pe.Subnet, a)
		}
	}
	for _, d := range b.t.DNSServers {
		b.free.take(d.Subnet, d.Address)
	}
	for _, f := range b.t.AzureFirewalls {
		b.free.take(f.Subnet, f.PrivateIPAddress)
	}
	if s := b.t.Site; s != nil {
		b.free.take(s.At, s.Address)
		if s.Proxy != nil {
			for name := range b.free.prefix {
				b.free.take(name, s.Proxy.Address)
			}
		}
	}
	return nil
}

func (a *allocator) take(subnet, address string) {
	if ip, err := netip.ParseAddr(address); err == nil && a.used[subnet] != nil {
		a.used[subnet][ip] = true
	}
}

// next is the first free address of a subnet. Azure keeps the first four and
// the last address of each.
// https://learn.microsoft.com/azure/virtual-network/virtual-networks-faq#are-there-any-restrictions-on-using-ip-addresses-within-these-subnets
func (a *allocator) next(subnet string) (string, error) {
	p, ok := a.prefix[subnet]
	if !ok {
		return "", fmt.Errorf("there is no subnet %s", subnet)
	}
	ip := p.Addr()
	for range 4 {
		ip = ip.Next()
	}
	for ; p.Contains(ip) && p.Contains(ip.Next()); ip = ip.Next() {
		if !a.used[subnet][ip] {
			a.used[subnet][ip] = true
			return ip.String(), nil
		}
	}
	return "", fmt.Errorf("subnet %s (%s) has no free address left", subnet, p)
}

// holds names the subnet in whose prefix an address lies, the longest prefix
// first; networks are tried in the order given by prefer, then by name.
func (b *builder) holds(address, prefer string) (string, bool) {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return "", false
	}
	best, bits := "", -1
	for _, vnet := range keys(b.t.VirtualNetworks) {
		for _, subnet := range keys(b.t.VirtualNetworks[vnet].Subnets) {
			name := vnet + "/" + subnet
			p := b.free.prefix[name]
			score := p.Bits()
			if strings.HasPrefix(name, prefer+"/") {
				score += 64
			}
			if p.Contains(ip) && score > bits {
				best, bits = name, score
			}
		}
	}
	return best, bits >= 0
}

// subnetID is the id of "vnet/subnet", which must exist.
func (b *builder) subnetID(name string) (string, error) {
	vnet, subnet, ok := topologySubnet(b.t, name)
	if !ok {
		return "", fmt.Errorf("there is no subnet %q", name)
	}
	return SubnetID(vnet, subnet), nil
}

func topologySubnet(t topology.Topology, name string) (vnet, subnet string, ok bool) {
	vnet, subnet, ok = SplitSubnet(name)
	if !ok {
		return "", "", false
	}
	_, ok = t.VirtualNetworks[vnet].Subnets[subnet]
	return vnet, subnet, ok
}
