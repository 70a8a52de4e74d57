package azure

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const authorization = "/providers/Microsoft.Authorization/"

func assign(role, oid string) string {
	for _, r := range roles {
		if r.name == role {
			return `{"properties":{"roleDefinitionId":"/subscriptions/sub1` + authorization + `roleDefinitions/` + r.guid + `","principalId":"` + oid + `"}}`
		}
	}
	return "{}"
}

func TestRolesDecideOnceOneIsAssigned(t *testing.T) {
	s, c := arm(t)
	stranger := &client{t, c.handler, "app2"}
	stranger.refused("GET", registry, "", 403, "AuthorizationFailed")
	c.ok("PUT", registry+authorization+"roleAssignments/00000000-0000-0000-0000-000000000001", assign("Reader", "oid-app2"))
	c.ok("PATCH", registry, `{"tags":{"a":"b"}}`) // who assigned stays Owner
	stranger.ok("GET", registry, "")
	stranger.refused("GET", hub, "", 403, "AuthorizationFailed")
	message := stranger.refused("PATCH", registry, `{"tags":{}}`, 403, "AuthorizationFailed")
	require.Contains(t, message, "'Microsoft.ContainerRegistry/registries/write' over scope '"+registry+"'")
	require.Equal(t, []string{"00000000-0000-0000-0000-000000000001"},
		names(t, c.ok("GET", registry+authorization+"roleAssignments?$filter=principalId%20eq%20'oid-app2'", "")))
	c.refused("PUT", registry+authorization+"roleAssignments/00000000-0000-0000-0000-000000000002", assign("Reader", "oid-app2"), 409, "RoleAssignmentExists")

	// A network contributor may make a private endpoint but not approve it.
	c.ok("PUT", group+authorization+"roleAssignments/00000000-0000-0000-0000-000000000003", assign("Network Contributor", "oid-app2"))
	before := s.Snapshot()
	message = stranger.refused("PUT", network+"privateEndpoints/live", endpointBody("privateLinkServiceConnections"), 403, "LinkedAuthorizationFailed")
	require.Contains(t, message, "privateEndpointConnectionsApproval/action' on the linked scope(s) '"+registry)
	require.Equal(t, before, s.Snapshot())
	stranger.ok("PUT", network+"privateEndpoints/live", endpointBody("manualPrivateLinkServiceConnections"))
}

func TestRolesHaveTheirActions(t *testing.T) {
	for _, tc := range []struct {
		role, action string
		allowed      bool
	}{
		{"Owner", "Microsoft.Authorization/roleAssignments/write", true},
		{"Contributor", "Microsoft.Network/virtualNetworks/write", true},
		{"Contributor", "Microsoft.Authorization/locks/delete", false},
		{"Contributor", "Microsoft.Authorization/locks/read", true},
		{"Reader", "Microsoft.ContainerRegistry/registries/read", true},
		{"Reader", "Microsoft.ContainerRegistry/registries/listCredentials/action", false},
		{"AcrPull", "Microsoft.ContainerRegistry/registries/read", false},
		{"Network Contributor", "Microsoft.Network/virtualNetworks/subnets/join/action", true},
		{"Private DNS Zone Contributor", "microsoft.network/privatednszones/a/write", true},
		{"Private DNS Zone Contributor", "Microsoft.Network/virtualNetworks/write", false},
	} {
		for _, r := range roles {
			if r.name == tc.role {
				require.Equal(t, tc.allowed, r.allows(tc.action), "%+v", tc)
			}
		}
	}
}

