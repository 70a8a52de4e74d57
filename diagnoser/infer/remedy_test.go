package infer

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/diagnoser/inventory"
	"github.com/acrlab/acrlab/diagnoser/probe"
	"github.com/acrlab/acrlab/diagnosis"
)

func changesOf(t *testing.T, r *probe.Report, inv *inventory.Inventory) []diagnosis.Change {
	t.Helper()
	j := Judge(r, inv)
	require.NotEmpty(t, j.Findings)
	return j.Findings[0].Remedy.Changes
}

func TestALinkIsWrittenToTheAskingNetwork(t *testing.T) {
	inv := azure()
	inv.Zones[0].Links = nil
	c := changesOf(t, publicByMistake(), inv)
	require.Len(t, c, 1)
	require.Equal(t, "PUT", c[0].ARM.Method)
	require.Equal(t, inv.Zones[0].ID+"/virtualNetworkLinks/hub", c[0].ARM.ID)
	require.JSONEq(t, `{"location":"global","properties":{"registrationEnabled":false,"virtualNetwork":{"id":"`+inv.Networks[0].ID+`"}}}`, string(c[0].ARM.Body))
}

func TestAMissingZoneIsMadeWithLinkAndRecords(t *testing.T) {
	inv := azure()
	inv.Zones = nil
	c := changesOf(t, publicByMistake(), inv)
	require.Len(t, c, 4)
	zone := sub + "Microsoft.Network/privateDnsZones/privatelink.azurecr.io"
	for i, id := range []string{zone, zone + "/virtualNetworkLinks/hub", zone + "/A/myregistry.eastus.data", zone + "/A/myregistry"} {
		require.Equal(t, id, c[i].ARM.ID)
	}
	require.JSONEq(t, `{"properties":{"ttl":10,"aRecords":[{"ipv4Address":"10.0.2.5"}]}}`, string(c[3].ARM.Body))
}

func TestDNSServersAreClearedByAWholePut(t *testing.T) {
	inv := azure()
	inv.Networks[0].DNSServers = []netip.Addr{corpDNS}
	c := changesOf(t, customDNS(), inv)
	require.Len(t, c, 1)
	require.Equal(t, "PUT", c[0].ARM.Method, "PATCH of a virtual network takes tags alone")
	require.Contains(t, string(c[0].ARM.Body), `"dnsServers":[]`)
	require.Contains(t, string(c[0].ARM.Body), `"addressPrefix":"10.0.1.0/24"`, "the rest of the network stays")
	require.NotContains(t, string(c[0].ARM.Body), "etag")
}

func TestAnIPRuleKeepsTheOthersAndTheSubnets(t *testing.T) {
	inv := publicAzure()
	inv.Registry.DefaultAction, inv.Registry.IPRules = "Deny", []string{"198.51.100.7"}
	c := changesOf(t, refused(true), inv)
	require.Equal(t, "PATCH", c[0].ARM.Method)
	require.Equal(t, inventory.APIRegistry, c[0].ARM.APIVersion)
	require.JSONEq(t, `{"properties":{"networkRuleSet":{"defaultAction":"Deny","ipRules":[{"action":"Allow","value":"198.51.100.7"},{"action":"Allow","value":"203.0.113.10"}]}}}`, string(c[0].ARM.Body))

	inv.Registry.VirtualNetworkRules = []string{"/subscriptions/x/subnets/other"}
	c = changesOf(t, refused(true), inv)
	require.Equal(t, inventory.APIRegistryRules, c[0].ARM.APIVersion, "newer versions would drop the subnet rules")
	require.Contains(t, string(c[0].ARM.Body), "/subscriptions/x/subnets/other")
}

func TestADisconnectedPeeringIsDeletedBeforeItIsMadeAgain(t *testing.T) {
	inv := spoke(azure(), true)
	inv.Networks[0].Peerings[0].State = "Disconnected"
	inv.Networks[1].Peerings = nil
	c := changesOf(t, farSilence(), inv)
	require.Len(t, c, 3)
	require.Equal(t, []string{"DELETE", "PUT", "PUT"}, []string{c[0].ARM.Method, c[1].ARM.Method, c[2].ARM.Method})
	require.Equal(t, c[0].ARM.ID, c[1].ARM.ID)
}

func TestAzureFirewallGainsTheName(t *testing.T) {
	inv := withFirewall(publicAzure(), "mcr.microsoft.com")
	c := changesOf(t, nameFilter(probe.TLSClosed, false), inv)
	require.Len(t, c, 1)
	require.Equal(t, inv.Firewalls[0].Collections[0].GroupID, c[0].ARM.ID)
	require.Contains(t, string(c[0].ARM.Body), `"targetFqdns":["mcr.microsoft.com","myregistry.azurecr.io","*.blob.core.windows.net"]`)
}

func TestProxySettingsAreMended(t *testing.T) {
	c := changesOf(t, tlsToProxy(), nil)
	require.Equal(t, map[string]string{"HTTPS_PROXY": proxyURL}, c[0].Environment.Set)
	c = changesOf(t, daemonDirect(), nil)
	require.Equal(t, diagnosis.Daemon, c[0].Environment.Scope)
	c = changesOf(t, splitProxy(true), nil)
	require.Equal(t, login+",.azurecr.io", c[0].Environment.Set["NO_PROXY"])
	c = changesOf(t, splitProxy(false), nil)
	require.Equal(t, "", c[0].Environment.Set["NO_PROXY"])
}

func TestWithoutAzureNothingIsWrittenToIt(t *testing.T) {
	for _, f := range faults {
		for _, x := range Judge(f.report(), nil).Findings {
			for _, c := range x.Remedy.Changes {
				require.Nil(t, c.ARM, "%s: %s", f.name, x.Cause)
			}
		}
	}
}
