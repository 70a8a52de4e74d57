package azure

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// data is the content of a store at one moment. Once it is published nobody
// changes it: a write works on a copy. Byte slices and maps of its resources
// are therefore shared between versions and must not be written to.
type data struct {
	subscription, tenant string

	resources map[string]Resource // by ID.Key
	revisions map[string]uint64   // of the last write, by ID.Key
	revision  uint64
}

// copy is a version to be changed.
func (d *data) copy() *data {
	next := *d
	next.resources, next.revisions = maps.Clone(d.resources), maps.Clone(d.revisions)
	return &next
}

// state is a copy that shares nothing.
func (d *data) state() State {
	out := State{Subscription: d.subscription, Tenant: d.tenant, Resources: make(map[string]Resource, len(d.resources))}
	for key, r := range d.resources {
		out.Resources[key] = clone(r)
	}
	return out
}

func (d *data) get(id ID) (Resource, error) {
	if array, ok := embeddedArray(id); ok {
		parent, _ := id.Parent()
		p, ok := d.resources[parent.Key()]
		if !ok {
			return Resource{}, parentNotFound(id, parent)
		}
		list, err := elements(p.Properties, array)
		if err != nil {
			return Resource{}, invalidContent(err)
		}
		if i := indexOf(list, id.Name()); i >= 0 {
			return list[i].resource(), nil
		}
		return Resource{}, notFound(id)
	}
	if r, ok := d.resources[id.Key()]; ok {
		return r, nil
	}
	return d.implied(id)
}

// lookup is get for an id as a property holds it; ok is false when there is no
// such resource or the text is no id.
func (d *data) lookup(ref string) (r Resource, ok bool) {
	id, err := ParseID(ref)
	if err != nil {
		return Resource{}, false
	}
	r, err = d.get(id)
	return r, err == nil
}

func (d *data) etag(id ID) string {
	if _, err := d.get(id); err != nil {
		return ""
	}
	rev := d.revisions[id.Key()]
	if parent, ok := id.Parent(); ok && rev == 0 {
		rev = d.revisions[parent.Key()]
	}
	return etagOf(rev)
}

// set stores a resource that lies on its own, and counts the write.
func (d *data) set(id ID, r Resource) {
	d.resources[id.Key()] = r
	d.written(id)
}

// drop removes one resource that lies on its own and nothing else.
func (d *data) drop(id ID) {
	delete(d.resources, id.Key())
	d.written(id)
	delete(d.revisions, id.Key())
}

// written counts a write to id, and to its parent if it is embedded there.
func (d *data) written(id ID) {
	d.revision++
	d.revisions[id.Key()] = d.revision
	if _, ok := embeddedArray(id); ok {
		parent, _ := id.Parent()
		d.revisions[parent.Key()] = d.revision
	}
}

// list selects among resources; embedded children are looked at if
// resourceType is theirs.
func (d *data) list(want func(ID) bool, resourceType string) []Resource {
	out := []Resource{}
	array, inside := embedded[strings.ToLower(resourceType)]
	for _, key := range slices.Sorted(maps.Keys(d.resources)) {
		r := d.resources[key]
		if !inside {
			if resourceType != "" && !strings.EqualFold(r.Type, resourceType) {
				continue
			}
			if id, err := ParseID(r.ID); err == nil && want(id) {
				out = append(out, r)
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
				out = append(out, e.resource())
			}
		}
	}
	return out
}

// ofType are all resources of a type, in the order of their ids.
func (d *data) ofType(resourceType string) []Resource {
	return d.list(func(ID) bool { return true }, resourceType)
}

// children are the resources of one type directly below parent.
func (d *data) children(parent ID, kind string) []Resource {
	prefix := parent.Key()
	return d.list(func(id ID) bool {
		above, ok := id.Parent()
		return ok && above.Key() == prefix
	}, parent.Type()+"/"+kind)
}