func TestLocks(t *testing.T) {
	_, c := arm(t)
	lock := registry + authorization + "locks/keep"
	c.ok("PUT", lock, `{"properties":{"level":"CanNotDelete","notes":"ours"}}`)
	message := c.refused("DELETE", registry, "", 409, "ScopeLocked")
	require.Equal(t, "The scope '"+registry+"' cannot perform delete operation because following scope(s) are locked: '"+registry+"'. Please remove the lock and try again.", message)
	c.refused("DELETE", registry+"/replications/westus", "", 409, "ScopeLocked")
	c.refused("DELETE", group, "", 409, "ScopeLocked") // it holds what is locked
	c.ok("PATCH", registry, `{"tags":{"a":"b"}}`)
	c.ok("PUT", lock, `{"properties":{"level":"ReadOnly"}}`)
	c.refused("PATCH", registry, `{"tags":{}}`, 409, "ScopeLocked")
	require.Equal(t, []string{"keep"}, names(t, c.ok("GET", "/subscriptions/sub1"+authorization+"locks?x=", "")))
	c.ok("DELETE", lock, "")
	c.ok("PATCH", registry, `{"tags":{}}`)
	c.refused("PUT", lock, `{"properties":{"level":"Sometimes"}}`, 400, "InvalidLockLevel")
}

func TestPolicies(t *testing.T) {
	s, c := arm(t)
	assignment := group + authorization + "policyAssignments/"
	c.ok("PUT", assignment+"private", `{"properties":{"policyDefinitionId":"/providers/Microsoft.Authorization/policyDefinitions/0fdf0491-d080-4575-b627-ad0e843cba0f"}}`)
	c.ok("PATCH", registry, `{"tags":{}}`) // Audit by default
	c.ok("PUT", assignment+"private", `{"properties":{"policyDefinitionId":"/providers/Microsoft.Authorization/policyDefinitions/0fdf0491-d080-4575-b627-ad0e843cba0f","parameters":{"effect":{"value":"Deny"}}}}`)
	before := s.Snapshot()
	resp, m := c.do("PATCH", registry, "2025-11-01", `{"tags":{"x":"y"}}`)
	require.Equal(t, http.StatusForbidden, resp.StatusCode)
	require.Equal(t, "RequestDisallowedByPolicy", at(t, m, "error", "code"))
	require.Equal(t, "myregistry", at(t, m, "error", "target"))
	require.Contains(t, at(t, m, "error", "message"), "Resource 'myregistry' was disallowed by policy. Policy identifiers: '[{\"policyAssignment\":")
	require.Equal(t, assignment+"private", at(t, m, "error", "additionalInfo", 0, "info", "policyAssignmentId"))
	require.Equal(t, before, s.Snapshot())
	c.ok("PATCH", registry, `{"properties":{"publicNetworkAccess":"Disabled"}}`)

	definition := "/subscriptions/sub1" + authorization + "policyDefinitions/regions"
	c.ok("PUT", definition, `{"properties":{"policyRule":{"if":{"allOf":[{"field":"type","like":"Microsoft.Network/*"},{"not":{"field":"location","in":["eastus"]}}]},"then":{"effect":"deny"}}}}`)
	c.ok("PUT", assignment+"regions", `{"properties":{"policyDefinitionId":"`+definition+`"}}`)
	c.refused("PUT", network+"routeTables/r", `{"location":"westus"}`, 403, "RequestDisallowedByPolicy")
	c.ok("PUT", network+"routeTables/r", `{"location":"eastus"}`)
	c.refused("PUT", definition, `{"properties":{"policyRule":{"if":{"count":{}},"then":{"effect":"deny"}}}}`, 400, "InvalidPolicyRule")
}

func TestAnUnregisteredProviderCreatesNothing(t *testing.T) {
	_, c := arm(t)
	c.ok("POST", "/subscriptions/sub1/providers/Microsoft.ContainerRegistry/unregister", "")
	other := group + "/providers/Microsoft.ContainerRegistry/registries/another1"
	c.refused("PUT", other, `{"location":"eastus","sku":{"name":"Basic"}}`, 409, "MissingSubscriptionRegistration")
	c.ok("PATCH", registry, `{"tags":{}}`)
	message := c.refusedPatchWithRule()
	require.Contains(t, message, "Microsoft.Network/virtualNetworks/taggedTrafficConsumers/validate/action")
	c.ok("POST", "/subscriptions/sub1/providers/Microsoft.ContainerRegistry/register", "")
	c.ok("PUT", other, `{"location":"eastus","sku":{"name":"Basic"}}`)
}

