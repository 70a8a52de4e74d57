package service

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/acrlab/acrlab/fakes/azure"
	"github.com/acrlab/acrlab/fakes/entra"
	"github.com/acrlab/acrlab/fakes/loganalytics"
	"github.com/acrlab/acrlab/fakes/pki"
	"github.com/acrlab/acrlab/fakes/registry"
	"github.com/acrlab/acrlab/harness/plan"
)

// Live is an Azure whose owner keeps the state and changes the network with it.
type Live struct {
	// Store is what the ARM services show and write to. Plans do not change it.
	Store *azure.Store
	// Follow is awaited by every request that may have written; see
	// [azure.Server.Follow].
	Follow func(ctx context.Context, revision uint64) error
}

// shared is what the services of one world have in common besides authorities.
type shared struct {
	store *azure.Store
	live  *Live // nil: the store shows the state of the last plan

	mu         sync.Mutex
	registries map[string]*registry.Registry // by lower-case name
	tenants    map[string]*entra.Tenant      // by lower-case id
	logs       *loganalytics.Store
}

// NewSet makes the two authorities of a world and an empty Azure.
func NewSet() (*Set, error) {
	az, err := pki.New(pki.AzureSubject)
	if err != nil {
		return nil, fmt.Errorf("making Azure's certificate authority: %w", err)
	}
	corp, err := pki.New(pki.CorpSubject)
	if err != nil {
		return nil, fmt.Errorf("making the corporate certificate authority: %w", err)
	}
	store, err := azure.NewStore(azure.State{})
	if err != nil {
		return nil, fmt.Errorf("making the store of Azure resources: %w", err)
	}
	return &Set{Azure: az, Corp: corp, shared: shared{
		store: store, registries: map[string]*registry.Registry{}, tenants: map[string]*entra.Tenant{}, logs: loganalytics.NewStore()}}, nil
}

// NewLiveSet is NewSet over an Azure that has an owner.
func NewLiveSet(l Live) (*Set, error) {
	s, err := NewSet()
	if err != nil {
		return nil, err
	}
	s.shared.store, s.shared.live = l.Store, &l
	return s, nil
}

// AzurePEM is the certificate of the authority behind Azure's endpoints.
func (s *Set) AzurePEM() []byte { return s.Azure.PEM() }

// CorpPEM is the certificate of the authority that TLS inspection signs with.
func (s *Set) CorpPEM() []byte { return s.Corp.PEM() }

// Store holds the Azure resources that the ARM services show. Writes to it
// reach clients at once and, unless the store has an owner, last until a
// Prepare brings other state.
func (s *Set) Store() *azure.Store { return s.shared.store }

// Prepare creates or updates what services share: the registries of n, its
// Entra tenants and, if n has one, its Azure state, unless that has an owner: n
// may be older than it. It must be called before services of n are started or
// updated.
func (s *Set) Prepare(ctx context.Context, n *plan.Network) error {
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("preparing services: %w", err)
	}
	sh := &s.shared
	if n.Azure != nil && sh.live == nil {
		if err := sh.store.Replace(*n.Azure); err != nil {
			return fmt.Errorf("preparing Azure's state: %w", err)
		}
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, h := range n.Hosts {
		for _, svc := range h.Services {
			if svc.LogAnalytics != nil {
				sh.logs.Update(*svc.LogAnalytics) // before registries write to it
			}
			if svc.Entra == nil {
				continue
			}
			if _, err := sh.tenant(*svc.Entra); err != nil {
				return fmt.Errorf("preparing service %s of host %s: %w", svc.Name, h.Name, err)
			}
		}
	}
	for _, cfg := range n.Registries {
		key := strings.ToLower(cfg.Name)
		if r := sh.registries[key]; r != nil {
			if err := r.Update(cfg); err != nil {
				return fmt.Errorf("preparing registry %s: %w", cfg.Name, err)
			}
			continue
		}
		r, err := registry.New(cfg, registry.WithEntraKeys(sh.entraKey), registry.WithEvents(sh.logs))
		if err != nil {
			return fmt.Errorf("preparing registry %s: %w", cfg.Name, err)
		}
		sh.registries[key] = r
	}
	return nil
}

// tenant creates or updates a tenant; mu is held.
func (sh *shared) tenant(cfg entra.Config) (*entra.Tenant, error) {
	key := strings.ToLower(cfg.Tenant)
	if t := sh.tenants[key]; t != nil {
		return t, t.Update(cfg)
	}
	t, err := entra.NewTenant(cfg)
	if err != nil {
		return nil, err
	}
	sh.tenants[key] = t
	return t, nil
}

// entraKey finds the key of a token among all tenants.
func (sh *shared) entraKey(kid string) (crypto.PublicKey, error) {
	sh.mu.Lock()
	tenants := make([]*entra.Tenant, 0, len(sh.tenants))
	for _, t := range sh.tenants {
		tenants = append(tenants, t)
	}
	sh.mu.Unlock()
	var errs []error
	for _, t := range tenants {
		key, err := t.PublicKey(kid)
		if err == nil {
			return key, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("key %q of a token: %w", kid, errors.Join(append(errs, errors.New("no tenant has it"))...))
}

func (sh *shared) registry(name string) (*registry.Registry, error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	r := sh.registries[strings.ToLower(name)]
	if r == nil {
		return nil, fmt.Errorf("registry %q is not among the network's registries (was Prepare called?)", name)
	}
	return r, nil
}
