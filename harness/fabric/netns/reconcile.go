//go:build linux

package netns

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/acrlab/acrlab/harness/plan"
)

// linkKey identifies a link by its two ends; the first is the lesser.
type linkKey [2]struct{ host, name string }

func keyOf(l plan.Link) linkKey {
	var k linkKey
	for i, e := range l.Ends {
		k[i].host, k[i].name = e.Host, e.Interface
	}
	if k[1].host < k[0].host || k[1].host == k[0].host && k[1].name < k[0].name {
		k[0], k[1] = k[1], k[0]
	}
	return k
}

// reconcile makes the world equal to n, one kind of thing after another. Each
// step that succeeds is remembered, so that after an error another reconcile
// goes on from what is there. A new world is reconciled from an empty one.
func (w *world) reconcile(ctx context.Context, n *plan.Network) error {
	want := map[string]*plan.Host{}
	for i := range n.Hosts {
		want[n.Hosts[i].Name] = &n.Hosts[i]
	}
	if err := w.removeHosts(want); err != nil {
		return err
	}
	if err := w.addHosts(n); err != nil {
		return err
	}
	changed, err := w.setLinks(ctx, n.Links)
	if err != nil {
		return err
	}
	steps := []struct {
		doing string
		do    func(h *host, p *plan.Host) error
	}{
		{"forwarding", (*host).reconcileForward},
		{"loopback addresses", func(h *host, p *plan.Host) error { return h.setLoopback(p.Loopback) }},
		{"routes", func(h *host, p *plan.Host) error { return h.setRoutes(p.Routes, changed[h.name]) }},
		{"routing rules", func(h *host, p *plan.Host) error { return h.setRules(p.Rules) }},
		{"filters", (*host).reconcileRules},
		{"files", w.reconcileFiles},
	}
	for _, s := range steps {
		for i := range n.Hosts {
			p := &n.Hosts[i]
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := s.do(w.hosts[p.Name], p); err != nil {
				return fmt.Errorf("host %q: %s: %w", p.Name, s.doing, err)
			}
		}
	}
	if p, ok := w.driver.Services.(Preparer); ok {
		if err := p.Prepare(ctx, n); err != nil {
			return fmt.Errorf("preparing the services: %w", err)
		}
	}
	for i := range n.Hosts {
		p := &n.Hosts[i]
		if err := w.hosts[p.Name].reconcileServices(ctx, w.driver.Services, p); err != nil {
			return fmt.Errorf("host %q: %w", p.Name, err)
		}
	}
	return nil
}

func (w *world) removeHosts(want map[string]*plan.Host) error {
	for name, h := range w.hosts {
		if want[name] != nil {
			continue
		}
		for k := range w.links {
			if k[0].host == name || k[1].host == name {
				if err := w.removeLink(k); err != nil {
					return err
				}
			}
		}
		delete(w.hosts, name)
		if err := h.close(); err != nil {
			return fmt.Errorf("removing host %q: %w", name, err)
		}
	}
	return nil
}

func (w *world) addHosts(n *plan.Network) error {
	var missing []plan.Host
	for _, p := range n.Hosts {
		if w.hosts[p.Name] == nil {
			missing = append(missing, p)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	made, err := newHosts(w.home, missing)
	for _, h := range made {
		w.hosts[h.name] = h
	}
	return err
}

// setLinks removes, adds and changes links. changed are the hosts whose
// interfaces or addresses did change.
func (w *world) setLinks(ctx context.Context, links []plan.Link) (changed map[string]bool, err error) {
	changed = map[string]bool{}
	var fresh []plan.End
	want := map[linkKey]bool{}
	for _, l := range links {
		want[keyOf(l)] = true
	}
	for k := range w.links {
		if want[k] {
			continue
		}
		changed[k[0].host], changed[k[1].host] = true, true
		if err := w.removeLink(k); err != nil {
			return nil, err
		}
	}
	for _, l := range links {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		k := keyOf(l)
		have, ok := w.links[k]
		if ok && reflect.DeepEqual(have, l) {
			continue
		}
		a, b := l.Ends[0], l.Ends[1]
		changed[a.Host], changed[b.Host] = true, true
		w.links[k] = l // also when it fails half-way: then it can be removed
		if !ok {
			err = addLink(w.hosts[a.Host], w.hosts[b.Host], a, b)
		} else {
			err = errors.Join(w.hosts[a.Host].setAddresses(a.Interface, a.Addresses),
				w.hosts[b.Host].setAddresses(b.Interface, b.Addresses))
		}
		if err != nil {
			if removeErr := w.removeLink(k); removeErr != nil {
				err = errors.Join(err, removeErr)
			}
			return nil, fmt.Errorf("link %s %s - %s %s: %w", a.Host, a.Interface, b.Host, b.Interface, err)
		}
		fresh = append(fresh, a, b)
	}
	for _, e := range fresh {
		if err := w.hosts[e.Host].await(ctx, e.Interface); err != nil {
			return nil, err
		}
	}
	return changed, nil
}

func (w *world) removeLink(k linkKey) error {
	l := w.links[k]
	a, b := l.Ends[0], l.Ends[1]
	if err := removeLink(w.hosts[a.Host], w.hosts[b.Host], a, b); err != nil {
		return fmt.Errorf("link %s %s - %s %s: %w", a.Host, a.Interface, b.Host, b.Interface, err)
	}
	delete(w.links, k)
	return nil
}

func (h *host) reconcileForward(p *plan.Host) error {
	if h.have.Forward == p.Forward {
		return nil
	}
	err := h.within(func() error {
		if h.ipv6 {
			if err := enableIPv6(p.Forward); err != nil {
				return err
			}
		}
		return setForward(p.Forward)
	})
	if err == nil {
		h.have.Forward = p.Forward
	}
	return err
}

// reconcileRules replaces the host's filters, translations and redirections if
// any of them changed. Filters need no more; see [ruleset]. A translation is
// chosen once for a connection and kept in its entry of the connection table,
// so entries go that a change of translations or redirections may concern.
func (h *host) reconcileRules(p *plan.Host) error {
	filter := sameRules(h.have.Filter, p.Filter)
	nat := reflect.DeepEqual(norm(h.have.NAT), norm(p.NAT)) && reflect.DeepEqual(norm(h.have.Redirect), norm(p.Redirect))
	if filter && nat {
		return nil
	}
	first := h.rules == nil
	if first {
		err := h.within(func() (err error) {
			h.rules, err = newRuleset()
			return err
		})
		if err != nil {
			return err
		}
	}
	if err := h.rules.apply(p); err != nil {
		return err
	}
	before := plan.Host{NAT: h.have.NAT, Redirect: h.have.Redirect}
	h.have.Filter, h.have.NAT, h.have.Redirect = slices.Clone(p.Filter), slices.Clone(p.NAT), slices.Clone(p.Redirect)
	if nat || first {
		return nil
	}
	return h.forgetConnections(&before, p)
}

// norm makes empty and absent lists equal.
func norm[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return s
}

// sameRules compares without explanations.
func sameRules(a, b []plan.FilterRule) bool {
	return slices.EqualFunc(a, b, func(x, y plan.FilterRule) bool {
		return x.Name == y.Name && x.Verdict == y.Verdict && reflect.DeepEqual(x.Match, y.Match) && sameRules(x.Group, y.Group)
	})
}