// refusedPatchWithRule adds a subnet rule that must be refused.
func (c *client) refusedPatchWithRule() string {
	resp, m := c.do("PATCH", registry, "2020-11-01-preview", `{"properties":{"networkRuleSet":{"virtualNetworkRules":[{"id":"`+hub+`/subnets/endpoints"}]}}}`)
	require.Equal(c.t, 400, resp.StatusCode, "%v", m)
	require.Equal(c.t, "NetworkRuleValidationError", at(c.t, m, "error", "code"))
	return at(c.t, m, "error", "message").(string)
}

func TestAzureRefuses(t *testing.T) {
	acr := group + "/providers/Microsoft.ContainerRegistry/registries/"
	many := strings.TrimSuffix(strings.Repeat(`{"value":"203.0.113.7"},`, maxIPRules+1), ",")
	rule := func(priority int, port string) string {
		return fmt.Sprintf(`{"properties":{"priority":%d,"direction":"Outbound","access":"Deny","protocol":"Tcp","sourceAddressPrefix":"*","sourcePortRange":"*","destinationAddressPrefix":"AzureContainerRegistry","destinationPortRange":%q}}`, priority, port)
	}
	route := func(hop string) string { return `{"properties":{"addressPrefix":"0.0.0.0/0",` + hop + `}}` }
	for name, tc := range map[string]struct {
		method, path, body string
		status             int
		code               string
	}{
		"a registry's bad name":        {"PUT", acr + "no-good", `{"location":"eastus","sku":{"name":"Basic"}}`, 400, "InvalidResourceName"},
		"a taken name":                 {"PUT", strings.Replace(acr, "rg1", "rg3", 1) + "MyRegistry", `{"location":"eastus","sku":{"name":"Basic"}}`, 409, "AlreadyInUse"},
		"a registry without region":    {"PUT", acr + "another1", `{"sku":{"name":"Basic"}}`, 400, "LocationRequired"},
		"a move to another region":     {"PUT", registry, `{"location":"westus","sku":{"name":"Premium"}}`, 409, "InvalidResourceLocation"},
		"an unknown SKU":               {"PUT", acr + "another1", `{"location":"eastus","sku":{"name":"Gold"}}`, 400, "InvalidSku"},
		"rules below Premium":          {"PUT", acr + "another1", `{"location":"eastus","sku":{"name":"Standard"},"properties":{"networkRuleSet":{"defaultAction":"Deny"}}}`, 400, "UnsupportedSku"},
		"a downgrade with replicas":    {"PATCH", registry, `{"sku":{"name":"Basic"}}`, 400, "UnsupportedSku"},
		"too many rules":               {"PATCH", registry, `{"properties":{"networkRuleSet":{"ipRules":[` + many + `]}}}`, 400, "NetworkRuleValidationError"},
		"a rule that is no address":    {"PATCH", registry, `{"properties":{"networkRuleSet":{"ipRules":[{"value":"home"}]}}}`, 400, "NetworkRuleValidationError"},
		"a rule with host bits":        {"PATCH", registry, `{"properties":{"networkRuleSet":{"ipRules":[{"value":"203.0.113.7/24"}]}}}`, 400, "NetworkRuleValidationError"},
		"a subnet outside":             {"PUT", hub + "/subnets/x", `{"properties":{"addressPrefix":"10.71.0.0/24"}}`, 400, "NetcfgSubnetRangeOutsideVnet"},
		"a subnet that overlaps":       {"PUT", hub + "/subnets/x", `{"properties":{"addressPrefix":"10.70.1.0/25"}}`, 400, "NetcfgSubnetRangesOverlap"},
		"a prefix with host bits":      {"PUT", hub + "/subnets/x", `{"properties":{"addressPrefix":"10.70.9.1/24"}}`, 400, "InvalidCIDRNotation"},
		"a group that does not exist":  {"PUT", hub + "/subnets/x", `{"properties":{"addressPrefix":"10.70.9.0/24","networkSecurityGroup":{"id":"` + network + `networkSecurityGroups/no"}}}`, 400, "InvalidResourceReference"},
		"the same priority":            {"PUT", network + "networkSecurityGroups/two/securityRules/b", rule(200, "443"), 400, "SecurityRuleConflict"},
		"a priority out of range":      {"PUT", network + "networkSecurityGroups/two/securityRules/b", rule(99, "443"), 400, "SecurityRuleInvalidPriority"},
		"ports upside down":            {"PUT", network + "networkSecurityGroups/two/securityRules/b", rule(300, "443-80"), 400, "SecurityRuleInvalidPortRange"},
		"an appliance without address": {"PUT", network + "routeTables/t/routes/b", route(`"nextHopType":"VirtualAppliance"`), 400, "InvalidNextHopIpAddress"},
		"an address without appliance": {"PUT", network + "routeTables/t/routes/b", route(`"nextHopType":"None","nextHopIpAddress":"10.0.0.1"`), 400, "NextHopIpAddressNotAllowed"},
		"the same prefix":              {"PUT", network + "routeTables/t/routes/b", `{"properties":{"addressPrefix":"10.0.0.0/8","nextHopType":"None"}}`, 400, "RouteConflict"},
		"a zone in a region":           {"PUT", network + "privateDnsZones/z.example", `{"location":"eastus"}`, 400, "LocationNotAvailableForResourceType"},
		"a zone with links":            {"DELETE", zoneID, "", 409, "CannotDeleteResource"},
		"a record that is no address":  {"PUT", zoneID + "/A/x", `{"properties":{"ttl":10,"aRecords":[{"ipv4Address":"::1"}]}}`, 400, "BadRequest"},
		"a second link":                {"PUT", zoneID + "/virtualNetworkLinks/again", `{"location":"global","properties":{"virtualNetwork":{"id":"` + hub + `"}}}`, 409, "Conflict"},
		"an overlapping zone":          {"PUT", strings.Replace(zoneID, "rg1", "rg3", 1) + "/virtualNetworkLinks/l", `{"location":"global","properties":{"virtualNetwork":{"id":"` + hub + `"}}}`, 400, "BadRequest"},
		"an unknown action":            {"POST", registry + "/explode", "", 404, "NotFound"},
		"properties of a tags patch":   {"PATCH", hub, `{"properties":{}}`, 400, "InvalidRequestFormat"},
		"a rule group's priority":      {"PUT", network + "firewallPolicies/p/ruleCollectionGroups/g", `{"properties":{"priority":1}}`, 400, "FirewallPolicyRuleCollectionGroupInvalid"},
		"a network without space":      {"PUT", network + "virtualNetworks/x", `{"location":"eastus"}`, 400, "InvalidRequestFormat"},
		"a machine without interface":  {"PUT", group + "/providers/Microsoft.Compute/virtualMachines/vm", `{"location":"eastus"}`, 400, "NetworkInterfaceMissing"},
	} {
		t.Run(name, func(t *testing.T) {
			s, c := arm(t)
			c.ok("PUT", strings.Replace(group, "rg1", "rg3", 1), `{"location":"eastus"}`)
			c.ok("PUT", strings.Replace(zoneID, "rg1", "rg3", 1), `{}`)
			c.ok("PUT", network+"networkSecurityGroups/two", `{"location":"eastus","properties":{"securityRules":[{"name":"a",`+rule(200, "443")[1:]+`]}}`)
			c.ok("PUT", network+"routeTables/t", `{"location":"eastus","properties":{"routes":[{"name":"a","properties":{"addressPrefix":"10.0.0.0/8","nextHopType":"Internet"}}]}}`)
			c.ok("PUT", network+"firewallPolicies/p", `{"location":"eastus"}`)
			before := s.Snapshot()
			c.refused(tc.method, tc.path, tc.body, tc.status, tc.code)
			require.Equal(t, before, s.Snapshot(), "a refused write changes nothing")
		})
	}
}

