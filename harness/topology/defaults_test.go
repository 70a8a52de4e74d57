package topology

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDefaultsOfNothingAreAPremiumRegistryWithPublicAccess(t *testing.T) {
	got := new(Topology).WithDefaults()
	require.Equal(t, "myregistry", got.Registry.Name)
	require.Equal(t, "Premium", got.Registry.SKU)
	require.Equal(t, "Enabled", got.Registry.PublicNetworkAccess)
	require.Equal(t, "Allow", got.Registry.NetworkRuleSet.DefaultAction)
	require.False(t, *got.Registry.DataEndpointEnabled)
	require.Equal(t, "myregistry.azurecr.io/hello-world:latest", got.Site.Image)
	require.Error(t, got.Validate(), "the client stands nowhere")
}

func TestFillingDefaultsTwiceIsFillingThemOnce(t *testing.T) {
	for _, name := range Bases() {
		once, err := Base(name)
		require.NoError(t, err)
		require.Equal(t, once, once.WithDefaults(), name)
	}
}

func TestDefaultsShareNoMemoryWithTheirSource(t *testing.T) {
	for _, name := range Bases() {
		source, err := Base(name)
		require.NoError(t, err)
		pointers := map[uintptr]string{}
		reach(reflect.ValueOf(source), name, func(p uintptr, at string) { pointers[p] = at })
		reach(reflect.ValueOf(source.WithDefaults()), name, func(p uintptr, at string) {
			require.NotContains(t, pointers, p, "%s is shared", at)
		})
	}
}

// reach visits the memory behind every pointer, map and list.
func reach(v reflect.Value, at string, visit func(uintptr, string)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			visit(v.Pointer(), at)
			reach(v.Elem(), at, visit)
		}
	case reflect.Map:
		if !v.IsNil() {
			visit(v.Pointer(), at)
			for _, k := range v.MapKeys() {
				reach(v.MapIndex(k), at+"."+k.String(), visit)
			}
		}
	case reflect.Slice:
		if v.Len() > 0 {
			visit(v.Pointer(), at)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			reach(v.Field(i), at+"."+v.Type().Field(i).Name, visit)
		}
	}
}

func TestPrivateEndpointsGetTheFirstFreeAddressesDataFirst(t *testing.T) {
	in := Topology{
		Registry:        &Registry{Replications: map[string]Replication{"westeurope": {}}},
		VirtualNetworks: map[string]VirtualNetwork{"hub": {AddressPrefixes: []string{"10.0.0.0/16"}, Subnets: map[string]Subnet{"all": {AddressPrefix: "10.0.2.0/28"}}}},
		PrivateEndpoints: map[string]PrivateEndpoint{
			"pe": {Subnet: "hub/all", Addresses: map[string]string{"registry": "10.0.2.5"}},
		},
		Site: &Site{At: "hub/all"},
	}
	got := in.WithDefaults()
	require.Equal(t, map[string]string{
		"registry_data_eastus": "10.0.2.4", "registry": "10.0.2.5", "registry_data_westeurope": "10.0.2.6",
	}, got.PrivateEndpoints["pe"].Addresses)
	require.Equal(t, "10.0.2.7", got.Site.Address)
	require.True(t, *got.Registry.DataEndpointEnabled, "Azure turns them on with the first private endpoint")
	require.NoError(t, got.Validate())
}

// As in Azure, what has an address keeps it when something is added.
func TestAChangeMovesNobody(t *testing.T) {
	s, err := Decode("f", "x", []byte(`title: t
symptoms: [S4]
base: private-endpoint-peered
setup:
  privateEndpoints: {pe-registry: {addresses: null}}
change:
  registry: {replications: {brazilsouth: {}}}
  privateDnsZones: {privatelink.azurecr.io: {withoutRecords: [myregistry.brazilsouth.data]}}
  virtualNetworks: {hub: {subnets: {clients: {addressPrefix: 10.0.9.0/24}}}}
  site: {at: hub/clients}
expect: {causes: [dns-replica-record-missing]}
prove: [client gets NXDOMAIN for myregistry.brazilsouth.data.azurecr.io]
`))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"registry_data_eastus": "10.0.2.4", "registry": "10.0.2.5"},
		s.Healthy.PrivateEndpoints["pe-registry"].Addresses)
	require.Equal(t, map[string]string{"registry_data_eastus": "10.0.2.4", "registry": "10.0.2.5", "registry_data_brazilsouth": "10.0.2.6"},
		s.Broken.PrivateEndpoints["pe-registry"].Addresses)
	require.Equal(t, "10.1.1.4", s.Healthy.Site.Address)
	require.Equal(t, "10.0.9.4", s.Broken.Site.Address, "a client that moves gets an address there")
}

func TestDataEndpointsStayOnWhenThePrivateEndpointGoes(t *testing.T) {
	s, err := Decode("f", "x", []byte(`title: t
symptoms: [S11]
base: private-endpoint
setup: {registry: {dataEndpointEnabled: null}}
change: {privateEndpoints: {pe-registry: null}}
expect: {causes: [pe-deleted-zone-left]}
prove: [client gets NXDOMAIN for myregistry.azurecr.io]
`))
	require.NoError(t, err)
	require.True(t, *s.Broken.Registry.DataEndpointEnabled)
}

func TestPublicAddressesAreDistinctAndStay(t *testing.T) {
	in := Topology{VirtualNetworks: map[string]VirtualNetwork{"b": {}, "a": {PublicIPAddress: "198.51.100.4"}}}
	got := in.WithDefaults()
	require.Equal(t, "198.51.100.5", got.VirtualNetworks["b"].PublicIPAddress)
	later := Topology{VirtualNetworks: map[string]VirtualNetwork{"a": {}, "aa": {}, "b": {}}}
	again := later.withDefaults(&got)
	require.Equal(t, "198.51.100.4", again.VirtualNetworks["a"].PublicIPAddress)
	require.Equal(t, "198.51.100.5", again.VirtualNetworks["b"].PublicIPAddress)
	require.Equal(t, "198.51.100.6", again.VirtualNetworks["aa"].PublicIPAddress)
}
