//go:build linux

package netns

import (
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/acrlab/acrlab/harness/plan"
)

// bare is a route without its explanation, to compare.
func bare(r plan.Route) plan.Route {
	r.Why = ""
	r.Destination = r.Destination.Masked()
	if r.Table == 0 {
		r.Table = unix.RT_TABLE_MAIN
	}
	return r
}

// setRoutes makes want the host's routes. again adds even those that are
// thought to be there: the kernel drops routes with their interface or source
// address.
func (h *host) setRoutes(want []plan.Route, again bool) error {
	wanted := map[plan.Route]bool{}
	for _, r := range want {
		wanted[bare(r)] = true
	}
	had := map[plan.Route]bool{}
	for _, r := range slices.Clone(h.have.Routes) {
		if wanted[bare(r)] {
			had[bare(r)] = true
			continue
		}
		if err := h.removeRoute(r); err != nil {
			return err
		}
		h.have.Routes = slices.DeleteFunc(h.have.Routes, func(q plan.Route) bool { return bare(q) == bare(r) })
	}
	for _, r := range want {
		if had[bare(r)] && !again {
			continue
		}
		kr, err := h.kernelRoute(r)
		if err != nil {
			return err
		}
		if err := h.nl.RouteReplace(kr); err != nil {
			return fmt.Errorf("adding the route to %s: %w", describeRoute(r), err)
		}
		if !had[bare(r)] {
			h.have.Routes = append(h.have.Routes, r)
		}
	}
	h.have.Routes = slices.Clone(want)
	return nil
}

func (h *host) removeRoute(r plan.Route) error {
	if !r.Blackhole && r.Interface != "" && h.links[r.Interface] == nil {
		return nil // gone with its interface
	}
	kr, err := h.kernelRoute(r)
	if err != nil {
		return nil // its gateway is on no interface any more: gone as well
	}
	err = h.nl.RouteDel(kr)
	if err != nil && !errors.Is(err, unix.ESRCH) && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("removing the route to %s: %w", describeRoute(r), err)
	}
	return nil
}

func (h *host) kernelRoute(r plan.Route) (*netlink.Route, error) {
	kr := &netlink.Route{Dst: ipNet(r.Destination.Masked()), Table: bare(r).Table, Protocol: unix.RTPROT_STATIC}
	if r.Blackhole {
		kr.Type = unix.RTN_BLACKHOLE
		return kr, nil
	}
	name := r.Interface
	if name == "" {
		name = h.interfaceTowards(r)
	}
	i := h.links[name]
	switch {
	case name == "lo":
		kr.LinkIndex = loopback.Index
	case i == nil && r.Interface != "":
		return nil, fmt.Errorf("route to %s: no interface %q", describeRoute(r), r.Interface)
	case i == nil:
		return nil, fmt.Errorf("route to %s: no interface has the gateway in its network", describeRoute(r))
	default:
		kr.LinkIndex = i.index
	}
	if !r.Via.IsValid() {
		kr.Scope = netlink.SCOPE_LINK
		return kr, nil
	}
	kr.Gw = r.Via.AsSlice()
	// Gateways of point-to-point links are in no network of the interface.
	kr.Flags = int(netlink.FLAG_ONLINK)
	return kr, nil
}

// interfaceTowards finds the interface whose network holds the gateway, or,
// for a route on link, the destination.
func (h *host) interfaceTowards(r plan.Route) string {
	target := r.Via
	if !target.IsValid() {
		target = r.Destination.Addr()
	}
	best, bits := "", -1
	for name, i := range h.links {
		for _, p := range i.addresses {
			if p.Contains(target) && (p.Bits() > bits || p.Bits() == bits && name < best) {
				best, bits = name, p.Bits()
			}
		}
	}
	return best
}

func describeRoute(r plan.Route) string {
	s := r.Destination.String()
	switch {
	case r.Blackhole:
		s += " (blackhole)"
	case r.Via.IsValid():
		s += " via " + r.Via.String()
	}
	if r.Interface != "" {
		s += " on " + r.Interface
	}
	if r.Table != 0 {
		s += fmt.Sprintf(" in table %d", r.Table)
	}
	return s
}

// setRules makes want the rules that choose routing tables.
func (h *host) setRules(want []plan.RouteRule) error {
	for _, r := range slices.Clone(h.have.Rules) {
		if slices.Contains(want, r) {
			continue
		}
		for _, kr := range h.kernelRules(r) {
			if err := h.nl.RuleDel(kr); err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EAFNOSUPPORT) {
				return fmt.Errorf("removing the rule of %s: %w", r.Interface, err)
			}
		}
		h.have.Rules = slices.DeleteFunc(h.have.Rules, func(q plan.RouteRule) bool { return q == r })
	}
	for _, r := range want {
		if slices.Contains(h.have.Rules, r) {
			continue
		}
		for _, kr := range h.kernelRules(r) {
			if err := h.nl.RuleAdd(kr); err != nil && !errors.Is(err, unix.EEXIST) {
				return fmt.Errorf("adding the rule %d (from %s use table %d): %w", r.Priority, r.Interface, r.Table, err)
			}
		}
		h.have.Rules = append(h.have.Rules, r)
	}
	h.have.Rules = slices.Clone(want)
	return nil
}

// kernelRules are one rule for each address family the host uses.
func (h *host) kernelRules(r plan.RouteRule) []*netlink.Rule {
	families := []int{unix.AF_INET}
	if h.ipv6 {
		families = append(families, unix.AF_INET6)
	}
	var rules []*netlink.Rule
	for _, f := range families {
		kr := netlink.NewRule()
		kr.Family, kr.Priority, kr.IifName, kr.Table = f, r.Priority, r.Interface, r.Table
		rules = append(rules, kr)
	}
	return rules
}
