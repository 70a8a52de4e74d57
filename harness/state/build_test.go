package state_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/fakes/azure"
	"github.com/acrlab/acrlab/harness/state"
	"github.com/acrlab/acrlab/harness/topology"
)

func base(t *testing.T, name string) topology.Topology {
	t.Helper()
	top, err := topology.Base(name)
	require.NoError(t, err)
	return top.WithDefaults()
}

func build(t *testing.T, top topology.Topology) azure.State {
	t.Helper()
	s, err := state.Build(top)
	require.NoError(t, err)
	return s
}

// properties decodes a resource's properties without the package's own types.
func properties(t *testing.T, s azure.State, id string) map[string]any {
	t.Helper()
	r, ok := s.Resources[state.Key(id)]
	require.True(t, ok, "no resource %s", id)
	var p map[string]any
	require.NoError(t, json.Unmarshal(r.Properties, &p))
	return p
}

func TestEveryBaseBuildsTheSameBytesEveryTime(t *testing.T) {
	for _, name := range topology.Bases() {
		t.Run(name, func(t *testing.T) {
			top := base(t, name)
			first, err := json.Marshal(build(t, top))
			require.NoError(t, err)
			for range 5 {
				again, err := json.Marshal(build(t, top))
				require.NoError(t, err)
				require.Equal(t, string(first), string(again))
			}
		})
	}
}

func TestEveryResourceHasTheShapeOfARM(t *testing.T) {
	for _, name := range topology.Bases() {
		for key, r := range build(t, base(t, name)).Resources {
			require.Equal(t, state.Key(r.ID), key)
			require.Equal(t, state.Name(r.ID), r.Name, r.ID)
			require.NotEmpty(t, r.Type, r.ID)
			var p map[string]any
			require.NoError(t, json.Unmarshal(r.Properties, &p), r.ID)
			require.Equal(t, "Succeeded", p["provisioningState"], r.ID)
		}
	}
}

func TestRegistryWithPrivateEndpointReadsAsAzureShowsIt(t *testing.T) {
	s := build(t, base(t, "private-endpoint"))
	p := properties(t, s, state.ID(state.TypeRegistry, "myregistry"))
	require.Equal(t, "myregistry.azurecr.io", p["loginServer"])
	require.Equal(t, "Disabled", p["publicNetworkAccess"])
	require.Equal(t, true, p["dataEndpointEnabled"])
	require.Equal(t, []any{"myregistry.eastus.data.azurecr.io"}, p["dataEndpointHostNames"])
	connections := p["privateEndpointConnections"].([]any)
	require.Len(t, connections, 1)

	own := properties(t, s, state.ID(state.TypeConnection, "myregistry", "pe-registry"))
	require.Equal(t, connections[0].(map[string]any)["properties"], own)
	require.Equal(t, "Approved", own["privateLinkServiceConnectionState"].(map[string]any)["status"])
}

func TestPrivateEndpointNumbersDataEndpointsFirst(t *testing.T) {
	top := base(t, "private-endpoint")
	top.Registry.Replications = map[string]topology.Replication{"westeurope": {}}
	pe := top.PrivateEndpoints["pe-registry"]
	pe.Addresses = nil
	top.PrivateEndpoints["pe-registry"] = pe
	nics, err := state.NetworkInterfaces(build(t, top))
	require.NoError(t, err)
	got := map[string]string{}
	for _, n := range nics {
		for _, c := range n.Properties.IPConfigurations {
			if l := c.Properties.PrivateLinkConnectionProperties; l != nil {
				require.Equal(t, "registry", l.GroupID)
				got[l.RequiredMemberName] = c.Properties.PrivateIPAddress + " " + l.FQDNs[0]
			}
		}
	}
	require.Equal(t, map[string]string{
		"registry_data_eastus":     "10.0.2.4 myregistry.eastus.data.azurecr.io",
		"registry_data_westeurope": "10.0.2.5 myregistry.westeurope.data.azurecr.io",
		"registry":                 "10.0.2.6 myregistry.azurecr.io",
	}, got)
}

func TestPrivateZoneHoldsWhatTheZoneGroupWrites(t *testing.T) {
	zone := "privatelink.azurecr.io"
	records := func(z topology.PrivateDNSZone) map[string]string {
		top := base(t, "private-endpoint")
		top.PrivateDNSZones = map[string]topology.PrivateDNSZone{zone: z}
		list, err := state.ARecords(build(t, top))
		require.NoError(t, err)
		out := map[string]string{}
		for _, r := range list {
			out[r.Name] = r.Properties.ARecords[0].IPv4Address
		}
		return out
	}
	both := map[string]string{"myregistry": "10.0.2.5", "myregistry.eastus.data": "10.0.2.4"}
	require.Equal(t, both, records(topology.PrivateDNSZone{Links: []string{"hub"}}))
	require.Equal(t, map[string]string{"myregistry": "10.0.2.5"},
		records(topology.PrivateDNSZone{WithoutRecords: []string{"myregistry.eastus.data"}}))
	require.Empty(t, records(topology.PrivateDNSZone{Records: map[string][]string{}}))
	require.Equal(t, map[string]string{"x": "10.9.9.9"},
		records(topology.PrivateDNSZone{Records: map[string][]string{"x": {"10.9.9.9"}}}))

	p := properties(t, build(t, base(t, "private-endpoint")), state.ID(state.TypeARecord, zone, "myregistry"))
	require.EqualValues(t, 10, p["ttl"])
	require.Equal(t, "myregistry.privatelink.azurecr.io.", p["fqdn"])
	require.Contains(t, p["metadata"].(map[string]any)["creator"], "created by private endpoint pe-registry with resource guid ")
}

