package azure

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// embedded names the child types that live inside their parent, by lower-case
// type: the element of the parent's array is the only copy, and reading or
// writing the child's id reads or writes that element. All other children are
// resources of their own in the store.
var embedded = map[string]string{
	"microsoft.network/virtualnetworks/subnets":                    "subnets",
	"microsoft.network/virtualnetworks/virtualnetworkpeerings":     "virtualNetworkPeerings",
	"microsoft.network/networksecuritygroups/securityrules":        "securityRules",
	"microsoft.network/networksecuritygroups/defaultsecurityrules": "defaultSecurityRules",
	"microsoft.network/routetables/routes":                         "routes",
	"microsoft.network/networkinterfaces/ipconfigurations":         "ipConfigurations",
}

// embeddedArray is the parent's property that holds children of this id's type.
func embeddedArray(id ID) (property string, ok bool) {
	property, ok = embedded[strings.ToLower(id.Type())]
	return property, ok
}

// element is one entry of an embedded array.
type element struct {
	ID         string          `json:"id,omitempty"`
	Name       string          `json:"name"`
	Type       string          `json:"type,omitempty"`
	Properties json.RawMessage `json:"properties,omitempty"`
}

func (e element) resource() Resource {
	return Resource{ID: e.ID, Name: e.Name, Type: e.Type, Properties: e.Properties}
}

// elements reads an embedded array of a parent.
func elements(properties json.RawMessage, array string) ([]element, error) {
	var holder map[string]json.RawMessage
	if len(properties) > 0 {
		if err := json.Unmarshal(properties, &holder); err != nil {
			return nil, fmt.Errorf("reading properties: %w", err)
		}
	}
	var list []element
	if raw := holder[array]; len(raw) > 0 {
		if err := json.Unmarshal(raw, &list); err != nil {
			return nil, fmt.Errorf("reading properties.%s: %w", array, err)
		}
	}
	return list, nil
}

// withElements returns properties with an embedded array replaced.
func withElements(properties json.RawMessage, array string, list []element) (json.RawMessage, error) {
	holder := map[string]json.RawMessage{}
	if len(properties) > 0 {
		if err := json.Unmarshal(properties, &holder); err != nil {
			return nil, fmt.Errorf("reading properties: %w", err)
		}
	}
	if holder == nil { // properties was null
		holder = map[string]json.RawMessage{}
	}
	if list == nil {
		list = []element{}
	}
	raw, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("writing properties.%s: %w", array, err)
	}
	holder[array] = raw
	return json.Marshal(holder)
}

func indexOf(list []element, name string) int {
	return slices.IndexFunc(list, func(e element) bool { return strings.EqualFold(e.Name, name) })
}

// completed fills in what callers leave out of embedded elements: id and type.
func completed(parent ID, properties json.RawMessage) (json.RawMessage, error) {
	prefix := strings.ToLower(parent.Type()) + "/"
	for childType, array := range embedded {
		kind, ok := strings.CutPrefix(childType, prefix)
		if !ok || strings.Contains(kind, "/") {
			continue
		}
		list, err := elements(properties, array)
		if err != nil {
			return nil, err
		}
		if len(list) == 0 {
			continue
		}
		seen := map[string]bool{}
		for i := range list {
			name := strings.ToLower(list[i].Name)
			if err := checkSegment(list[i].Name); err != nil {
				return nil, fmt.Errorf("properties.%s[%d].name: %w", array, i, err)
			}
			if seen[name] {
				return nil, fmt.Errorf("properties.%s: two entries are named %q", array, list[i].Name)
			}
			seen[name] = true
			// The property's name is the type's spelling for all of them.
			child := parent.child(array, list[i].Name)
			list[i].ID, list[i].Type = child.String(), child.Type()
		}
		if properties, err = withElements(properties, array, list); err != nil {
			return nil, err
		}
	}
	return properties, nil
}
