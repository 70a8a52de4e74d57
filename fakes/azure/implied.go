package azure

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// implied are resources that exist because others do: the subscription, the
// groups that hold something, and providers, which are registered unless the
// state says otherwise.
func (d *data) implied(id ID) (Resource, error) {
	missing := notFound(id)
	if parent, ok := id.Parent(); ok && strings.EqualFold(id.Type(), "Microsoft.Network/privateDnsZones/SOA") && id.Name() == "@" {
		if r, ok := d.soa(parent); ok {
			return r, nil
		}
	}
	if len(id.Types) > 0 || !d.hasSubscription(id.Subscription) {
		return Resource{}, missing
	}
	r := Resource{ID: id.String(), Name: id.Name(), Type: id.Type()}
	switch {
	case id.Namespace != "":
		if id.ResourceGroup != "" || !knownNamespace(id.Namespace) {
			return Resource{}, missing
		}
		r.Properties = json.RawMessage(`{"registrationState":"Registered"}`)
	case id.ResourceGroup != "":
		location := ""
		found := false
		prefix := id.Key() + "/"
		for _, key := range slices.Sorted(maps.Keys(d.resources)) {
			if strings.HasPrefix(key, prefix) {
				// The id as the resource spells it, not as it was asked for.
				if in, err := ParseID(d.resources[key].ID); err == nil {
					r.ID, r.Name = ID{Subscription: in.Subscription, ResourceGroup: in.ResourceGroup}.String(), in.ResourceGroup
				}
				found = true
				if location = d.resources[key].Location; location != "" && location != "global" {
					break
				}
			}
		}
		if !found {
			return Resource{}, missing
		}
		r.Location = location
		r.Properties = json.RawMessage(`{"provisioningState":"Succeeded"}`)
	}
	return r, nil
}

func (d *data) hasSubscription(sub string) bool {
	if strings.EqualFold(sub, d.subscription) && sub != "" {
		return true
	}
	prefix := strings.ToLower("/subscriptions/" + sub + "/")
	for key := range d.resources {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// normal checks a resource and fills in what follows from its id.
func normal(r Resource) (ID, Resource, error) {
	id, err := ParseID(r.ID)
	if err != nil {
		return ID{}, Resource{}, err
	}
	r = clone(r)
	r.ID, r.Name, r.Type = id.String(), id.Name(), id.Type()
	if _, err := object(r.SKU); err != nil {
		return ID{}, Resource{}, fmt.Errorf("sku: %w", err)
	}
	if _, err := object(r.Properties); err != nil {
		return ID{}, Resource{}, fmt.Errorf("properties: %w", err)
	}
	if r.Properties, err = completed(id, r.Properties); err != nil {
		return ID{}, Resource{}, err
	}
	return id, r, nil
}

// keepArrays copies embedded arrays that next leaves out from before.
func keepArrays(id ID, before, next json.RawMessage) (json.RawMessage, error) {
	prefix := strings.ToLower(id.Type()) + "/"
	holder, err := object(next)
	if err != nil {
		return nil, err
	}
	for childType, array := range embedded {
		kind, ok := strings.CutPrefix(childType, prefix)
		if !ok || strings.Contains(kind, "/") || holder[array] != nil {
			continue
		}
		list, err := elements(before, array)
		if err != nil {
			return nil, err
		}
		if len(list) > 0 {
			if next, err = withElements(next, array, list); err != nil {
				return nil, err
			}
		}
	}
	return next, nil
}

func parse(id string) (ID, error) {
	p, err := ParseID(id)
	if err != nil {
		return ID{}, errorf(http.StatusBadRequest, "InvalidResourceId", "%s.", err)
	}
	return p, nil
}

func clone(r Resource) Resource {
	r.Tags = maps.Clone(r.Tags)
	r.SKU = bytes.Clone(r.SKU)
	r.Identity = bytes.Clone(r.Identity)
	r.Zones = slices.Clone(r.Zones)
	r.Properties = bytes.Clone(r.Properties)
	return r
}

func same(a, b Resource) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errors.Join(errX, errY) == nil && bytes.Equal(x, y)
}