func TestOnlyPremiumHasNetworkRules(t *testing.T) {
	for sku, want := range map[string]bool{"Basic": false, "Standard": false, "Premium": true} {
		top := base(t, "public")
		top.Registry.SKU = sku
		_, has := properties(t, build(t, top), state.ID(state.TypeRegistry, "myregistry"))["networkRuleSet"]
		require.Equal(t, want, has, sku)
	}
}

func TestBuildNamesWhatIsMissing(t *testing.T) {
	for _, c := range []struct {
		name, base, want string
		change           func(*topology.Topology)
	}{
		{"a private endpoint in no subnet", "private-endpoint", `private endpoint pe-registry: there is no subnet "hub/nowhere"`, func(top *topology.Topology) {
			top.PrivateEndpoints["pe-registry"] = topology.PrivateEndpoint{Subnet: "hub/nowhere"}
		}},
		{"a zone linked to no network", "private-endpoint", `linked to the virtual network "gone"`, func(top *topology.Topology) {
			top.PrivateDNSZones["privatelink.azurecr.io"] = topology.PrivateDNSZone{Links: []string{"gone"}}
		}},
		{"a client in no subnet", "public", `the client: there is no subnet "app/x"`, func(top *topology.Topology) { top.Site.At = "app/x" }},
		{"an unreadable prefix", "public", `subnet app/clients: reading its address prefix`, func(top *topology.Topology) {
			top.VirtualNetworks["app"].Subnets["clients"] = topology.Subnet{AddressPrefix: "10.1.1.0"}
		}},
		{"no such security group", "public", `there is no network security group "n"`, func(top *topology.Topology) {
			top.VirtualNetworks["app"].Subnets["clients"] = topology.Subnet{AddressPrefix: "10.1.1.0/24", NetworkSecurityGroup: "n"}
		}},
		{"a full subnet", "private-endpoint", `subnet hub/endpoints (10.0.2.0/29) has no free address left`, func(top *topology.Topology) {
			top.VirtualNetworks["hub"].Subnets["endpoints"] = topology.Subnet{AddressPrefix: "10.0.2.0/29"}
			top.Registry.Replications = map[string]topology.Replication{"westeurope": {}, "northeurope": {}, "westus": {}}
			top.PrivateEndpoints["pe-registry"] = topology.PrivateEndpoint{Subnet: "hub/endpoints"}
		}},
		{"a rule for no subnet", "service-endpoint", `virtual network rule: there is no subnet "app/gone"`, func(top *topology.Topology) {
			top.Registry.NetworkRuleSet.VirtualNetworkRules = []string{"app/gone"}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			top := base(t, c.base)
			c.change(&top)
			_, err := state.Build(top)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestAnEmptyTopologyBuilds(t *testing.T) {
	_, err := state.Build(topology.Topology{})
	require.NoError(t, err)
}

func TestReadingToleratesWhatAzWrites(t *testing.T) {
	resource := func(properties string) azure.State {
		id := state.ID(state.TypeVirtualNetwork, "v")
		return azure.State{Resources: map[string]azure.Resource{state.Key(id): {
			ID: id, Name: "v", Type: "microsoft.network/virtualnetworks", Location: "East US", Properties: json.RawMessage(properties),
		}}}
	}
	for name, p := range map[string]string{
		"no properties":  ``,
		"null":           `null`,
		"empty":          `{}`,
		"unknown keys":   `{"flowTimeoutInMinutes": 4, "encryption": {"enabled": true}}`,
		"null in places": `{"dhcpOptions": null, "subnets": null, "virtualNetworkPeerings": null, "addressSpace": null}`,
		"plural prefix":  `{"subnets": [{"name": "s", "properties": {"addressPrefixes": ["10.0.0.0/24"]}}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			vs, err := state.VirtualNetworks(resource(p))
			require.NoError(t, err)
			require.Len(t, vs, 1)
			require.Equal(t, "eastus", vs[0].Location)
			if name == "plural prefix" {
				require.Equal(t, []string{"10.0.0.0/24"}, vs[0].Properties.Subnets[0].Properties.Prefixes())
			}
		})
	}
	_, err := state.VirtualNetworks(resource(`{"subnets": "all"}`))
	require.ErrorContains(t, err, "reading the properties of /subscriptions/")
}
