package plan_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/harness/plan"
	"github.com/acrlab/acrlab/harness/state"
	"github.com/acrlab/acrlab/harness/topology"
	"github.com/acrlab/acrlab/harness/trace"
)

const (
	name     = "myregistry.azurecr.io"
	dataName = "myregistry.eastus.data.azurecr.io"
)

func zones(z map[string]topology.PrivateDNSZone) func(*topology.Topology) {
	return func(top *topology.Topology) { top.PrivateDNSZones = z }
}

func TestAzureDNSAnswersByTheNetworksZones(t *testing.T) {
	private := "privatelink.azurecr.io"
	for _, c := range []struct {
		name, ask, want string
		change          func(*topology.Topology)
	}{
		{"linked", name, "10.0.2.5", nil},
		{"linked, data endpoint", dataName, "10.0.2.4", nil},
		{"not linked", name, login, zones(map[string]topology.PrivateDNSZone{private: {}})},
		{"no zone", name, login, zones(nil)},
		{"no record for the data endpoint", dataName, "NXDOMAIN", zones(map[string]topology.PrivateDNSZone{private: {Links: []string{"hub"}, WithoutRecords: []string{"myregistry.eastus.data"}}})},
		{"which leaves the registry", name, "10.0.2.5", zones(map[string]topology.PrivateDNSZone{private: {Links: []string{"hub"}, WithoutRecords: []string{"myregistry.eastus.data"}}})},
		{"the longest zone is authoritative", dataName, "NXDOMAIN", zones(map[string]topology.PrivateDNSZone{
			private: {Links: []string{"hub"}}, "eastus.data." + private: {Links: []string{"hub"}, Records: map[string][]string{}}})},
		{"a linked zone does nothing for a registry without private endpoint", name, login, func(top *topology.Topology) {
			top.PrivateEndpoints = nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := network(t, "private-endpoint", c.change)
			require.Equal(t, c.want, last(azureDNS(t, n, c.ask)))
		})
	}
}

func TestLinkMayFallBackToPublicResolution(t *testing.T) {
	in := input(t, base(t, "private-endpoint", zones(map[string]topology.PrivateDNSZone{
		"privatelink.azurecr.io": {Links: []string{"hub"}, WithoutRecords: []string{"myregistry.eastus.data"}}})))
	set(t, in.State, state.ID(state.TypeVirtualNetLink, "privatelink.azurecr.io", "hub"), func(p map[string]any) { p["resolutionPolicy"] = "NxDomainRedirect" })
	n, err := plan.Make(in)
	require.NoError(t, err)
	require.Equal(t, data, last(azureDNS(t, n, dataName)))
	require.Equal(t, "10.0.2.5", last(azureDNS(t, n, name)))
}

func TestPublicChains(t *testing.T) {
	asker := "198.51.100.4"
	require.Equal(t, []string{name, "eus.fe.azcr.io", "eus-acr-reg.trafficmanager.net", "r0318eus-az.eastus.cloudapp.azure.com", login},
		publicDNS(t, network(t, "public", nil), asker, name))
	require.Equal(t, []string{name, "myregistry.privatelink.azurecr.io", "eus.fe.azcr.io", "eus-acr-reg.trafficmanager.net", "r0318eus-az.eastus.cloudapp.azure.com", login},
		publicDNS(t, network(t, "private-endpoint", nil), asker, name))
	require.Equal(t, []string{dataName, "myregistry.eastus.data.privatelink.azurecr.io", "eus-0.data.azcr.io", "eus-acr-dp.trafficmanager.net", "d0318eus.eastus.cloudapp.azure.com", data},
		publicDNS(t, network(t, "private-endpoint", nil), asker, dataName))
	require.Equal(t, []string{"myregistri.azurecr.io", "NXDOMAIN"}, publicDNS(t, network(t, "public", nil), asker, "myregistri.azurecr.io"))
	require.Equal(t, []string{dataName, "NXDOMAIN"}, publicDNS(t, network(t, "public", nil), asker, dataName), "no data endpoint, no name")
	require.Equal(t, storage, last(publicDNS(t, network(t, "public", nil), asker, "eusmanaged15.blob.core.windows.net")))
}

func TestTimesToLive(t *testing.T) {
	got := map[string]uint32{}
	for _, r := range serviceOf(t, hostOf(t, network(t, "private-endpoint", nil), "internet"), "dns").DNS.Records {
		got[r.Name] = r.TTL
	}
	for name, ttl := range map[string]uint32{
		name: 3600, "myregistry.privatelink.azurecr.io": 3600, "eus.fe.azcr.io": 300,
		"eus-acr-reg.trafficmanager.net": 300, "r0318eus-az.eastus.cloudapp.azure.com": 10,
	} {
		require.Equal(t, ttl, got[name], name)
	}
}

func TestGeoReplicatedRegistryAnswersByRegion(t *testing.T) {
	n := network(t, "geo-replicated", nil)
	require.Contains(t, azureDNS(t, n, name), "weu.fe.azcr.io", "the client is in westeurope")
	require.Contains(t, publicDNS(t, n, "198.51.100.4", name), "weu.fe.azcr.io", "and seen from there by public resolvers")
	require.Contains(t, publicDNS(t, n, "203.0.113.99", name), "eus.fe.azcr.io")

	off := false
	excluded := network(t, "geo-replicated", func(top *topology.Topology) {
		top.Registry.Replications["westeurope"] = topology.Replication{RegionEndpointEnabled: &off}
	})
	require.Contains(t, azureDNS(t, excluded, name), "eus.fe.azcr.io", "a replica out of routing gets nobody")
	require.NotEqual(t, "NXDOMAIN", last(azureDNS(t, excluded, "myregistry.westeurope.data.azurecr.io")), "but serves its data")
}

func TestClientAsksTheNetworksServers(t *testing.T) {
	resolv := func(n *plan.Network) string { return hostOf(t, n, "client").Files["/etc/resolv.conf"] }
	require.Equal(t, "nameserver 168.63.129.16\n", resolv(network(t, "public", nil)))
	n := network(t, "custom-dns", nil)
	require.Equal(t, "nameserver 10.0.3.4\n", resolv(n))
	require.Equal(t, trace.Delivered, udp(n, "10.0.3.4").Fate)
	c := serviceOf(t, hostOf(t, n, "dns-dns1"), "dns").DNS
	require.Len(t, c.Forward, 1)
	require.Equal(t, ".", c.Forward[0].Suffix)
	require.Equal(t, "168.63.129.16:53", c.Forward[0].To.String())

	dead := network(t, "custom-dns", func(top *topology.Topology) {
		v := top.VirtualNetworks["hub"]
		v.DNSServers = []string{"10.0.3.99"}
		top.VirtualNetworks["hub"] = v
	})
	require.Equal(t, trace.Dropped, udp(dead, "10.0.3.99").Fate)
}

func TestPlatformDNSIsUnreachableFromOutside(t *testing.T) {
	n := network(t, "behind-firewall", func(top *topology.Topology) { top.Site.Firewall = nil })
	require.Equal(t, trace.Dropped, udp(n, "168.63.129.16").Fate)
}
