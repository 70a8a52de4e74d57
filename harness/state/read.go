package state

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/acrlab/acrlab/fakes/azure"
)

// Item is a resource with its properties decoded as far as the simulation
// reads them. Keys that it does not know stay in the state.
type Item[P any] struct {
	ID         string
	Name       string
	Location   string
	SKU        SKU
	Properties P
}

// SKU of a resource.
type SKU struct {
	Name string `json:"name"`
	Tier string `json:"tier"`
}

// Reference is ARM's {"id": …}.
type Reference struct {
	ID string `json:"id"`
}

// list decodes all resources of a type in the order of their ids. Keys may be
// missing, null or unknown; a key of the wrong JSON type is an error that names
// the resource.
func list[P any](s azure.State, typ string) ([]Item[P], error) {
	var keys []string
	for key, r := range s.Resources {
		if strings.EqualFold(r.Type, typ) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	items := make([]Item[P], 0, len(keys))
	for _, key := range keys {
		it, err := decode[P](s.Resources[key])
		if err != nil {
			return nil, err
		}
		items = append(items, it)
	}
	return items, nil
}

func decode[P any](r azure.Resource) (Item[P], error) {
	it := Item[P]{ID: r.ID, Name: r.Name, Location: Location(r.Location)}
	if it.Name == "" {
		it.Name = Name(r.ID)
	}
	if err := unmarshal(r.Properties, &it.Properties); err != nil {
		return it, fmt.Errorf("reading the properties of %s: %w", r.ID, err)
	}
	if err := unmarshal(r.SKU, &it.SKU); err != nil {
		return it, fmt.Errorf("reading the SKU of %s: %w", r.ID, err)
	}
	return it, nil
}

func unmarshal(raw json.RawMessage, into any) error {
	if len(raw) == 0 {
		return nil
	}
	return json.Unmarshal(raw, into)
}

// Location is ARM's normal form of a region: "East US" and "eastus" are the same.
func Location(s string) string { return strings.ToLower(strings.ReplaceAll(s, " ", "")) }

// oneOrMany merges ARM's singular and plural forms of a field
// ("addressPrefix" and "addressPrefixes").
func oneOrMany(one string, many []string) []string {
	out := slices.Clone(many)
	if one != "" && !slices.Contains(out, one) {
		out = append([]string{one}, out...)
	}
	return out
}
