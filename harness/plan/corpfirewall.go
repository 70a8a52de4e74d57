package plan

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/acrlab/acrlab/fakes/middlebox"
	"github.com/acrlab/acrlab/harness/topology"
)

// corpFirewall writes the firewall's rules. They apply to what the client
// sends to anywhere but its resolver on the same network; the proxy and the
// resolver are not behind it.
func (b *builder) corpFirewall(h *Host) error {
	f := b.in.Site.Firewall
	if f == nil {
		return nil
	}
	in := []string{clientHost}
	if b.site.ownResolver {
		if lan, _ := b.site.client.Prefix(24); lan.Contains(b.site.resolve) {
			h.Filter = append(h.Filter, FilterRule{Name: "corp-lan", Match: Match{In: in, Out: []string{resolverHost}}, Verdict: Accept,
				Why: "the resolver is on the client's own network"})
		}
	}
	names := keys(f.Rules)
	slices.SortStableFunc(names, func(x, y string) int { return f.Rules[x].Priority - f.Rules[y].Priority })
	var https filterSet
	for _, name := range names {
		r := f.Rules[name]
		verdict, err := corpVerdict(r.Action)
		if err != nil {
			return fmt.Errorf("the corporate firewall: rule %s: %w", name, err)
		}
		to, any, err := b.corpDestinations(r.To)
		if err != nil {
			return fmt.Errorf("the corporate firewall: rule %s: %w", name, err)
		}
		if len(to) == 0 && !any {
			continue // names without an address
		}
		m := Match{In: in, Destination: to}
		for _, p := range r.Ports {
			if p < 0 || p > 65535 {
				return fmt.Errorf("the corporate firewall: rule %s: %d is not a port", name, p)
			}
			m.Ports = append(m.Ports, PortRange{uint16(p), uint16(p)})
		}
		h.Filter = append(h.Filter, withPorts(FilterRule{Name: "corp-" + name, Match: m, Verdict: verdict})...)
		if holdsPort(m.Ports, 443) {
			https.add(to, verdict == Accept)
		}
	}
	verdict, err := corpVerdict(f.Default)
	if err != nil {
		return fmt.Errorf("the corporate firewall: its default: %w", err)
	}
	h.Filter = append(h.Filter, FilterRule{Name: "corp-default", Match: Match{In: in}, Verdict: verdict})
	https.add(nil, verdict == Accept)
	if f.Names != nil {
		return b.corpNames(h, f.Names, https.allowed)
	}
	return nil
}

// filterSet works out which destinations a list of rules lets pass.
type filterSet struct {
	allowed, decided []netip.Prefix
}

// add appends a rule for destinations; none is all.
func (s *filterSet) add(to []netip.Prefix, allow bool) {
	if len(to) == 0 {
		to = []netip.Prefix{everything}
	}
	if allow {
		for _, p := range normal(to) {
			s.allowed = append(s.allowed, subtract(p, normal(s.decided))...)
		}
	}
	s.decided = append(s.decided, to...)
}

func corpVerdict(action string) (Verdict, error) {
	switch action {
	case "", "allow":
		return Accept, nil
	case "drop":
		return Drop, nil
	case "reject":
		return Reject, nil
	case "prohibit":
		return Prohibit, nil
	}
	return "", fmt.Errorf("unknown action %q", action)
}

// corpDestinations reads names, prefixes and service tags. any is true when
// nothing is given.
func (b *builder) corpDestinations(list []string) (out []netip.Prefix, any bool, err error) {
	for _, s := range list {
		if p, ok, perr := parsePrefix(s); perr == nil {
			if ok {
				out = append(out, p)
			}
			continue
		}
		if tag, terr := ServiceTag(s); terr == nil {
			out = append(out, tag...)
			continue
		}
		if s == "*" {
			return nil, true, nil
		}
		out = append(out, hosts(b.resolve(s, "")...)...)
	}
	return normal(out), len(list) == 0, nil
}

// corpNames reads the names of TLS connections that the packet rules let pass.
func (b *builder) corpNames(h *Host, n *topology.NameFilter, allowed []netip.Prefix) error {
	c := &middlebox.Config{Block: n.Block, Allow: n.Allow, Inspect: n.Inspect, Exempt: n.Exempt}
	switch n.Action {
	case "", "reset":
	case "close":
		c.Action = middlebox.Close
	case "silence":
		c.Action = middlebox.Silence
	default:
		return fmt.Errorf("the corporate firewall: names: unknown action %q", n.Action)
	}
	allowed = normal(allowed)
	if len(allowed) == 0 {
		return nil // nothing passes anyway
	}
	m := Match{In: []string{clientHost}, Protocol: "tcp", Ports: []PortRange{{443, 443}}}
	if allowed[0] != everything {
		m.Destination = allowed
	}
	if p := b.site.proxy; p != nil {
		m.NotDest = hosts(p.address)
	}
	h.TrustAzure = n.Inspect
	h.Redirect = append(h.Redirect, RedirectRule{Name: "corp-names", Match: m, Port: middleboxPort})
	h.serve(Service{Name: "names", Listen: listen(middleboxPort, netip.IPv4Unspecified()), Middlebox: c})
	return nil
}
