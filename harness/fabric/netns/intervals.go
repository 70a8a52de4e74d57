//go:build linux

package netns

import (
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"

	"github.com/acrlab/acrlab/harness/plan"
)

// addrRange is inclusive.
type addrRange struct{ first, last netip.Addr }

// mergePrefixes gives the ranges that prefixes cover, sorted, disjoint and not
// adjacent: the kernel refuses sets whose intervals overlap. All prefixes must
// be of one family.
func mergePrefixes(prefixes []netip.Prefix) []addrRange {
	var ranges []addrRange
	for _, p := range prefixes {
		ranges = append(ranges, addrRange{p.Masked().Addr(), lastAddr(p)})
	}
	slices.SortFunc(ranges, func(a, b addrRange) int { return a.first.Compare(b.first) })
	var merged []addrRange
	for _, r := range ranges {
		if n := len(merged); n > 0 {
			top := &merged[n-1]
			if next := top.last.Next(); !next.IsValid() || r.first.Compare(next) <= 0 {
				if r.last.Compare(top.last) > 0 {
					top.last = r.last
				}
				continue
			}
		}
		merged = append(merged, r)
	}
	return merged
}

func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// addrElements are the elements of an interval set: each range is a start and
// an exclusive end; one that reaches the last address has no end.
func addrElements(ranges []addrRange) []nftables.SetElement {
	var e []nftables.SetElement
	for _, r := range ranges {
		e = append(e, nftables.SetElement{Key: r.first.AsSlice()})
		if next := r.last.Next(); next.IsValid() {
			e = append(e, nftables.SetElement{Key: next.AsSlice(), IntervalEnd: true})
		}
	}
	return e
}

// mergePorts gives sorted, disjoint ranges, not adjacent.
func mergePorts(ports []plan.PortRange) []plan.PortRange {
	sorted := slices.Clone(ports)
	slices.SortFunc(sorted, func(a, b plan.PortRange) int { return int(a.First) - int(b.First) })
	var merged []plan.PortRange
	for _, r := range sorted {
		if n := len(merged); n > 0 && int(r.First) <= int(merged[n-1].Last)+1 {
			merged[n-1].Last = max(merged[n-1].Last, r.Last)
			continue
		}
		merged = append(merged, r)
	}
	return merged
}

func portElements(ports []plan.PortRange) []nftables.SetElement {
	var e []nftables.SetElement
	for _, r := range ports {
		e = append(e, nftables.SetElement{Key: binaryutil.BigEndian.PutUint16(r.First)})
		if r.Last < 65535 {
			e = append(e, nftables.SetElement{Key: binaryutil.BigEndian.PutUint16(r.Last + 1), IntervalEnd: true})
		}
	}
	return e
}
