//go:build linux

package netns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/acrlab/acrlab/harness/plan"
)

// iface is one end of a running link.
type iface struct {
	index     int
	addresses []netip.Prefix
}

// addLink makes a veth pair whose ends are born in their hosts, with addresses
// and up. It may take a moment until they carry packets: see await.
func addLink(a, b *host, ea, eb plan.End) error {
	veth := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: ea.Interface, TxQLen: -1, Flags: net.FlagUp},
		PeerName:  eb.Interface, PeerNamespace: netlink.NsFd(b.ns), PeerTxQLen: -1,
	}
	if err := a.nl.LinkAdd(veth); err != nil {
		return fmt.Errorf("making the link: %w", err)
	}
	peer, err := b.nl.LinkByName(eb.Interface)
	if err != nil {
		return fmt.Errorf("finding %s on %q: %w", eb.Interface, b.name, err)
	}
	a.links[ea.Interface] = &iface{index: veth.Index}
	b.links[eb.Interface] = &iface{index: peer.Attrs().Index}
	if err := b.nl.LinkSetUp(peer); err != nil {
		return fmt.Errorf("bringing %s on %q up: %w", eb.Interface, b.name, err)
	}
	if err := a.setAddresses(ea.Interface, ea.Addresses); err != nil {
		return err
	}
	return b.setAddresses(eb.Interface, eb.Addresses)
}

// await waits until an end of a new link sends and answers.
func (h *host) await(ctx context.Context, name string) error {
	if err := h.awaitCarrier(ctx, name); err != nil {
		return err
	}
	return h.awaitAddresses(ctx, name)
}

// awaitCarrier waits until an interface may send. The kernel
// activates it from a work queue (net/core/link_watch.c); what is sent before
// is lost, and a lost SYN costs a second. IFF_RUNNING is no sign of it: it is
// also set while the operational state is still unknown (RFC 2863).
func (h *host) awaitCarrier(ctx context.Context, name string) error {
	for {
		// Reading the link makes kernels since 6.8 do that work at once.
		link, err := h.nl.LinkByIndex(h.links[name].index)
		if err != nil {
			return fmt.Errorf("reading %s on %q: %w", name, h.name, err)
		}
		if link.Attrs().OperState == netlink.OperUp {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the carrier of %s on %q: %w", name, h.name, ctx.Err())
		case <-time.After(100 * time.Microsecond):
		}
	}
}

// removeLink removes both ends. Routes through them go with them.
func removeLink(a, b *host, ea, eb plan.End) error {
	have := a.links[ea.Interface]
	delete(a.links, ea.Interface)
	delete(b.links, eb.Interface)
	if have == nil {
		return nil
	}
	link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: ea.Interface, Index: have.index}}
	if err := a.nl.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("removing the link: %w", err)
	}
	return nil
}

// setAddresses makes want the addresses of an interface.
func (h *host) setAddresses(name string, want []netip.Prefix) error {
	i := h.links[name]
	link := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: name, Index: i.index}}
	return h.diffAddresses(link, &i.addresses, want)
}

// setLoopback makes want the addresses of lo, besides 127.0.0.0/8.
func (h *host) setLoopback(want []netip.Addr) error {
	prefixes := func(addrs []netip.Addr) []netip.Prefix {
		var p []netip.Prefix
		for _, a := range addrs {
			p = append(p, netip.PrefixFrom(a, a.BitLen()))
		}
		return p
	}
	have := prefixes(h.have.Loopback)
	err := h.diffAddresses(loopback, &have, prefixes(want))
	h.have.Loopback = nil
	for _, p := range have {
		h.have.Loopback = append(h.have.Loopback, p.Addr())
	}
	return err
}

func (h *host) diffAddresses(link netlink.Link, have *[]netip.Prefix, want []netip.Prefix) error {
	for _, p := range slices.Clone(*have) {
		if slices.Contains(want, p) {
			continue
		}
		if err := h.nl.AddrDel(link, kernelAddr(p)); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return fmt.Errorf("removing %s from %s on %q: %w", p, link.Attrs().Name, h.name, err)
		}
		*have = slices.DeleteFunc(*have, func(q netip.Prefix) bool { return q == p })
	}
	for _, p := range want {
		if slices.Contains(*have, p) {
			continue
		}
		if err := h.needIPv6(p.Addr()); err != nil {
			return err
		}
		if err := h.nl.AddrReplace(link, kernelAddr(p)); err != nil {
			return fmt.Errorf("adding %s to %s on %q: %w", p, link.Attrs().Name, h.name, err)
		}
		*have = append(*have, p)
	}
	return nil
}

// needIPv6 turns IPv6 on when a first address needs it.
func (h *host) needIPv6(a netip.Addr) error {
	if !a.Is6() || h.ipv6 {
		return nil
	}
	if err := h.within(func() error { return enableIPv6(h.have.Forward) }); err != nil {
		return fmt.Errorf("turning IPv6 on on %q: %w", h.name, err)
	}
	h.ipv6 = true
	return nil
}

func kernelAddr(p netip.Prefix) *netlink.Addr { return &netlink.Addr{IPNet: ipNet(p)} }

// awaitAddresses waits until the IPv6 addresses of a link answer neighbour
// solicitations: the kernel joins their multicast groups from a work queue, and
// takes the tentative mark away after that (addrconf_dad_begin).
func (h *host) awaitAddresses(ctx context.Context, name string) error {
	if !h.ipv6 {
		return nil
	}
	link := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: name, Index: h.links[name].index}}
	for {
		addrs, err := h.nl.AddrList(link, unix.AF_INET6)
		if err != nil {
			return fmt.Errorf("reading the addresses of %s on %q: %w", name, h.name, err)
		}
		if !slices.ContainsFunc(addrs, func(a netlink.Addr) bool { return a.Flags&unix.IFA_F_TENTATIVE != 0 }) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the addresses of %s on %q: %w", name, h.name, ctx.Err())
		case <-time.After(100 * time.Microsecond):
		}
	}
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