// put creates or replaces a resource and sets in motion what follows from it.
func (d *data) put(w *write) (Resource, bool, error) {
	id := w.id
	if parent, ok := id.Parent(); ok {
		if _, exists := d.resources[parent.Key()]; !exists {
			return Resource{}, false, parentNotFound(id, parent)
		}
	}
	if array, ok := embeddedArray(id); ok {
		created, err := d.putElement(w, array)
		if err != nil {
			return Resource{}, false, err
		}
		d.written(id)
		stored, err := d.get(id)
		return stored, created, err
	}
	old, exists := d.resources[id.Key()]
	if exists {
		w.old = &old
		w.next.ID, w.next.Name, w.next.Type = old.ID, old.Name, old.Type // the first spelling stays
		kept, err := keepArrays(id, old.Properties, w.next.Properties)
		if err != nil {
			return Resource{}, false, invalidContent(err)
		}
		w.next.Properties = kept
	}
	if err := d.accept(w); err != nil {
		return Resource{}, false, err
	}
	return d.resources[id.Key()], !exists, nil
}

// accept lets the resource's type check and complete what is written, stores
// it and lets the type do what follows.
func (d *data) accept(w *write) error {
	k := kindOf(w.id)
	if w.strict {
		if w.child == nil {
			if err := w.disallowed(); err != nil {
				return err
			}
		}
		if err := k.check(w); err != nil {
			return err
		}
	}
	d.set(w.id, w.next)
	return k.stored(w)
}

func (d *data) putElement(w *write, array string) (created bool, err error) {
	parentID, _ := w.id.Parent()
	parent := d.resources[parentID.Key()]
	list, err := elements(parent.Properties, array)
	if err != nil {
		return false, invalidContent(err)
	}
	e := element{ID: w.next.ID, Name: w.next.Name, Type: w.next.Type, Properties: w.next.Properties}
	if i := indexOf(list, w.id.Name()); i >= 0 {
		e.ID, e.Name, e.Type = list[i].ID, list[i].Name, list[i].Type
		list[i] = e
	} else {
		list, created = append(list, e), true
	}
	return created, d.replaceElements(w, parentID, array, list)
}

// replaceElements writes the parent with another list of children.
func (d *data) replaceElements(w *write, parentID ID, array string, list []element) error {
	old := d.resources[parentID.Key()]
	next := old
	var err error
	if next.Properties, err = withElements(old.Properties, array, list); err != nil {
		return invalidContent(err)
	}
	up := &write{data: d, id: parentID, old: &old, next: next, child: &w.id, strict: w.strict, caller: w.caller, permit: w.permit}
	return d.accept(up)
}

// delete removes a resource and everything below it.
func (d *data) delete(w *write) (bool, error) {
	id := w.id
	if array, ok := embeddedArray(id); ok {
		parentID, _ := id.Parent()
		parent, ok := d.resources[parentID.Key()]
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
		if err := d.replaceElements(w, parentID, array, slices.Delete(list, i, i+1)); err != nil {
			return false, err
		}
		d.written(id)
		delete(d.revisions, id.Key())
		return true, nil
	}
	if len(id.Types) == 0 && id.ResourceGroup == "" {
		return false, errorf(http.StatusMethodNotAllowed, "MethodNotAllowed", "%s cannot be deleted.", id)
	}
	var gone []*write
	for _, key := range slices.Sorted(maps.Keys(d.resources)) {
		if key != id.Key() && !strings.HasPrefix(key, id.Key()+"/") {
			continue
		}
		before := d.resources[key]
		if at, err := ParseID(before.ID); err == nil {
			gone = append(gone, &write{data: d, id: at, old: &before, root: id, strict: w.strict, caller: w.caller, permit: w.permit})
		}
	}
	if len(gone) == 0 {
		return false, nil
	}
	if w.strict {
		for _, g := range gone {
			if err := kindOf(g.id).leave(g); err != nil {
				return false, err
			}
		}
	}
	for _, g := range gone {
		if _, still := d.resources[g.id.Key()]; still {
			d.drop(g.id)
		}
	}
	for _, g := range gone {
		if err := kindOf(g.id).left(g); err != nil {
			return false, err
		}
	}
	d.written(id)
	delete(d.revisions, id.Key())
	return true, nil
}
