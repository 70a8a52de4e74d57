package plan

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSimulatedAddressesLieInTheirServiceTags(t *testing.T) {
	holds := func(tag string, a netip.Addr) bool {
		list, err := ServiceTag(tag)
		require.NoError(t, err, tag)
		return within(list, a)
	}
	for name, r := range regions {
		for _, n := range []int{0, 60} {
			require.True(t, holds("AzureContainerRegistry", r.login(n)), name)
			require.True(t, holds("AzureContainerRegistry."+name, r.login(n)), name)
			require.True(t, holds("AzureContainerRegistry."+name, r.data(n)), name)
			require.True(t, holds("Storage."+name, r.blob(n)), name)
			require.True(t, holds("AzureCloud."+name, r.blob(n)), name)
			require.False(t, holds("Storage", r.login(n)), name)
			require.False(t, holds("AzureContainerRegistry", r.blob(n)), name)
		}
	}
	require.True(t, holds("AzureResourceManager", armAddress))
	require.True(t, holds("AzureActiveDirectory", entraAddress))
	require.True(t, holds("AzureFrontDoor.FirstParty", mcrAddress))
	require.False(t, holds("MicrosoftContainerRegistry", mcrAddress), "both tags are needed")
	require.True(t, holds("MicrosoftContainerRegistry", mcrDataAddress))
}

func TestAddressesOfTheSimulationAreDistinct(t *testing.T) {
	seen := map[netip.Addr]string{}
	add := func(what string, a netip.Addr) {
		require.Empty(t, seen[a], "%s of %s", a, what)
		seen[a] = what
	}
	for name, r := range regions {
		for n := range 61 {
			add(name, r.login(n))
			add(name, r.data(n))
			add(name, r.blob(n))
		}
	}
	for _, a := range []netip.Addr{platformDNS, googleDNS, cloudflare, armAddress, entraAddress, mcrAddress, mcrDataAddress, controlAddress, sitePublic, internetClient, internetProxy} {
		add("service", a)
	}
}

func TestRegionShortNamesAreDistinct(t *testing.T) {
	seen := map[string]string{}
	for name, r := range regions {
		require.Empty(t, seen[r.short], "%s and %s", name, seen[r.short])
		seen[r.short] = name
	}
}

func TestNearestRegion(t *testing.T) {
	for from, want := range map[string]string{
		"westeurope": "westeurope", "northeurope": "westeurope", "canadacentral": "eastus", "koreacentral": "westeurope", "brazilsouth": "eastus", "": "eastus",
	} {
		require.Equal(t, want, nearest(from, []string{"eastus", "westeurope"}), from)
	}
	require.Empty(t, nearest("eastus", nil))
}

func TestComplement(t *testing.T) {
	private := normal(privateRanges)
	rest := complement(private)
	for _, s := range []string{"0.0.0.0", "9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "255.255.255.255"} {
		require.True(t, within(rest, netip.MustParseAddr(s)), s)
	}
	for _, s := range []string{"10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.1", "100.64.0.1"} {
		require.False(t, within(rest, netip.MustParseAddr(s)), s)
	}
	require.Equal(t, private, complement(rest), "twice gives the same")
	require.Equal(t, []netip.Prefix{everything}, complement(nil))
	require.Empty(t, complement([]netip.Prefix{everything}))
}

func TestInterfaceNamesFitTheKernelAndStayDistinct(t *testing.T) {
	a, b := interfaceName("privatelink-hub-endpoints"), interfaceName("privatelink-hub-endpointt")
	require.LessOrEqual(t, len(a), 15)
	require.NotEqual(t, a, b)
	require.Equal(t, "client", interfaceName("client"))
}
