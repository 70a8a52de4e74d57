//go:build linux

package netns

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/acrlab/acrlab/harness/plan"
)

// forgetConnections removes from the host's connection table what the change
// of translations and redirections from before to after may concern: a
// translation is chosen once for a connection and kept in its entry. All other
// connections go on.
func (h *host) forgetConnections(before, after *plan.Host) error {
	var nl *netlink.Handle
	err := h.within(func() (err error) {
		nl, err = netlink.NewHandle(unix.NETLINK_NETFILTER)
		return err
	})
	if err != nil {
		return fmt.Errorf("opening a netfilter socket: %w", err)
	}
	defer nl.Close()
	concerned := concernedBy{before, after}
	for _, family := range []netlink.InetFamily{unix.AF_INET, unix.AF_INET6} {
		if _, err := nl.ConntrackDeleteFilters(netlink.ConntrackTable, family, concerned); err == nil {
			continue
		}
		// An entry went by itself meanwhile, or the dump was interrupted.
		if err := nl.ConntrackTableFlush(netlink.ConntrackTable); err != nil {
			return fmt.Errorf("emptying the connection table: %w", err)
		}
	}
	return nil
}

// concernedBy selects connections to which other rules may apply after a
// change. Interfaces are left out of account, as an entry does not tell them:
// if the rules that fit otherwise are the same, so is the one that applies.
type concernedBy struct{ before, after *plan.Host }

// MatchConntrackFlow implements [netlink.CustomConntrackFilter].
func (c concernedBy) MatchConntrackFlow(f *netlink.ConntrackFlow) bool {
	return !reflect.DeepEqual(fitting(c.before.NAT, f, func(r plan.NATRule) plan.Match { return r.Match }),
		fitting(c.after.NAT, f, func(r plan.NATRule) plan.Match { return r.Match })) ||
		!reflect.DeepEqual(fitting(c.before.Redirect, f, func(r plan.RedirectRule) plan.Match { return r.Match }),
			fitting(c.after.Redirect, f, func(r plan.RedirectRule) plan.Match { return r.Match }))
}

// fitting are the rules that a connection fits, by its first packet.
func fitting[R any](rules []R, f *netlink.ConntrackFlow, match func(R) plan.Match) []R {
	source, _ := netip.AddrFromSlice(f.Forward.SrcIP)
	to, _ := netip.AddrFromSlice(f.Forward.DstIP)
	source, to = source.Unmap(), to.Unmap()
	var out []R
	for _, r := range rules {
		m := match(r)
		numbers, err := protocolNumbers(m.Protocol, len(m.Ports) > 0)
		port := func(p plan.PortRange) bool { return p.First <= f.Forward.DstPort && f.Forward.DstPort <= p.Last }
		if err != nil || // refused by validate
			len(numbers) > 0 && !slices.Contains(numbers, f.Forward.Protocol) ||
			len(m.Ports) > 0 && !slices.ContainsFunc(m.Ports, port) ||
			len(m.Source) > 0 && !contains(m.Source, source) ||
			len(m.Destination) > 0 && !contains(m.Destination, to) || contains(m.NotDest, to) {
			continue
		}
		out = append(out, r)
	}
	return out
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
}
