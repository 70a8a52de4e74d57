package world

import (
	"fmt"

	"github.com/acrlab/acrlab/fakes/azure"
	"github.com/acrlab/acrlab/harness/fabric"
	"github.com/acrlab/acrlab/harness/plan"
	"github.com/acrlab/acrlab/harness/topology"
)

// sites are what a network is planned with besides Azure's state. Of a
// topology only that part is looked at; see [plan.InputOf].
type sites struct {
	current *topology.Topology
	// candidate is about to become current. While there is one, writes to
	// Azure are admitted only if the network can be planned with either.
	candidate *topology.Topology
}

func (w *World) topology() *topology.Topology { return w.sites.Load().current }

// setTopology changes the site beside an Azure that others write to. Every
// write is either checked with the candidate or in the snapshot that the
// candidate is checked with, so state and site fit whichever comes first. The
// caller holds changing.
func (w *World) setTopology(t *topology.Topology) error {
	before := w.topology()
	w.sites.Store(&sites{current: before, candidate: t})
	w.store.Admit(w.admit) // waits for a write whose check knows no candidate
	if _, err := w.plan(w.store.Snapshot(), *t); err != nil {
		w.sites.Store(&sites{current: before})
		return fmt.Errorf("planning the network: %w", err)
	}
	w.sites.Store(&sites{current: t})
	return nil
}

// admit refuses what the network could not follow. The store calls it with the
// state as it would become.
func (w *World) admit(s azure.State) error {
	at := w.sites.Load()
	for _, t := range []*topology.Topology{at.current, at.candidate} {
		if t == nil {
			continue
		}
		if _, err := w.plan(s, *t); err != nil {
			return fmt.Errorf("the network cannot follow: %w", err)
		}
	}
	return nil
}

// plan makes a network and asks the fabric, once there is one, whether it
// could build it.
func (w *World) plan(s azure.State, t topology.Topology) (*plan.Network, error) {
	n, err := plan.Make(plan.InputOf(s, t))
	if err != nil {
		return nil, err
	}
	if c, ok := w.World.(fabric.Checker); ok {
		if err := c.Check(n); err != nil {
			return nil, err
		}
	}
	return n, nil
}
