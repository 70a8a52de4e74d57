// Package world keeps a running topology in step: Azure's state and the site
// on one side, the network that follows from them on the other.
//
// A world has one state: the store that its Azure Resource Manager shows.
// Whoever writes to it, az on the client host or a remedy of the harness,
// changes packets: a write is admitted if the network can be planned with it,
// and then the plan is made anew and the fabric reconciles.
//
// It does not know scenarios, clients or diagnosers.
package world

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/acrlab/acrlab/diagnosis"
	"github.com/acrlab/acrlab/fakes/azure"
	"github.com/acrlab/acrlab/harness/fabric"
	"github.com/acrlab/acrlab/harness/plan"
	"github.com/acrlab/acrlab/harness/service"
	"github.com/acrlab/acrlab/harness/state"
	"github.com/acrlab/acrlab/harness/topology"
)

// Fabric makes the driver of one world out of that world's services.
type Fabric func(*service.Set) fabric.Driver

// Options of a world. The zero value is that of most.
type Options struct {
	// RegistryRuleDelay is how long a registry goes on by its old network rules
	// after a write through Azure Resource Manager. Azure names no figure; its
	// documentation says "a few minutes"
	// (https://learn.microsoft.com/azure/container-registry/container-registry-access-selected-networks).
	// Become does not wait for it, Apply does.
	RegistryRuleDelay time.Duration
}

// World is a running topology. It is safe for concurrent use.
type World struct {
	fabric.World
	store *azure.Store
	sites atomic.Pointer[sites]

	alive   context.Context // ends at Close
	end     context.CancelCauseFunc
	watched chan struct{} // closed when the watcher has ended
	closing func() error

	changing sync.Mutex // held by the one Apply or Become that is under way

	turn    chan struct{} // holds an entry while the network is being changed
	network atomic.Pointer[plan.Network]
	last    atomic.Pointer[round]
	rules   ruleDelay // by whoever has the turn
}

// Open builds a topology and starts it. When it returns, every service answers.
func Open(ctx context.Context, f Fabric, t topology.Topology) (*World, error) {
	return OpenWith(ctx, f, t, Options{})
}

// OpenWith is Open with options.
func OpenWith(ctx context.Context, f Fabric, t topology.Topology, o Options) (*World, error) {
	if o.RegistryRuleDelay < 0 {
		return nil, fmt.Errorf("the delay of registry rules: %s is less than nothing", o.RegistryRuleDelay)
	}
	s, err := state.Build(t)
	if err != nil {
		return nil, fmt.Errorf("describing the topology as Azure resources: %w", err)
	}
	w := &World{turn: make(chan struct{}, 1), watched: make(chan struct{}), rules: ruleDelay{delay: o.RegistryRuleDelay}}
	if w.store, err = azure.NewStore(s); err != nil {
		return nil, fmt.Errorf("storing the topology's Azure resources: %w", err)
	}
	set, err := service.NewLiveSet(service.Live{Store: w.store, Follow: w.answer})
	if err != nil {
		return nil, fmt.Errorf("preparing the services: %w", err)
	}
	w.sites.Store(&sites{current: &t})
	first := &round{revision: w.store.Revision(), topology: &t}
	n, err := w.plan(w.store.Snapshot(), t)
	if err != nil {
		return nil, fmt.Errorf("planning the network: %w", err)
	}
	w.rules.hold(n, time.Now())
	if w.World, err = f(set).Up(ctx, n); err != nil {
		return nil, err
	}
	w.network.Store(n)
	w.last.Store(first)
	w.alive, w.end = context.WithCancelCause(context.WithoutCancel(ctx))
	w.closing = sync.OnceValue(w.close)
	w.store.Admit(w.admit)
	go w.watch(first.revision)
	return w, nil
}

// Network is the plan that is running. It must not be changed.
func (w *World) Network() *plan.Network { return w.network.Load() }

// Azure is the state of the world's Azure, which Azure Resource Manager shows.
// The network follows what is written to it; see [World.Settle].
func (w *World) Azure() *azure.Store { return w.store }

// Image is what the client pulls: "myregistry.azurecr.io/hello-world:latest".
func (w *World) Image() string { return w.topology().Site.Image }

// AzureCredentials are environment variables that give access to this world's Azure.
func (w *World) AzureCredentials() map[string]string {
	return plan.AzureCredentials(w.store.Snapshot())
}

// Become changes the running network into that of another topology, whatever
// was written to its Azure meanwhile.
func (w *World) Become(ctx context.Context, t topology.Topology) error {
	s, err := state.Build(t)
	if err != nil {
		return fmt.Errorf("describing the topology as Azure resources: %w", err)
	}
	if _, err := w.plan(s, t); err != nil {
		return fmt.Errorf("planning the network: %w", err)
	}
	w.changing.Lock()
	defer w.changing.Unlock()
	if err := w.takeTurn(ctx); err != nil {
		return fmt.Errorf("changing the network: %w", err)
	}
	defer w.passTurn()
	// Nobody plans while the turn is taken, so nobody sees the new site beside
	// the old state. A write in between is admitted or not, and replaced.
	before := w.sites.Swap(&sites{current: &t})
	if err := w.store.Replace(s); err != nil {
		w.sites.Store(before)
		return fmt.Errorf("storing the topology's Azure resources: %w", err)
	}
	w.rules.forget()
	return w.reconcile(false)
}

// Apply carries out the changes of a remedy, in order, and lets the network
// follow. What an earlier change did stays when a later one fails.
func (w *World) Apply(ctx context.Context, changes []diagnosis.Change) error {
	w.changing.Lock()
	defer w.changing.Unlock()
	for i, c := range changes {
		if err := w.apply(c); err != nil {
			return fmt.Errorf("change %d of %d: %w", i+1, len(changes), err)
		}
	}
	return w.Settle(ctx)
}

func (w *World) apply(c diagnosis.Change) error {
	if c.ARM != nil {
		return request(w.store, *c.ARM)
	}
	t := w.topology()
	if a := c.Allow; a != nil && a.Device == diagnosis.Firewall && t.Site.Firewall == nil {
		return w.allowInAzure(*a)
	}
	site, err := state.Apply(*t.Site, c)
	if err != nil {
		return err
	}
	next := *t
	next.Site = &site
	return w.setTopology(&next)
}

// allowInAzure does what the owner of the Azure Firewall on the client's way
// out would do when asked: a diagnoser without Azure access cannot know whose
// firewall it is.
func (w *World) allowInAzure(a diagnosis.Allow) error {
	groups, err := state.AllowAtAzureFirewalls(w.store.Snapshot(), a)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if _, _, err := w.store.Put(g); err != nil {
			return fmt.Errorf("writing %s: %w", g.ID, err)
		}
	}
	return nil
}

// errClosed is what whoever waits for a world hears when it is closed.
var errClosed = errors.New("the network is down")

// Close takes the network down. Requests that wait for it are told so.
func (w *World) Close() error { return w.closing() }

func (w *World) close() error {
	w.end(errClosed)
	<-w.watched
	w.turn <- struct{}{} // for good: nothing changes the network any more
	return w.World.Close()
}
