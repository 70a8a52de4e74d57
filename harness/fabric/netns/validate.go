//go:build linux

package netns

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/acrlab/acrlab/harness/plan"
)

// validate finds what the kernel would refuse later, or accept and get wrong.
// The errors name the host and what on it.
func validate(n *plan.Network) error {
	if n == nil {
		return errors.New("no network")
	}
	var errs []error
	hosts := map[string]*plan.Host{}
	for i := range n.Hosts {
		h := &n.Hosts[i]
		if h.Name == "" {
			errs = append(errs, fmt.Errorf("host %d has no name", i+1))
			continue
		}
		if hosts[h.Name] != nil {
			errs = append(errs, fmt.Errorf("host %q is there twice", h.Name))
		}
		hosts[h.Name] = h
	}
	interfaces := map[string]map[string]bool{}
	for i, l := range n.Links {
		if err := validateLink(l, hosts, interfaces); err != nil {
			errs = append(errs, fmt.Errorf("link %d (%s %s - %s %s): %w", i+1,
				l.Ends[0].Host, l.Ends[0].Interface, l.Ends[1].Host, l.Ends[1].Interface, err))
		}
	}
	for i := range n.Hosts {
		if err := validateHost(&n.Hosts[i], interfaces[n.Hosts[i].Name]); err != nil {
			errs = append(errs, fmt.Errorf("host %q: %w", n.Hosts[i].Name, err))
		}
	}
	return errors.Join(errs...)
}

func validateLink(l plan.Link, hosts map[string]*plan.Host, interfaces map[string]map[string]bool) error {
	for _, e := range l.Ends {
		switch {
		case hosts[e.Host] == nil:
			return fmt.Errorf("no host %q", e.Host)
		case e.Interface == "" || len(e.Interface) >= unix.IFNAMSIZ || e.Interface == "lo":
			return fmt.Errorf("interface name %q must have 1 to %d bytes and not be lo", e.Interface, unix.IFNAMSIZ-1)
		case interfaces[e.Host][e.Interface]:
			return fmt.Errorf("host %q has two interfaces %q", e.Host, e.Interface)
		}
		for _, p := range e.Addresses {
			if !p.IsValid() || p.Addr().Is4In6() {
				return fmt.Errorf("invalid address %s on %q", p, e.Host)
			}
		}
		if interfaces[e.Host] == nil {
			interfaces[e.Host] = map[string]bool{}
		}
		interfaces[e.Host][e.Interface] = true
	}
	return nil
}

func validateHost(h *plan.Host, interfaces map[string]bool) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, a := range h.Loopback {
		if !a.IsValid() || a.Is4In6() {
			bad("invalid loopback address %s", a)
		}
	}
	seen := map[plan.Route]bool{}
	for _, r := range h.Routes {
		switch {
		case !r.Destination.IsValid() || r.Destination.Addr().Is4In6():
			bad("a route has the invalid destination %s", r.Destination)
			continue
		case r.Blackhole && (r.Via.IsValid() || r.Interface != ""):
			bad("route to %s: a blackhole has no gateway or interface", describeRoute(r))
		case r.Via.IsValid() && r.Via.Is4() != r.Destination.Addr().Is4():
			bad("route to %s: gateway of another address family", describeRoute(r))
		case r.Interface != "" && r.Interface != "lo" && !interfaces[r.Interface]:
			bad("route to %s: no interface %q", describeRoute(r), r.Interface)
		case r.Table < 0:
			bad("route to %s: negative table", describeRoute(r))
		}
		key := plan.Route{Table: bare(r).Table, Destination: r.Destination.Masked()}
		if seen[key] {
			bad("two routes to %s in table %d", key.Destination, key.Table)
		}
		seen[key] = true
	}
	for _, r := range h.Rules {
		if r.Interface == "" || len(r.Interface) >= unix.IFNAMSIZ || r.Table <= 0 || r.Priority <= 0 {
			bad("rule %d (from %q use table %d): priority, interface and table must be given", r.Priority, r.Interface, r.Table)
		}
	}
	names := map[string]bool{}
	if err := validateFilter(h.Filter, names); err != nil {
		errs = append(errs, err)
	}
	for _, r := range h.Redirect {
		if err := validateMatch(r.Match); err != nil {
			bad("redirection %q: %w", r.Name, err)
		}
		if r.Name == "" || names[r.Name] || r.Port == 0 {
			bad("redirection %q: needs a port, and a name that no other rule has", r.Name)
		}
		if p := r.Match.Protocol; p != "" && p != "tcp" {
			bad("redirection %q: only tcp can be redirected, not %q", r.Name, p)
		}
		names[r.Name] = true
	}
	for i, r := range h.NAT {
		if err := validateMatch(r.Match); err != nil {
			bad("translation rule %d: %w", i+1, err)
		}
		if r.Keep == r.To.IsValid() {
			bad("translation rule %d: either an address or Keep must be given", i+1)
		}
	}
	services := map[string]bool{}
	for _, s := range h.Services {
		if services[s.Name] {
			bad("two services %q", s.Name)
		}
		services[s.Name] = true
	}
	for p := range h.Files {
		if !path.IsAbs(p) || path.Clean(p) != p || p == "/" {
			bad("file %q: the path must be absolute and clean", p)
		}
	}
	return errors.Join(errs...)
}

func validateFilter(rules []plan.FilterRule, names map[string]bool) error {
	var errs []error
	for _, r := range rules {
		if r.Name == "" || names[r.Name] {
			errs = append(errs, fmt.Errorf("filter rule %q: needs a name that no other rule has", r.Name))
		}
		names[r.Name] = true
		if err := validateMatch(r.Match); err != nil {
			errs = append(errs, fmt.Errorf("filter rule %q: %w", r.Name, err))
		}
		if len(r.Group) > 0 {
			if r.Verdict != "" {
				errs = append(errs, fmt.Errorf("filter rule %q: has both a verdict and a group", r.Name))
			}
			errs = append(errs, validateFilter(r.Group, names))
			continue
		}
		if _, err := endingsOf(r, nil); err != nil {
			errs = append(errs, fmt.Errorf("filter rule %q: %w", r.Name, err))
		}
	}
	return errors.Join(errs...)
}

func validateMatch(m plan.Match) error {
	for _, p := range slices.Concat(m.Source, m.Destination, m.NotDest) {
		if !p.IsValid() || p.Addr().Is4In6() {
			return fmt.Errorf("invalid prefix %s", netip.Prefix(p))
		}
	}
	for _, r := range m.Ports {
		if r.First > r.Last {
			return fmt.Errorf("invalid port range %d-%d", r.First, r.Last)
		}
	}
	for _, n := range slices.Concat(m.In, m.Out) {
		if n == "" || len(n) >= unix.IFNAMSIZ {
			return fmt.Errorf("invalid interface name %q", n)
		}
	}
	_, err := protocolNumbers(m.Protocol, len(m.Ports) > 0)
	return err
}
