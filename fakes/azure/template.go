package azure

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// template is a parsed ARM template whose resources are in the order in which
// they must be written.
type template struct {
	id         ID // the deployment
	group      Resource
	tenant     string
	parameters bag // values
	secure     map[string]bool
	variables  bag
	declared   bag // outputs
	resources  []templateResource
	steps      int // values evaluated so far
}

type templateResource struct {
	id      ID
	version string
	raw     bag
	after   []string // keys of what it depends on
}

const maxTemplateResources = 800

func newTemplate(d *data, id ID, group Resource, text, given json.RawMessage) (*template, error) {
	tpl, err := bagOf(text)
	if err != nil {
		return nil, fmt.Errorf("the template is no JSON object: %w", err)
	}
	if tpl["resources"] == nil {
		return nil, fmt.Errorf("the template has no resources")
	}
	t := &template{id: id, group: group, tenant: d.tenant, parameters: bag{}, secure: map[string]bool{}, variables: tpl.bag("variables"), declared: tpl.bag("outputs")}
	values, err := bagOf(given)
	if err != nil {
		return nil, fmt.Errorf("the parameters are no JSON object: %w", err)
	}
	if err := t.bind(d, tpl.bag("parameters"), values); err != nil {
		return nil, err
	}
	list := tpl.bags("resources")
	if named := tpl.bag("resources"); named != nil { // language version 2.0
		for _, key := range sortedKeys(named) {
			list = append(list, named.bag(key))
		}
	}
	var all []templateResource
	for _, raw := range list {
		if all, err = t.flatten(d, raw, nil, all); err != nil {
			return nil, err
		}
	}
	if len(all) > maxTemplateResources {
		return nil, fmt.Errorf("the template has %d resources; the limit is %d", len(all), maxTemplateResources)
	}
	t.resources, err = ordered(all)
	return t, err
}

// bind finds the value of every parameter.
func (t *template) bind(d *data, declared, values bag) error {
	for _, name := range sortedKeys(values) {
		if declared[name] == nil {
			return fmt.Errorf("the following parameters were supplied, but do not correspond to any parameters defined in the template: '%s'", name)
		}
	}
	for _, name := range sortedKeys(declared) {
		p := declared.bag(name)
		t.secure[name] = strings.HasPrefix(strings.ToLower(p.text("type")), "secure")
		value, ok := values.bag(name)["value"]
		if !ok {
			fallback, has := p["defaultValue"]
			if !has {
				return fmt.Errorf("the value for the template parameter '%s' is not provided", name)
			}
			var err error
			if value, err = t.eval(d, fallback, 0); err != nil {
				return fmt.Errorf("the default value of the parameter '%s': %w", name, err)
			}
		}
		if !ofParameterType(p.text("type"), value) {
			return fmt.Errorf("template parameter '%s' is not of the type '%s'", name, p.text("type"))
		}
		if allowed, _ := p["allowedValues"].([]any); len(allowed) > 0 && !slices.ContainsFunc(allowed, func(a any) bool { return fmt.Sprint(a) == fmt.Sprint(value) }) {
			return fmt.Errorf("the provided value for the template parameter '%s' is not valid. The value '%v' is not part of the allowed value(s)", name, value)
		}
		t.parameters[name] = value
	}
	return nil
}

func ofParameterType(kind string, v any) bool {
	switch strings.ToLower(kind) {
	case "string", "securestring":
		_, ok := v.(string)
		return ok
	case "int":
		_, ok := bag{"v": v}.number("v")
		return ok
	case "bool":
		_, ok := v.(bool)
		return ok
	case "array":
		_, ok := v.([]any)
		return ok
	case "object", "secureobject":
		_, ok := v.(map[string]any)
		return ok
	}
	return false
}

