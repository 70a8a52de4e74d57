// Package world keeps a running topology in step: Azure's state and the site
// on one side, the network that follows from them on the other. Whatever
// changes the former is planned again and the fabric reconciles.
//
// It does not know scenarios, clients or diagnosers.
package world

import (
	"context"
	"fmt"

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

// World is a running topology. Its methods must not be called at the same
// time, but for those of the embedded fabric world.
type World struct {
	fabric.World
	topology topology.Topology
	azure    *azure.Store
	network  *plan.Network
}

// Open builds a topology and starts it. When it returns, every service answers.
func Open(ctx context.Context, f Fabric, t topology.Topology) (*World, error) {
	set, err := service.NewSet()
	if err != nil {
		return nil, fmt.Errorf("preparing the services: %w", err)
	}
	w := &World{}
	if err := w.plan(t); err != nil {
		return nil, err
	}
	if w.World, err = f(set).Up(ctx, w.network); err != nil {
		return nil, err
	}
	return w, nil
}

// Network is the plan that is running.
func (w *World) Network() *plan.Network { return w.network }

// Image is what the client pulls: "myregistry.azurecr.io/hello-world:latest".
func (w *World) Image() string { return w.topology.Site.Image }

// AzureCredentials are environment variables that give access to this world's Azure.
func (w *World) AzureCredentials() map[string]string {
	return plan.AzureCredentials(w.azure.Snapshot())
}

// Become changes the running network into that of another topology.
func (w *World) Become(ctx context.Context, t topology.Topology) error {
	if err := w.plan(t); err != nil {
		return err
	}
	return w.reconcile(ctx)
}

// Apply carries out the changes of a remedy, in order, and lets the network follow.
func (w *World) Apply(ctx context.Context, changes []diagnosis.Change) error {
	for i, c := range changes {
		if err := w.apply(c); err != nil {
			return fmt.Errorf("change %d of %d: %w", i+1, len(changes), err)
		}
	}
	n, err := plan.Make(plan.InputOf(w.azure.Snapshot(), w.topology))
	if err != nil {
		return fmt.Errorf("planning the network after the remedy: %w", err)
	}
	w.network = n
	return w.reconcile(ctx)
}

func (w *World) apply(c diagnosis.Change) error {
	if c.ARM != nil {
		return request(w.azure, *c.ARM)
	}
	if a := c.Allow; a != nil && a.Device == diagnosis.Firewall && w.topology.Site.Firewall == nil {
		return w.allowInAzure(*a)
	}
	site, err := state.Apply(*w.topology.Site, c)
	if err != nil {
		return err
	}
	w.topology.Site = &site
	return nil
}

// allowInAzure does what the owner of the Azure Firewall on the client's way
// out would do when asked: a diagnoser without Azure access cannot know whose
// firewall it is.
func (w *World) allowInAzure(a diagnosis.Allow) error {
	groups, err := state.AllowAtAzureFirewalls(w.azure.Snapshot(), a)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if _, _, err := w.azure.Put(g); err != nil {
			return fmt.Errorf("writing %s: %w", g.ID, err)
		}
	}
	return nil
}

func (w *World) plan(t topology.Topology) error {
	s, err := state.Build(t)
	if err != nil {
		return fmt.Errorf("describing the topology as Azure resources: %w", err)
	}
	store, err := azure.NewStore(s)
	if err != nil {
		return fmt.Errorf("storing the topology's Azure resources: %w", err)
	}
	n, err := plan.Make(plan.InputOf(s, t))
	if err != nil {
		return fmt.Errorf("planning the network: %w", err)
	}
	w.topology, w.azure, w.network = t, store, n
	return nil
}

func (w *World) reconcile(ctx context.Context) error {
	if err := w.Reconcile(ctx, w.network); err != nil {
		return fmt.Errorf("changing the network: %w", err)
	}
	return nil
}
