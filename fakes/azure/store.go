package azure

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
)

// Store holds resources. Ids are compared without regard to case. It is safe
// for concurrent use; what it takes and returns is never shared with it.
//
// Subnets, peerings, security rules, routes and IP configurations have one
// place, the array in their parent's properties. Every method accepts their
// own ids too and then reads or writes the array's element. Other children
// (record sets, links, replications, private endpoint connections, rule
// collection groups) are resources of their own.
//
// Errors are of type [*Error], as ARM would answer.
type Store struct {
	mu           sync.RWMutex
	subscription string
	tenant       string
	resources    map[string]Resource // by ID.Key
	revisions    map[string]uint64   // of the last write, by ID.Key
	revision     uint64
	changed      chan struct{} // closed and replaced by every write
}

// NewStore makes a store that holds a copy of state.
func NewStore(state State) (*Store, error) {
	s := &Store{}
	if err := s.Replace(state); err != nil {
		return nil, err
	}
	return s, nil
}

// Replace puts state in place of everything the store holds, or changes
// nothing if state has an error.
func (s *Store) Replace(state State) error {
	resources := make(map[string]Resource, len(state.Resources))
	for key, r := range state.Resources {
		if r.ID == "" {
			r.ID = key
		}
		id, r, err := normal(r)
		if err != nil {
			return fmt.Errorf("resource %s: %w", key, err)
		}
		if _, ok := embeddedArray(id); ok {
			return fmt.Errorf("resource %s: belongs in the properties of its parent", key)
		}
		if _, twice := resources[id.Key()]; twice {
			return fmt.Errorf("resource %s: given twice", key)
		}
		resources[id.Key()] = r
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	revisions := map[string]uint64{}
	s.revision++
	for key, r := range resources {
		revisions[key] = s.revision
		if old, ok := s.resources[key]; ok && same(old, r) {
			revisions[key] = s.revisions[key]
		}
	}
	s.subscription, s.tenant = state.Subscription, state.Tenant
	s.resources, s.revisions = resources, revisions
	s.notify()
	return nil
}

// Snapshot is a consistent copy of everything.
func (s *Store) Snapshot() State {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := State{Subscription: s.subscription, Tenant: s.tenant, Resources: make(map[string]Resource, len(s.resources))}
	for key, r := range s.resources {
		out.Resources[key] = clone(r)
	}
	return out
}

// Get returns the resource, or an [*Error] with status 404.
func (s *Store) Get(id string) (Resource, error) {
	p, err := parse(id)
	if err != nil {
		return Resource{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.get(p)
}

// ETag is a token that changes with every write to the resource; "" if it does
// not exist. For an embedded child it is that of the child's last own write or
// its parent's.
func (s *Store) ETag(id string) string {
	p, err := parse(id)
	if err != nil {
		return ""
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if _, err := s.get(p); err != nil {
		return ""
	}
	rev := s.revisions[p.Key()]
	if parent, ok := p.Parent(); ok && rev == 0 {
		rev = s.revisions[parent.Key()]
	}
	return fmt.Sprintf(`W/"00000000-0000-0000-0000-%012x"`, rev)
}

// Put creates the resource or replaces it. Name and Type are taken from ID. As
// with ARM, an embedded array that properties leave out keeps its elements; an
// empty one removes them.
func (s *Store) Put(r Resource) (stored Resource, created bool, err error) {
	id, r, err := normal(r)
	if err != nil {
		return Resource{}, false, invalidContent(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.put(id, r)
}

// Patch applies a JSON merge patch (RFC 7396) to the resource as ARM shows it:
// {"tags":…,"sku":…,"properties":…}. id, name and type cannot be patched.
func (s *Store) Patch(id string, patch []byte) (Resource, error) {
	p, err := parse(id)
	if err != nil {
		return Resource{}, err
	}
	if _, err := object(patch); err != nil {
		return Resource{}, invalidContent(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old, err := s.get(p)
	if err != nil {
		return Resource{}, err
	}
	before, err := json.Marshal(old)
	if err != nil {
		return Resource{}, invalidContent(err)
	}
	after, err := mergePatch(before, patch)
	if err != nil {
		return Resource{}, invalidContent(err)
	}
	var r Resource
	if err := json.Unmarshal(after, &r); err != nil {
		return Resource{}, invalidContent(err)
	}
	r.ID = old.ID
	_, r, err = normal(r)
	if err != nil {
		return Resource{}, invalidContent(err)
	}
	r, _, err = s.put(p, r)
	return r, err
}

// Delete removes the resource and everything below it, and reports whether it
// existed. Deleting a resource group deletes what is in it.
func (s *Store) Delete(id string) (existed bool, err error) {
	p, err := parse(id)
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.delete(p)
}

// List returns all resources of a type ("Microsoft.Network/virtualNetworks"),
// children included, in the order of their ids.
func (s *Store) List(resourceType string) []Resource {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.list(func(id ID) bool { return strings.EqualFold(id.Type(), resourceType) }, resourceType)
}

// Children returns the resources of one type directly below parent, for
// example "subnets" of a virtual network. It is an error if parent does not exist.
func (s *Store) Children(parent, kind string) ([]Resource, error) {
	p, err := parse(parent)
	if err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if _, err := s.get(p); err != nil {
		return nil, err
	}
	prefix := p.Key()
	return s.list(func(id ID) bool {
		above, ok := id.Parent()
		return ok && above.Key() == prefix && strings.EqualFold(id.Types[len(id.Types)-1], kind)
	}, p.Type()+"/"+kind), nil
}

// Revision counts writes.
func (s *Store) Revision() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.revision
}

// Wait returns the revision as soon as it is greater than after.
func (s *Store) Wait(ctx context.Context, after uint64) (uint64, error) {
	for {
		s.mu.Lock()
		rev := s.revision
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		s.mu.Unlock()
		if rev > after {
			return rev, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return rev, context.Cause(ctx)
		}
	}
}