func TestSubnetRulesNeedAServiceEndpoint(t *testing.T) {
	_, c := arm(t)
	require.Contains(t, c.refusedPatchWithRule(), "do not have ServiceEndpoints for Microsoft.ContainerRegistry")
	c.ok("PUT", hub+"/subnets/endpoints", `{"properties":{"addressPrefix":"10.70.4.0/24","serviceEndpoints":[{"service":"Microsoft.ContainerRegistry"}]}}`)
	resp, m := c.do("PATCH", registry, "2020-11-01-preview", `{"properties":{"networkRuleSet":{"virtualNetworkRules":[{"id":"`+hub+`/subnets/endpoints"}]}}}`)
	require.Equal(t, 200, resp.StatusCode, "%v", m)
}

func TestVersionsAreThoseOfTheType(t *testing.T) {
	_, c := arm(t)
	for path, version := range map[string]string{hub: "2025-11-02", registry: "2025-01-01", zoneID: "2025-01-01", registry + authorization + "locks/l": "2025-01-01"} {
		resp, m := c.do("GET", path, version, "")
		require.Equal(t, 400, resp.StatusCode)
		require.Equal(t, "NoRegisteredProviderFound", at(t, m, "error", "code"))
		require.Contains(t, at(t, m, "error", "message"), "API version '"+version+"' for type '")
	}
	resp, m := c.do("GET", group, "1999-01-01", "")
	require.Equal(t, 400, resp.StatusCode)
	require.Equal(t, "InvalidApiVersionParameter", at(t, m, "error", "code"))
}

