package azure

import (
	"encoding/json"
)

// kind is what a resource type does beyond being stored. There is one file per
// type, or per family of types that share their rules.
type kind interface {
	// check refuses what Azure refuses and fills in what it fills in. It may
	// change w.next.
	check(w *write) error
	// stored does what follows from a write, for example the network interface
	// of a private endpoint.
	stored(w *write) error
	// leave refuses a deletion.
	leave(w *write) error
	// left does what follows from a deletion. Everything that goes with it is
	// gone already.
	left(w *write) error
	// show changes properties into what an api-version tells.
	show(v view, id ID, r Resource, p bag)
}

// plain is a type that is only stored.
type plain struct{}

func (plain) check(*write) error           { return nil }
func (plain) stored(*write) error          { return nil }
func (plain) leave(*write) error           { return nil }
func (plain) left(*write) error            { return nil }
func (plain) show(view, ID, Resource, bag) {}

// write is one change on its way into data.
type write struct {
	*data
	id   ID
	old  *Resource // nil: there was none
	next Resource  // zero for a deletion
	// child is the embedded child that is written, nil when id itself is.
	child *ID
	// root is what is deleted: id or something above it.
	root ID
	// strict is set for requests to Azure Resource Manager. Other writes are
	// those of the simulation's owner, who may also build what Azure refuses.
	strict bool
	caller Caller
	// permit checks an action on another resource; nil allows all.
	permit func(action string, scope ID) error
}

func (w *write) created() bool { return w.old == nil }

// properties are those to be stored.
func (w *write) properties() (bag, error) { return bagOf(w.next.Properties) }

func (w *write) setProperties(p bag) error {
	raw, err := json.Marshal(p)
	if err != nil {
		return invalidContent(err)
	}
	w.next.Properties = raw
	return nil
}

// before are the properties that were stored.
func (w *write) before() bag {
	if w.old == nil {
		return bag{}
	}
	p, err := bagOf(w.old.Properties)
	if err != nil {
		return bag{}
	}
	return p
}

// rewrite changes the properties of another resource in the same write.
func (d *data) rewrite(ref string, change func(bag) bool) {
	id, err := ParseID(ref)
	if err != nil {
		return
	}
	at := id
	array, inside := embeddedArray(id)
	if inside {
		at, _ = id.Parent()
	}
	r, ok := d.resources[at.Key()]
	if !ok {
		return
	}
	if !inside {
		p, err := bagOf(r.Properties)
		if err != nil || !change(p) {
			return
		}
		if raw, err := json.Marshal(p); err == nil {
			r.Properties = raw
			d.set(at, r)
		}
		return
	}
	list, err := elements(r.Properties, array)
	if err != nil {
		return
	}
	i := indexOf(list, id.Name())
	if i < 0 {
		return
	}
	p, err := bagOf(list[i].Properties)
	if err != nil || !change(p) {
		return
	}
	raw, err := json.Marshal(p)
	if err != nil {
		return
	}
	list[i].Properties = raw
	if r.Properties, err = withElements(r.Properties, array, list); err == nil {
		d.resources[at.Key()] = r
		d.written(id)
	}
}
