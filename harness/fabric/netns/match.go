//go:build linux

package netns

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/acrlab/acrlab/harness/plan"
)

// Offsets in the network and transport headers (RFC 791, 8200, 9293, 768).
const (
	sourceV4, destinationV4 = 12, 16
	sourceV6, destinationV6 = 8, 24
	destinationPort         = 2
)

// variants are the expressions of a match. A match over addresses gives one
// variant for each address family it can hold in, as addresses of both do not
// fit one comparison; none if it can hold in neither.
func (b *builder) variants(m plan.Match) ([][]expr.Any, error) {
	if len(m.Source)+len(m.Destination)+len(m.NotDest) == 0 {
		e, err := b.common(m)
		return [][]expr.Any{e}, err
	}
	var out [][]expr.Any
	for _, v6 := range []bool{false, true} {
		src, dst, not := ofFamily(m.Source, v6), ofFamily(m.Destination, v6), ofFamily(m.NotDest, v6)
		if len(m.Source) > 0 && len(src) == 0 || len(m.Destination) > 0 && len(dst) == 0 {
			continue
		}
		family, size, so, do := byte(unix.NFPROTO_IPV4), uint32(4), uint32(sourceV4), uint32(destinationV4)
		if v6 {
			family, size, so, do = unix.NFPROTO_IPV6, 16, sourceV6, destinationV6
		}
		e := []expr.Any{
			&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{family}},
		}
		for _, side := range []struct {
			prefixes []netip.Prefix
			offset   uint32
			invert   bool
		}{{src, so, false}, {dst, do, false}, {not, do, true}} {
			a, err := b.address(side.prefixes, side.offset, size, side.invert)
			if err != nil {
				return nil, err
			}
			e = append(e, a...)
		}
		rest, err := b.common(m)
		if err != nil {
			return nil, err
		}
		out = append(out, append(e, rest...))
	}
	return out, nil
}

func ofFamily(prefixes []netip.Prefix, v6 bool) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range prefixes {
		if p.Addr().Is6() == v6 {
			out = append(out, p)
		}
	}
	return out
}

// address compares an address of the network header with prefixes.
func (b *builder) address(prefixes []netip.Prefix, offset, size uint32, invert bool) ([]expr.Any, error) {
	if len(prefixes) == 0 {
		return nil, nil
	}
	load := &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: size}
	if len(prefixes) > 1 {
		keyType := nftables.TypeIPAddr
		if size == 16 {
			keyType = nftables.TypeIP6Addr
		}
		set, err := b.set(keyType, addrElements(mergePrefixes(prefixes)))
		if err != nil {
			return nil, err
		}
		return []expr.Any{load, &expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID, Invert: invert}}, nil
	}
	p := prefixes[0].Masked()
	op := expr.CmpOpEq
	if invert {
		op = expr.CmpOpNeq
	}
	e := []expr.Any{load}
	if p.Bits() < p.Addr().BitLen() {
		e = append(e, &expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: size, Mask: ipNet(p).Mask, Xor: make([]byte, size)})
	}
	return append(e, &expr.Cmp{Op: op, Register: 1, Data: p.Addr().AsSlice()}), nil
}

// common compares what does not depend on the address family.
func (b *builder) common(m plan.Match) ([]expr.Any, error) {
	e, err := b.interfaces(expr.MetaKeyIIFNAME, m.In)
	if err != nil {
		return nil, err
	}
	out, err := b.interfaces(expr.MetaKeyOIFNAME, m.Out)
	if err != nil {
		return nil, err
	}
	e = append(e, out...)
	protocols, err := protocolNumbers(m.Protocol, len(m.Ports) > 0)
	if err != nil {
		return nil, err
	}
	if len(protocols) > 0 {
		e = append(e, &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1})
		if len(protocols) == 1 {
			e = append(e, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: protocols})
		} else {
			var elements []nftables.SetElement
			for _, p := range protocols {
				elements = append(elements, nftables.SetElement{Key: []byte{p}})
			}
			set, err := b.plainSet(nftables.TypeInetProto, elements)
			if err != nil {
				return nil, err
			}
			e = append(e, &expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID})
		}
	}
	ports, err := b.ports(m.Ports)
	return append(e, ports...), err
}

func (b *builder) interfaces(key expr.MetaKey, names []string) ([]expr.Any, error) {
	if len(names) == 0 {
		return nil, nil
	}
	load := &expr.Meta{Key: key, Register: 1}
	if len(names) == 1 {
		return []expr.Any{load, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: paddedName(names[0])}}, nil
	}
	var elements []nftables.SetElement
	for _, n := range names {
		elements = append(elements, nftables.SetElement{Key: paddedName(n)})
	}
	set, err := b.plainSet(nftables.TypeIFName, elements)
	if err != nil {
		return nil, err
	}
	return []expr.Any{load, &expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID}}, nil
}

func paddedName(n string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, n)
	return b
}

func (b *builder) ports(ranges []plan.PortRange) ([]expr.Any, error) {
	if len(ranges) == 0 {
		return nil, nil
	}
	load := &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: destinationPort, Len: 2}
	merged := mergePorts(ranges)
	if len(merged) > 1 {
		set, err := b.set(nftables.TypeInetService, portElements(merged))
		if err != nil {
			return nil, err
		}
		return []expr.Any{load, &expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID}}, nil
	}
	first, last := binaryutil.BigEndian.PutUint16(merged[0].First), binaryutil.BigEndian.PutUint16(merged[0].Last)
	if merged[0].First == merged[0].Last {
		return []expr.Any{load, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: first}}, nil
	}
	return []expr.Any{load,
		&expr.Cmp{Op: expr.CmpOpGte, Register: 1, Data: first},
		&expr.Cmp{Op: expr.CmpOpLte, Register: 1, Data: last}}, nil
}

// protocolNumbers gives IANA protocol numbers. Ports without a protocol are
// those of TCP and UDP.
func protocolNumbers(name string, ports bool) ([]byte, error) {
	switch name {
	case "":
		if ports {
			return []byte{unix.IPPROTO_TCP, unix.IPPROTO_UDP}, nil
		}
		return nil, nil
	case "tcp":
		return []byte{unix.IPPROTO_TCP}, nil
	case "udp":
		return []byte{unix.IPPROTO_UDP}, nil
	}
	if ports {
		return nil, fmt.Errorf("protocol %q has no ports", name)
	}
	switch name {
	case "icmp":
		return []byte{unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6}, nil
	case "esp":
		return []byte{unix.IPPROTO_ESP}, nil
	case "ah":
		return []byte{unix.IPPROTO_AH}, nil
	}
	if n, err := strconv.ParseUint(name, 10, 8); err == nil {
		return []byte{byte(n)}, nil
	}
	return nil, fmt.Errorf("unknown protocol %q", name)
}
