package azure

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// arm is a store with a client that may do everything.
func arm(t *testing.T) (*Store, *client) {
	t.Helper()
	s := testStore(t)
	return s, &client{t, Handler(s, Front{Clients: []string{"app1"}}, verifyByName), "app1"}
}

// ok sends a request that must succeed.
func (c *client) ok(method, path, body string) map[string]any {
	c.t.Helper()
	resp, m := c.do(method, path, versionFor(path), body)
	require.Less(c.t, resp.StatusCode, 300, "%s %s: %v", method, path, m)
	return m
}

// refused sends a request that must fail with a code.
func (c *client) refused(method, path, body string, status int, code string) string {
	c.t.Helper()
	resp, m := c.do(method, path, versionFor(path), body)
	require.Equal(c.t, status, resp.StatusCode, "%s %s: %v", method, path, m)
	require.Equal(c.t, code, at(c.t, m, "error", "code"), "%v", m)
	return at(c.t, m, "error", "message").(string)
}

func endpointBody(array string) string {
	return `{"location":"eastus","properties":{"subnet":{"id":"` + hub + `/subnets/endpoints"},"` + array + `":[
		{"name":"c","properties":{"privateLinkServiceId":"` + registry + `","groupIds":["registry"]}}]}}`
}

func TestAPrivateEndpointBringsWhatItNeedsAndTakesItAlong(t *testing.T) {
	s, c := arm(t)
	live := network + "privateEndpoints/live"
	m := c.ok("PUT", live, endpointBody("privateLinkServiceConnections"))
	require.Equal(t, "Approved", at(t, m, "properties", "privateLinkServiceConnections", 0, "properties", "privateLinkServiceConnectionState", "status"))
	nic := at(t, m, "properties", "networkInterfaces", 0, "id").(string)
	addresses := map[string]string{}
	for _, config := range at(t, c.get(nic), "properties", "ipConfigurations").([]any) {
		addresses[at(t, config, "properties", "privateLinkConnectionProperties", "requiredMemberName").(string)] = at(t, config, "properties", "privateIPAddress").(string)
	}
	require.Equal(t, map[string]string{"registry_data_eastus": "10.70.4.4", "registry_data_westus": "10.70.4.5", "registry": "10.70.4.6"}, addresses)
	require.Len(t, at(t, c.get(live), "properties", "customDnsConfigs"), 3)
	require.Equal(t, true, at(t, c.get(registry), "properties", "dataEndpointEnabled"), "a registry with a private endpoint has data endpoints")
	require.Len(t, at(t, c.get(registry+"/privateEndpointConnections"), "value"), 2)

	c.ok("PUT", live+"/privateDnsZoneGroups/default", `{"properties":{"privateDnsZoneConfigs":[{"name":"acr","properties":{"privateDnsZoneId":"`+zoneID+`"}}]}}`)
	require.Empty(t, at(t, c.get(live), "properties", "customDnsConfigs"), "a zone group writes the records")
	record := c.get(zoneID + "/A/myregistry.eastus.data")
	require.Equal(t, "10.70.4.4", at(t, record, "properties", "aRecords", 0, "ipv4Address"))
	require.EqualValues(t, 10, at(t, record, "properties", "ttl"))
	require.Contains(t, at(t, record, "properties", "metadata", "creator"), "created by private endpoint live with resource guid ")
	require.Equal(t, "10.70.4.6", at(t, c.get(zoneID+"/A/myregistry"), "properties", "aRecords", 0, "ipv4Address"), "the last writer wins")

	c.ok("PUT", registry+"/replications/northeurope", `{"location":"North Europe"}`)
	require.Equal(t, "10.70.4.7", at(t, c.get(zoneID+"/A/myregistry.northeurope.data"), "properties", "aRecords", 0, "ipv4Address"), "a replica brings an address and a record")

	c.refused("DELETE", hub+"/subnets/endpoints", "", 400, "InUseSubnetCannotBeDeleted")
	c.refused("DELETE", nic, "", 400, "NetworkInterfaceUsedByPrivateEndpoint")
	c.ok("DELETE", live, "")
	for key := range s.Snapshot().Resources {
		require.NotContains(t, key, "live", "all that came with it is gone")
		require.NotContains(t, key, "/a/myregistry", "and so are its records")
	}
}

func TestAnUnapprovedPrivateEndpointWaits(t *testing.T) {
	_, c := arm(t)
	live := network + "privateEndpoints/live"
	c.ok("PUT", live, endpointBody("manualPrivateLinkServiceConnections"))
	status := func() any {
		return at(t, c.get(live), "properties", "manualPrivateLinkServiceConnections", 0, "properties", "privateLinkServiceConnectionState", "status")
	}
	require.Equal(t, "Pending", status())
	var id string
	for _, v := range at(t, c.get(registry+"/privateEndpointConnections"), "value").([]any) {
		if strings.Contains(at(t, v, "id").(string), "/live.") {
			id = at(t, v, "id").(string)
		}
	}
	c.ok("PUT", id, `{"properties":{"privateLinkServiceConnectionState":{"status":"Approved","description":"ok"}}}`)
	require.Equal(t, "Approved", status())
	c.ok("DELETE", id, "")
	require.Equal(t, "Disconnected", status())
	c.refused("PUT", id, `{"properties":{"privateLinkServiceConnectionState":{"status":"Approved"}}}`, 404, "NotFound")
}