func TestListsComeInPages(t *testing.T) {
	_, c := arm(t)
	path, seen := zoneID+"/ALL?$top=1&x=", []string{}
	for range 5 {
		m := c.ok("GET", path, "")
		seen = append(seen, names(t, m)...)
		next, ok := m["nextLink"].(string)
		if !ok {
			break
		}
		require.Contains(t, next, "https://management.azure.com"+zoneID)
		_, query, _ := strings.Cut(next, "?")
		path = zoneID + "/ALL?" + query[strings.Index(query, "%24skiptoken"):] + "&$top=1&x="
	}
	require.Equal(t, []string{"myregistry", "@"}, seen)
	c.refused("GET", zoneID+"/ALL?$top=none&x=", "", 400, "InvalidTopInQueryString")
}

func TestReferencesAreExpanded(t *testing.T) {
	_, c := arm(t)
	c.ok("PUT", network+"privateEndpoints/live", endpointBody("privateLinkServiceConnections"))
	subnet := hub + "/subnets/endpoints"
	require.NotContains(t, at(t, c.get(subnet), "properties", "ipConfigurations", 0), "properties")
	m := c.ok("GET", subnet+"?$expand=ipConfigurations&x=", "")
	require.Equal(t, "10.70.4.4", at(t, m, "properties", "ipConfigurations", 0, "properties", "privateIPAddress"))
	m = c.ok("GET", hub+"?$expand=subnets/ipConfigurations&x=", "")
	require.Equal(t, "10.70.4.4", at(t, m, "properties", "subnets", 1, "properties", "ipConfigurations", 0, "properties", "privateIPAddress"))
}

