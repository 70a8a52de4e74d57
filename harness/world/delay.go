package world

import (
	"reflect"
	"time"

	"github.com/acrlab/acrlab/fakes/registry"
	"github.com/acrlab/acrlab/harness/plan"
)

// ruleDelay holds changes of registries' network rules back.
type ruleDelay struct {
	delay      time.Duration
	registries map[string]*heldRules // by name
}

// heldRules are the rules of one registry.
type heldRules struct {
	inEffect, written registry.Access
	coming            []comingRules // in order of time
}

type comingRules struct {
	at     time.Time
	access registry.Access
}

// hold puts the rules that are in effect now into the plan, and says when
// others will be, zero for never. Rules of a new registry are at once.
func (d *ruleDelay) hold(n *plan.Network, now time.Time) (next time.Time) {
	if d.delay == 0 {
		return time.Time{}
	}
	before := d.registries
	d.registries = map[string]*heldRules{}
	for i := range n.Registries {
		r := &n.Registries[i]
		h := before[r.Name]
		if h == nil {
			h = &heldRules{inEffect: r.Public, written: r.Public}
		}
		d.registries[r.Name] = h
		if !reflect.DeepEqual(h.written, r.Public) {
			h.written = r.Public
			h.coming = append(h.coming, comingRules{now.Add(d.delay), r.Public})
		}
		for len(h.coming) > 0 && !now.Before(h.coming[0].at) {
			h.inEffect, h.coming = h.coming[0].access, h.coming[1:]
		}
		r.Public = h.inEffect
		if len(h.coming) > 0 && (next.IsZero() || h.coming[0].at.Before(next)) {
			next = h.coming[0].at
		}
	}
	return next
}

// forget lets the next plan's rules be in effect at once.
func (d *ruleDelay) forget() { d.registries = nil }
