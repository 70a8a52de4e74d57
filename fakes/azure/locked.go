package azure

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// The methods in this file are called with the store's mu held.

func (s *Store) notify() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

func (s *Store) get(id ID) (Resource, error) {
	if array, ok := embeddedArray(id); ok {
		parent, _ := id.Parent()
		p, ok := s.resources[parent.Key()]
		if !ok {
			return Resource{}, parentNotFound(id, parent)
		}
		list, err := elements(p.Properties, array)
		if err != nil {
			return Resource{}, invalidContent(err)
		}
		if i := indexOf(list, id.Name()); i >= 0 {
			return clone(list[i].resource()), nil
		}
		return Resource{}, notFound(id)
	}
	if r, ok := s.resources[id.Key()]; ok {
		return clone(r), nil
	}
	return s.implied(id)
}

func (s *Store) put(id ID, r Resource) (Resource, bool, error) {
	if parent, ok := id.Parent(); ok {
		if _, exists := s.resources[parent.Key()]; !exists {
			return Resource{}, false, parentNotFound(id, parent)
		}
	}
	if array, ok := embeddedArray(id); ok {
		created, err := s.putElement(id, array, r)
		if err != nil {
			return Resource{}, false, err
		}
		s.written(id)
		stored, err := s.get(id)
		return stored, created, err
	}
	old, exists := s.resources[id.Key()]
	if exists {
		r.ID, r.Name, r.Type = old.ID, old.Name, old.Type // the first spelling stays
		kept, err := keepArrays(id, old.Properties, r.Properties)
		if err != nil {
			return Resource{}, false, invalidContent(err)
		}
		r.Properties = kept
	}
	s.resources[id.Key()] = clone(r)
	s.written(id)
	s.follow(id)
	return clone(s.resources[id.Key()]), !exists, nil
}

func (s *Store) putElement(id ID, array string, r Resource) (created bool, err error) {
	parentID, _ := id.Parent()
	parent := s.resources[parentID.Key()]
	list, err := elements(parent.Properties, array)
	if err != nil {
		return false, invalidContent(err)
	}
	e := element{ID: r.ID, Name: r.Name, Type: r.Type, Properties: r.Properties}
	if i := indexOf(list, id.Name()); i >= 0 {
		e.ID, e.Name, e.Type = list[i].ID, list[i].Name, list[i].Type
		list[i] = e
	} else {
		list, created = append(list, e), true
	}
	if parent.Properties, err = withElements(parent.Properties, array, list); err != nil {
		return false, invalidContent(err)
	}
	s.resources[parentID.Key()] = parent
	return created, nil
}

func (s *Store) delete(id ID) (bool, error) {
	if array, ok := embeddedArray(id); ok {
		parentID, _ := id.Parent()
		parent, ok := s.resources[parentID.Key()]
		if !ok {
			return false, nil
		}
		list, err := elements(parent.Properties, array)
		if err != nil {
			return false, invalidContent(err)
		}
		i := indexOf(list, id.Name())
		if i < 0 {
			return false, nil
		}
		if parent.Properties, err = withElements(parent.Properties, array, slices.Delete(list, i, i+1)); err != nil {
			return false, invalidContent(err)
		}
		s.resources[parentID.Key()] = parent
		s.written(id)
		delete(s.revisions, id.Key())
		return true, nil
	}
	if len(id.Types) == 0 && id.ResourceGroup == "" {
		return false, errorf(http.StatusMethodNotAllowed, "MethodNotAllowed", "%s cannot be deleted.", id)
	}
	existed := false
	for key := range maps.Clone(s.resources) {
		if key == id.Key() || strings.HasPrefix(key, id.Key()+"/") {
			gone, err := ParseID(s.resources[key].ID)
			before := s.resources[key]
			delete(s.resources, key)
			delete(s.revisions, key)
			existed = true
			if err == nil {
				s.unfollow(gone, before)
			}
		}
	}
	if existed {
		s.written(id)
		delete(s.revisions, id.Key())
	}
	return existed, nil
}

// written counts a write to id, and to its parent if it is embedded there.
func (s *Store) written(id ID) {
	s.revision++
	s.revisions[id.Key()] = s.revision
	if _, ok := embeddedArray(id); ok {
		parent, _ := id.Parent()
		s.revisions[parent.Key()] = s.revision
	}
	s.notify()
}

// list selects among resources; embedded children are looked at if
// resourceType is theirs.
func (s *Store) list(want func(ID) bool, resourceType string) []Resource {
	out := []Resource{}
	array, inside := embedded[strings.ToLower(resourceType)]
	for _, key := range slices.Sorted(maps.Keys(s.resources)) {
		r := s.resources[key]
		if !inside {
			if id, err := ParseID(r.ID); err == nil && want(id) {
				out = append(out, clone(r))
			}
			continue
		}
		if !strings.EqualFold(r.Type, resourceType[:strings.LastIndexByte(resourceType, '/')]) {
			continue
		}
		list, err := elements(r.Properties, array)
		if err != nil {
			continue // refused when it was written
		}
		for _, e := range list {
			if id, err := ParseID(e.ID); err == nil && want(id) {
				out = append(out, clone(e.resource()))
			}
		}
	}
	return out
}
