// Package state is what Azure holds: it writes a topology down as Azure
// Resource Manager resources, in the shapes that the service itself returns,
// and reads such resources back as Go types.
//
// It knows ARM's field names and nothing of packets: what a resource does to
// traffic is decided in package plan. Because the plan reads only what is in
// the state, a resource that az or Terraform changed counts like one that a
// scenario described.
package state

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/acrlab/acrlab/fakes/azure"
	"github.com/acrlab/acrlab/harness/topology"
)

// object is a JSON object; encoding/json writes its keys in order, so the same
// topology gives the same bytes.
type object = map[string]any

// Build writes a topology as Azure resources. Fields that the topology leaves
// out get the defaults documented on them. An error names the resource that
// refers to something missing or holds something unreadable.
func Build(t topology.Topology) (azure.State, error) {
	b := &builder{t: t, s: azure.State{
		Subscription: Subscription, Tenant: Tenant, Resources: map[string]azure.Resource{},
	}}
	b.location = DefaultLocation
	if t.Registry != nil && t.Registry.Location != "" {
		b.location = Location(t.Registry.Location)
	}
	if err := b.build(); err != nil {
		return azure.State{}, err
	}
	return b.s, nil
}

type builder struct {
	t        topology.Topology
	s        azure.State
	location string // the registry's
	free     allocator
}

func (b *builder) build() error {
	if err := b.reserve(); err != nil {
		return err
	}
	b.put(subscriptionScopePath+"/resourceGroups/"+ResourceGroup, TypeResourceGroup, b.location, nil, object{"provisioningState": "Succeeded"})
	for _, step := range []func() error{
		b.securityGroups, b.routeTables, b.virtualNetworks, b.firewalls,
		b.privateEndpoints, b.dnsServers, b.site, b.registry, b.privateDNSZones,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// put adds a resource. The properties are always encodable: maps, slices,
// strings, numbers and booleans.
func (b *builder) put(id, typ, location string, sku, properties object) {
	r := azure.Resource{ID: id, Name: Name(id), Type: typ, Location: location}
	if sku != nil {
		r.SKU = mustJSON(sku)
	}
	r.Properties = mustJSON(properties)
	b.s.Resources[Key(id)] = r
}

func mustJSON(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		// Unreachable: see put.
		panic(fmt.Sprintf("encoding %T: %v", v, err))
	}
	return raw
}

func reference(id string) object { return object{"id": id} }

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// orEmpty makes a nil slice an empty JSON array, as ARM writes it.
func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
