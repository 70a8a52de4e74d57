package azure

import (
	"context"
	"encoding/json"
	"fmt"
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
	writing sync.Mutex // held by the one write that is under way

	mu      sync.RWMutex // guards the fields below
	now     *data
	changed chan struct{} // closed and replaced by every write
	admit   func(State) error
}

// NewStore makes a store that holds a copy of state.
func NewStore(state State) (*Store, error) {
	s := &Store{now: &data{}}
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
	s.writing.Lock()
	defer s.writing.Unlock()
	old := s.data()
	next := &data{subscription: state.Subscription, tenant: state.Tenant, resources: resources,
		revisions: map[string]uint64{}, revision: old.revision + 1}
	for key, r := range resources {
		next.revisions[key] = next.revision
		if before, ok := old.resources[key]; ok && same(before, r) {
			next.revisions[key] = old.revisions[key]
		}
	}
	s.publish(next)
	return nil
}

// Admit sets a check that every later write must pass: it sees the state as it
// would become and, by an error, keeps everything as it is. An [*Error] is
// answered as it stands, any other as InvalidRequest. The check is called by
// one write at a time; it may read the store, which still holds the old state,
// and must not write to it. Replace is the owner's own and not checked. A nil
// check admits all.
func (s *Store) Admit(check func(State) error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.admit = check
}

// data is the published content. Nobody changes it.
func (s *Store) data() *data {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.now
}

func (s *Store) publish(next *data) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = next
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// change carries out one write: f works on a copy, which is published unless f
// or the owner's check objects. Several effects of one write are thus seen
// together or not at all.
func (s *Store) change(f func(*data) error) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	before := s.data()
	next := before.copy()
	if err := f(next); err != nil {
		return err
	}
	if next.revision == before.revision {
		return nil // nothing was written
	}
	s.mu.RLock()
	admit := s.admit
	s.mu.RUnlock()
	if admit != nil {
		if err := admit(next.state()); err != nil {
			return refusal(err)
		}
	}
	s.publish(next)
	return nil
}

// Snapshot is a consistent copy of everything.
func (s *Store) Snapshot() State { return s.data().state() }

// Get returns the resource, or an [*Error] with status 404.
func (s *Store) Get(id string) (Resource, error) {
	p, err := parse(id)
	if err != nil {
		return Resource{}, err
	}
	r, err := s.data().get(p)
	return clone(r), err
}

// ETag is a token that changes with every write to the resource; "" if it does
// not exist. For an embedded child it is that of the child's last own write or
// its parent's.
func (s *Store) ETag(id string) string {
	p, err := parse(id)
	if err != nil {
		return ""
	}
	return s.data().etag(p)
}

func etagOf(revision uint64) string {
	return fmt.Sprintf(`W/"00000000-0000-0000-0000-%012x"`, revision)
}

// Put creates the resource or replaces it. Name and Type are taken from ID. As
// with ARM, an embedded array that properties leave out keeps its elements; an
// empty one removes them.
func (s *Store) Put(r Resource) (stored Resource, created bool, err error) {
	id, r, err := normal(r)
	if err != nil {
		return Resource{}, false, invalidContent(err)
	}
	err = s.change(func(d *data) error {
		stored, created, err = d.put(&write{data: d, id: id, next: r})
		return err
	})
	if err != nil {
		return Resource{}, false, err
	}
	return clone(stored), created, nil
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
	var stored Resource
	err = s.change(func(d *data) error {
		r, err := d.patched(p, patch)
		if err != nil {
			return err
		}
		stored, _, err = d.put(&write{data: d, id: p, next: r})
		return err
	})
	if err != nil {
		return Resource{}, err
	}
	return clone(stored), nil
}

// patched is the resource as a merge patch would leave it.
func (d *data) patched(id ID, patch []byte) (Resource, error) {
	old, err := d.get(id)
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
	if _, r, err = normal(r); err != nil {
		return Resource{}, invalidContent(err)
	}
	return r, nil
}

// Delete removes the resource and everything below it, and reports whether it
// existed. Deleting a resource group deletes what is in it.
func (s *Store) Delete(id string) (existed bool, err error) {
	p, err := parse(id)
	if err != nil {
		return false, err
	}
	err = s.change(func(d *data) error {
		existed, err = d.delete(&write{data: d, id: p})
		return err
	})
	return existed, err
}

// List returns all resources of a type ("Microsoft.Network/virtualNetworks"),
// children included, in the order of their ids.
func (s *Store) List(resourceType string) []Resource {
	return clones(s.data().ofType(resourceType))
}

// Children returns the resources of one type directly below parent, for
// example "subnets" of a virtual network. It is an error if parent does not exist.
func (s *Store) Children(parent, kind string) ([]Resource, error) {
	p, err := parse(parent)
	if err != nil {
		return nil, err
	}
	d := s.data()
	if _, err := d.get(p); err != nil {
		return nil, err
	}
	return clones(d.children(p, kind)), nil
}

func clones(list []Resource) []Resource {
	for i := range list {
		list[i] = clone(list[i])
	}
	return list
}

// Revision counts writes.
func (s *Store) Revision() uint64 {
	return s.data().revision
}

// Wait returns the revision as soon as it is greater than after.
func (s *Store) Wait(ctx context.Context, after uint64) (uint64, error) {
	for {
		s.mu.Lock()
		rev := s.now.revision
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