// flatten reads one resource and its nested children.
func (t *template) flatten(d *data, raw bag, parent *templateResource, all []templateResource) ([]templateResource, error) {
	if c, ok := raw["condition"]; ok {
		v, err := t.eval(d, c, 0)
		if err != nil {
			return nil, err
		}
		if on, ok := v.(bool); ok && !on {
			return all, nil
		}
	}
	for _, unsupported := range []string{"copy", "scope", "subscriptionId", "resourceGroup"} {
		if raw[unsupported] != nil {
			return nil, fmt.Errorf("acrlab does not carry out '%s' of a template resource", unsupported)
		}
	}
	var texts [3]string
	for i, key := range []string{"type", "name", "apiVersion"} {
		v, err := t.eval(d, raw[key], 0)
		if err != nil {
			return nil, err
		}
		s, ok := v.(string)
		if !ok || s == "" {
			return nil, fmt.Errorf("a resource has no '%s'", key)
		}
		texts[i] = s
	}
	if strings.EqualFold(texts[0], "Microsoft.Resources/deployments") {
		return nil, fmt.Errorf("acrlab does not carry out nested deployments ('%s')", texts[1])
	}
	kind, name := texts[0], texts[1]
	if parent != nil && !strings.Contains(kind, ".") {
		kind, name = parent.id.Type()+"/"+kind, strings.Join(append(slices.Clone(parent.id.Names), name), "/")
	}
	id, err := t.resource(kind, strings.Split(name, "/"))
	if err != nil {
		return nil, err
	}
	r := templateResource{id: id, version: texts[2], raw: raw}
	for _, text := range raw.texts("dependsOn") {
		v, err := t.eval(d, text, 0)
		if err != nil {
			return nil, err
		}
		r.after = append(r.after, strings.ToLower(fmt.Sprint(v)))
	}
	if parent != nil {
		r.after = append(r.after, parent.id.Key())
	}
	all = append(all, r)
	for _, child := range raw.bags("resources") {
		if all, err = t.flatten(d, child, &r, all); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// resource is the id of a type and its names in the deployment's group.
func (t *template) resource(kind string, names []string) (ID, error) {
	parts := strings.Split(kind, "/")
	if len(parts) < 2 || len(names) != len(parts)-1 {
		return ID{}, fmt.Errorf("the template resource '%s' of type '%s' has incorrect segment lengths. A nested resource type must have identical number of segments as its resource name", strings.Join(names, "/"), kind)
	}
	path := ID{Subscription: t.id.Subscription, ResourceGroup: t.id.ResourceGroup, Namespace: parts[0], Types: parts[1:], Names: names}.String()
	return ParseID(path)
}

// ordered sorts by dependsOn; parents come before children in any case. The
// order of the template stays where nothing demands another.
func ordered(all []templateResource) ([]templateResource, error) {
	find := func(name string) int {
		return slices.IndexFunc(all, func(r templateResource) bool {
			return r.id.Key() == name || strings.ToLower(r.id.Name()) == name || strings.ToLower(strings.Join(r.id.Names, "/")) == name
		})
	}
	var out []templateResource
	state := make([]int, len(all)) // 1: being looked at, 2: done
	var visit func(i int) error
	visit = func(i int) error {
		switch state[i] {
		case 1:
			return fmt.Errorf("circular dependency detected on resource: '%s'", all[i].id)
		case 2:
			return nil
		}
		state[i] = 1
		for _, name := range all[i].after {
			j := find(name)
			if j < 0 {
				return fmt.Errorf("the resource '%s' is not defined in the template: '%s' depends on it", name, all[i].id)
			}
			if err := visit(j); err != nil {
				return err
			}
		}
		if parent, ok := all[i].id.Parent(); ok {
			if j := find(parent.Key()); j >= 0 && j != i {
				if err := visit(j); err != nil {
					return err
				}
			}
		}
		state[i] = 2
		out = append(out, all[i])
		return nil
	}
	for i := range all {
		if err := visit(i); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// body is what is PUT for a resource.
func (t *template) body(d *data, r templateResource) ([]byte, error) {
	out := map[string]any{}
	for _, key := range []string{"location", "tags", "sku", "identity", "zones", "properties"} {
		if r.raw[key] == nil {
			continue
		}
		v, err := t.eval(d, r.raw[key], 0)
		if err != nil {
			return nil, fmt.Errorf("%s of the resource '%s': %w", key, r.id, err)
		}
		out[key] = v
	}
	return json.Marshal(out)
}

func (t *template) outputs(d *data) (map[string]any, error) {
	out := map[string]any{}
	for _, name := range sortedKeys(t.declared) {
		o := t.declared.bag(name)
		v, err := t.eval(d, o["value"], 0)
		if err != nil {
			return nil, fmt.Errorf("the output '%s': %w", name, err)
		}
		out[name] = map[string]any{"type": o.text("type"), "value": v}
	}
	return out, nil
}

// shownParameters leaves secrets out.
func (t *template) shownParameters() map[string]any {
	out := map[string]any{}
	for name, value := range t.parameters {
		if out[name] = map[string]any{"value": value}; t.secure[name] {
			out[name] = map[string]any{"type": "SecureString"}
		}
	}
	return out
}

func (t *template) references() []any {
	out := []any{}
	for _, r := range t.resources {
		out = append(out, ref(r.id.String()))
	}
	return out
}
