package azure

import (
	"encoding/json"
	"strings"
)

// view is what a resource is shown by: one content and one api-version. The
// store keeps more than any one version tells.
type view struct {
	*data
	version string
}

// withETag are the providers whose resources show an etag.
func (v view) tagOf(id ID) string {
	if strings.EqualFold(id.Namespace, "Microsoft.Network") {
		return v.etag(id)
	}
	return ""
}

// shown is a resource in the shape of the view's api-version.
func (v view) shown(r Resource) any {
	id, err := ParseID(r.ID)
	if err != nil {
		return r
	}
	switch {
	case id.Type() == TypeSubscription:
		return v.showSubscription(id.Subscription)
	case id.Type() == TypeProvider:
		p, _ := findProvider(id.Namespace)
		return v.provider(id.Subscription, p)
	case id.Namespace == "":
		return r
	}
	p, err := bagOf(r.Properties)
	if err != nil {
		return r
	}
	switch strings.ToLower(r.Type) {
	case typeLock, typeRoleAssignment, typePolicyAssignment, typePolicyDefinition:
	default:
		p.fill("provisioningState", "Succeeded")
	}
	if strings.ToLower(r.Type) == typeSubnet {
		showSubnet(bag{"id": r.ID, "properties": map[string]any(p)}, v.subnetUsers())
	}
	kindOf(id).show(v, id, r, p)
	raw, err := json.Marshal(p)
	if err != nil {
		return r
	}
	r.Properties = raw
	return struct {
		Resource
		ETag string `json:"etag,omitempty"`
	}{r, v.tagOf(id)}
}

// expand replaces references by what they refer to, along a path of property
// names as in $expand=subnets/ipConfigurations.
func (v view) expand(shown any, path []string) any {
	raw, err := json.Marshal(shown)
	if err != nil || len(path) == 0 {
		return shown
	}
	m, err := object(raw)
	if err != nil {
		return shown
	}
	v.expandIn(m, path)
	return m
}

func (v view) expandIn(m map[string]any, path []string) {
	props, _ := m["properties"].(map[string]any)
	for key, value := range props {
		if !strings.EqualFold(key, path[0]) {
			continue
		}
		switch value := value.(type) {
		case []any:
			for i, x := range value {
				value[i] = v.expandOne(x, path[1:])
			}
		default:
			props[key] = v.expandOne(value, path[1:])
		}
	}
}

func (v view) expandOne(x any, rest []string) any {
	m, ok := x.(map[string]any)
	if !ok {
		return x
	}
	if id, _ := m["id"].(string); len(m) == 1 && id != "" {
		if r, ok := v.lookup(id); ok {
			if full, err := json.Marshal(v.shown(r)); err == nil {
				if o, err := object(full); err == nil {
					m = o
				}
			}
		}
	}
	if len(rest) > 0 {
		v.expandIn(m, rest)
	}
	return m
}