func TestOperationsTakeAsManyPollsAsTold(t *testing.T) {
	c := &client{t, Handler(testStore(t), Front{Clients: []string{"app1"}, Polls: 2}, verifyByName), "app1"}
	resp, _ := c.do("PUT", network+"routeTables/r", "2025-01-01", `{"location":"eastus"}`)
	require.Equal(t, http.StatusCreated, resp.StatusCode)
	status := func() any {
		path, query, _ := strings.Cut(strings.TrimPrefix(resp.Header.Get("Azure-AsyncOperation"), "https://"+Host), "?api-version=")
		_, m := c.do("GET", path, query, "")
		return m["status"]
	}
	require.Equal(t, []any{"InProgress", "InProgress", "Succeeded", "Succeeded"}, []any{status(), status(), status(), status()})
	resp, _ = c.do("DELETE", network+"routeTables/r", "2025-01-01", "")
	require.Equal(t, http.StatusAccepted, resp.StatusCode)
	require.NotEmpty(t, resp.Header.Get("Location"))
	resp, m := c.do("GET", "/subscriptions/sub1/providers/Microsoft.Network/locations/eastus/operations/none", "2025-01-01", "")
	require.Equal(t, http.StatusNotFound, resp.StatusCode, "%v", m)
}

func TestAThousandConcurrentWritesLoseNothing(t *testing.T) {
	s, c := arm(t)
	const clients, each = 8, 125
	fail := make(chan string, clients*each)
	var wg sync.WaitGroup
	for n := range clients {
		wg.Go(func() {
			own := &client{t, c.handler, "app1"}
			for i := range each {
				var path, body, method = "", "", "PUT"
				switch i % 5 {
				case 0:
					path, body = fmt.Sprintf("%s/A/r%d-%d", zoneID, n, i), `{"properties":{"ttl":10,"aRecords":[{"ipv4Address":"10.0.0.1"}]}}`
				case 1, 2:
					path, body = fmt.Sprintf("%srouteTables/t%d-%d", network, n, i), `{"location":"eastus"}`
				case 3:
					path, body = fmt.Sprintf("%s/subnets/s%d-%d", hub, n, i), fmt.Sprintf(`{"properties":{"addressPrefix":"10.70.%d.%d/29"}}`, 128+n*8+i/32, i%32*8)
				default:
					method, path, body = "PATCH", registry, fmt.Sprintf(`{"tags":{"t%d-%d":"x"}}`, n, i)
				}
				if resp, m := own.do(method, path, versionFor(path), body); resp.StatusCode >= 300 {
					fail <- fmt.Sprintf("%s %s: %v", method, path, m)
				}
			}
		})
	}
	wg.Wait()
	close(fail)
	for f := range fail {
		t.Error(f)
	}
	r, err := s.Get(registry)
	require.NoError(t, err)
	require.Len(t, r.Tags, clients*each/5)
	subnets, err := s.Children(hub, "subnets")
	require.NoError(t, err)
	require.Len(t, subnets, clients*each/5+2)
	records, err := s.Children(zoneID, "A")
	require.NoError(t, err)
	require.Len(t, records, clients*each/5+1)
	require.Len(t, s.List("Microsoft.Network/routeTables"), clients*each*2/5)
}

func TestHugeBodiesAreRefused(t *testing.T) {
	_, c := arm(t)
	c.refused("PUT", hub, `{"x":"`+strings.Repeat("a", maxBody)+`"}`, http.StatusRequestEntityTooLarge, "RequestContentTooLarge")
}

func BenchmarkRead(b *testing.B) { benchmark(b, "GET", registry, "2025-11-01", "") }
func BenchmarkWrite(b *testing.B) {
	benchmark(b, "PATCH", registry, "2025-11-01", `{"tags":{"a":"b"}}`)
}
func BenchmarkList(b *testing.B) { benchmark(b, "GET", network+"virtualNetworks", "2025-01-01", "") }

func benchmark(b *testing.B, method, path, version, body string) {
	h := Handler(testStore(b), Front{Clients: []string{"app1"}}, verifyByName)
	for b.Loop() {
		if status := send(h, method, path, version, body); status != http.StatusOK {
			b.Fatal(status)
		}
	}
}

func send(h http.Handler, method, path, version, body string) int {
	req := httptest.NewRequest(method, path+"?api-version="+version, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer app1")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w.Code
}
