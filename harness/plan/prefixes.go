package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

var everything = netip.MustParsePrefix("0.0.0.0/0")

// privateRanges are those that Azure never routes to the internet.
// https://learn.microsoft.com/azure/virtual-network/virtual-networks-udr-overview#default
var privateRanges = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
}

// parsePrefix reads an address or a CIDR block. IPv6 is valid and ok false:
// the simulation carries IPv4 alone.
func parsePrefix(s string) (p netip.Prefix, ok bool, err error) {
	s = strings.TrimSpace(s)
	if a, aerr := netip.ParseAddr(s); aerr == nil {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), a.Is4(), nil
	}
	p, err = netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, false, fmt.Errorf("%q is neither an address nor a CIDR block", s)
	}
	return p.Masked(), p.Addr().Is4(), nil
}

func parsePrefixes(list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range list {
		p, ok, err := parsePrefix(s)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, p)
		}
	}
	return out, nil
}

// parseAddr reads an IPv4 address.
func parseAddr(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(strings.TrimSpace(s))
	if err != nil || !a.Unmap().Is4() {
		return netip.Addr{}, fmt.Errorf("%q is not an IPv4 address", s)
	}
	return a.Unmap(), nil
}

func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

func hosts(as ...netip.Addr) []netip.Prefix {
	var out []netip.Prefix
	for _, a := range as {
		out = append(out, host(a))
	}
	return out
}

func within(list []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
}

// normal sorts prefixes and removes those that another contains.
func normal(list []netip.Prefix) []netip.Prefix {
	sorted := slices.Clone(list)
	slices.SortFunc(sorted, func(a, b netip.Prefix) int {
		if c := a.Addr().Compare(b.Addr()); c != 0 {
			return c
		}
		return a.Bits() - b.Bits()
	})
	var out []netip.Prefix
	for _, p := range sorted {
		if len(out) == 0 || !(out[len(out)-1].Bits() <= p.Bits() && out[len(out)-1].Contains(p.Addr())) {
			out = append(out, p)
		}
	}
	return out
}

// complement is every IPv4 address outside list, in the fewest prefixes.
func complement(list []netip.Prefix) []netip.Prefix { return subtract(everything, normal(list)) }

func subtract(from netip.Prefix, list []netip.Prefix) []netip.Prefix {
	overlaps := false
	for _, p := range list {
		if p.Bits() <= from.Bits() && p.Contains(from.Addr()) {
			return nil
		}
		overlaps = overlaps || from.Overlaps(p)
	}
	if !overlaps {
		return []netip.Prefix{from}
	}
	low := netip.PrefixFrom(from.Addr(), from.Bits()+1)
	b := from.Addr().As4()
	b[from.Bits()/8] |= 0x80 >> (from.Bits() % 8)
	high := netip.PrefixFrom(netip.AddrFrom4(b), from.Bits()+1)
	return append(subtract(low, list), subtract(high, list)...)
}

// gatewayOf is the first address of a subnet, its router in Azure.
func gatewayOf(p netip.Prefix) netip.Addr { return p.Masked().Addr().Next() }