func TestPeeringsKnowBothSides(t *testing.T) {
	_, c := arm(t)
	spoke := network + "virtualNetworks/spoke"
	c.ok("PUT", spoke, `{"location":"eastus","properties":{"addressSpace":{"addressPrefixes":["10.80.0.0/16"]}}}`)
	peer := func(from, to string) string {
		return `{"properties":{"remoteVirtualNetwork":{"id":"` + to + `"}}}`
	}
	there, back := hub+"/virtualNetworkPeerings/spoke", spoke+"/virtualNetworkPeerings/hub"
	state := func(id string) any { return at(t, c.get(id), "properties", "peeringState") }
	c.ok("PUT", there, peer(hub, spoke))
	require.Equal(t, "Initiated", state(there))
	c.ok("PUT", back, peer(spoke, hub))
	require.Equal(t, "Connected", state(there))
	require.Equal(t, "Connected", state(back))
	c.ok("DELETE", back, "")
	require.Equal(t, "Disconnected", state(there))
	c.refused("PUT", back, peer(spoke, hub), 400, "RemotePeeringIsDisconnected")
	c.ok("DELETE", there, "")
	c.ok("PUT", there, peer(hub, spoke))
	c.ok("PUT", back, peer(spoke, hub))
	require.Equal(t, "Connected", state(there))
	c.ok("DELETE", spoke, "")
	require.Equal(t, "Disconnected", state(there), "the other network went")
	c.ok("PUT", spoke, `{"location":"eastus","properties":{"addressSpace":{"addressPrefixes":["10.70.128.0/17"]}}}`)
	c.refused("PUT", back, peer(spoke, hub), 400, "VnetAddressSpacesOverlap")
}

func TestDeletingAGroupTakesEverything(t *testing.T) {
	s, c := arm(t)
	c.ok("PUT", network+"privateEndpoints/live", endpointBody("privateLinkServiceConnections"))
	c.ok("PUT", group+"/providers/Microsoft.Authorization/locks/l", `{"properties":{"level":"CanNotDelete"}}`)
	c.refused("DELETE", group, "", http.StatusConflict, "ScopeLocked")
	c.ok("DELETE", group+"/providers/Microsoft.Authorization/locks/l", "")
	c.ok("DELETE", group, "")
	require.Empty(t, s.Snapshot().Resources)
}

func TestARegistryIsFilledInAndShownByVersion(t *testing.T) {
	_, c := arm(t)
	other := group + "/providers/Microsoft.ContainerRegistry/registries/another1"
	c.ok("PUT", other, `{"location":"West Europe","sku":{"name":"Premium"}}`)
	m := c.get(other)
	require.Equal(t, "westeurope", m["location"])
	require.Equal(t, "another1.azurecr.io", at(t, m, "properties", "loginServer"))
	require.Equal(t, "Allow", at(t, m, "properties", "networkRuleSet", "defaultAction"))
	require.Equal(t, "Premium", at(t, m, "sku", "tier"))
	require.Equal(t, false, at(t, m, "properties", "networkRuleBypassAllowedForTasks"))
	require.Equal(t, []string{"westeurope"}, names(t, c.get(other+"/replications")), "the home region")
	resp, old := c.do("GET", other, "2019-05-01", "")
	require.Equal(t, 200, resp.StatusCode)
	require.NotContains(t, at(t, old, "properties"), "publicNetworkAccess")
	require.Contains(t, at(t, old, "properties", "networkRuleSet"), "virtualNetworkRules")
	c.ok("PATCH", other, `{"properties":{"publicNetworkAccess":"Disabled"}}`)
	require.Equal(t, "Deny", at(t, c.get(other), "properties", "networkRuleSet", "defaultAction"))
	c.ok("PATCH", other, `{"properties":{"publicNetworkAccess":"Enabled"},"tags":{"a":"b"}}`)
	require.Equal(t, "Allow", at(t, c.get(other), "properties", "networkRuleSet", "defaultAction"))
	c.refused("POST", other+"/listCredentials", "", 400, "UnAuthorizedForCredentialOperations")
	c.ok("PATCH", other, `{"properties":{"adminUserEnabled":true}}`)
	first := at(t, c.ok("POST", other+"/listCredentials", ""), "passwords", 0, "value")
	second := at(t, c.ok("POST", other+"/regenerateCredential", `{"name":"password"}`), "passwords", 0, "value")
	require.NotEqual(t, first, second)
	require.Equal(t, second, at(t, c.ok("POST", other+"/listCredentials", ""), "passwords", 0, "value"))
	raw, err := json.Marshal(c.get(other))
	require.NoError(t, err)
	require.NotContains(t, string(raw), "passwordGenerations")
}
