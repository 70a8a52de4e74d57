package azure

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const deployments = group + "/providers/Microsoft.Resources/deployments/"

const networkTemplate = `{"properties":{"mode":"Incremental","parameters":{"name":{"value":"spoke"}},"template":{
	"parameters":{"name":{"type":"string"},"location":{"type":"string","defaultValue":"[resourceGroup().location]"}},
	"variables":{"group":"[concat(parameters('name'), '-nsg')]","prefixes":["10.90.0.0/16"]},
	"resources":[
		{"type":"Microsoft.Network/virtualNetworks","apiVersion":"2025-01-01","name":"[parameters('name')]","location":"[parameters('location')]",
			"dependsOn":["[resourceId('Microsoft.Network/networkSecurityGroups', variables('group'))]"],
			"properties":{"addressSpace":{"addressPrefixes":"[variables('prefixes')]"},"subnets":[{"name":"a","properties":{"addressPrefix":"10.90.1.0/24",
				"networkSecurityGroup":{"id":"[resourceId('Microsoft.Network/networkSecurityGroups', variables('group'))]"}}}]}},
		{"type":"Microsoft.Network/networkSecurityGroups","apiVersion":"2025-01-01","name":"[variables('group')]","location":"[parameters('location')]","properties":{}},
		{"type":"Microsoft.Network/routeTables","apiVersion":"2025-01-01","name":"never","condition":"[equals(parameters('name'), 'x')]","location":"eastus"}],
	"outputs":{"prefix":{"type":"string","value":"[reference(parameters('name')).addressSpace.addressPrefixes[0]]"}}}}}`

func TestATemplateIsDeployedInOrder(t *testing.T) {
	_, c := arm(t)
	m := c.ok("PUT", deployments+"d", networkTemplate)
	require.Equal(t, "Succeeded", at(t, m, "properties", "provisioningState"), "%v", m)
	require.Equal(t, "10.90.0.0/16", at(t, m, "properties", "outputs", "prefix", "value"))
	require.Equal(t, network+"networkSecurityGroups/spoke-nsg", at(t, c.get(network+"virtualNetworks/spoke"), "properties", "subnets", 0, "properties", "networkSecurityGroup", "id"))
	require.Equal(t, "Succeeded", at(t, c.get(deployments+"d"), "properties", "provisioningState"))
	c.refused("GET", network+"routeTables/never", "", 404, "ResourceNotFound")
}

func TestAFailedDeploymentTellsWhy(t *testing.T) {
	_, c := arm(t)
	m := c.ok("PUT", deployments+"d", `{"properties":{"mode":"Incremental","template":{"resources":[
		{"type":"Microsoft.Network/virtualNetworks","apiVersion":"2025-01-01","name":"x","location":"eastus","properties":{"addressSpace":{"addressPrefixes":["10.0.0.1/16"]}}}]}}}`)
	require.Equal(t, "Failed", at(t, m, "properties", "provisioningState"))
	require.Equal(t, "InvalidCIDRNotation", at(t, m, "properties", "error", "details", 0, "code"))
}

func TestWrongTemplatesAreRefused(t *testing.T) {
	_, c := arm(t)
	for name, tc := range map[string]struct{ template, says string }{
		"no resources":        {`{}`, "no resources"},
		"an unknown function": {`{"resources":[{"type":"Microsoft.Network/routeTables","apiVersion":"2025-01-01","name":"[pickZones('a')]"}]}`, "does not know the template function 'pickZones'"},
		"a missing parameter": {`{"parameters":{"p":{"type":"string"}},"resources":[]}`, "'p' is not provided"},
		"a circle": {`{"resources":[{"type":"Microsoft.Network/routeTables","apiVersion":"2025-01-01","name":"a","dependsOn":["b"]},
			{"type":"Microsoft.Network/routeTables","apiVersion":"2025-01-01","name":"b","dependsOn":["a"]}]}`, "circular dependency"},
		"endless variables":  {`{"variables":{"a":"[variables('a')]"},"resources":[{"type":"Microsoft.Network/routeTables","apiVersion":"2025-01-01","name":"[variables('a')]"}]}`, "too deeply"},
		"doubling variables": {doubling(15), "more than 100000 evaluations"},
		"segments":           {`{"resources":[{"type":"Microsoft.Network/virtualNetworks/subnets","apiVersion":"2025-01-01","name":"a"}]}`, "incorrect segment lengths"},
		"a loop":             {`{"resources":[{"type":"Microsoft.Network/routeTables","apiVersion":"2025-01-01","name":"a","copy":{"name":"c","count":2}}]}`, "copy"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, c.refused("PUT", deployments+"d", `{"properties":{"template":`+tc.template+`}}`, 400, "InvalidTemplate"), tc.says)
		})
	}
}

// doubling is a template whose variables each hold the next one twice.
func doubling(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"v%d":"[concat(variables('v%d'), variables('v%d'))]",`, i, i+1, i+1)
	}
	return fmt.Sprintf(`{"variables":{%s"v%d":""},"resources":[{"type":"Microsoft.Network/routeTables","apiVersion":"2025-01-01","name":"[variables('v0')]"}]}`, b.String(), n)
}

func TestExpressions(t *testing.T) {
	s := testStore(t)
	r, err := s.Get(group)
	require.NoError(t, err)
	tpl, err := newTemplate(s.data(), mustID(t, deployments+"d"), r, json.RawMessage(`{"resources":[]}`), nil)
	require.NoError(t, err)
	for in, want := range map[string]any{
		"plain":                                 "plain",
		"[[kept]":                               "[kept]",
		"[concat('it''s', ' ', 1)]":             "it's 1",
		"[toLower(format('{0}-{1}', 'A', 2))]":  "a-2",
		"[if(not(equals('a', 'b')), 'y', 'n')]": "y",
		"[resourceGroup().location]":            "eastus",
		"[subscription().subscriptionId]":       "sub1",
		"[resourceId('Microsoft.Network/virtualNetworks/subnets', 'hub', 'clients')]":         hub + "/subnets/clients",
		"[reference(resourceId('Microsoft.Network/virtualNetworks', 'hub')).subnets[1].name]": "endpoints",
		"[uniqueString('a')]": uniqueString("a"),
	} {
		got, err := tpl.eval(s.data(), in, 0)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
	require.Len(t, uniqueString("a"), 13)
	require.NotEqual(t, uniqueString("a", "b"), uniqueString("ab"))
}

// FuzzTemplate: no template brings the server down or leaves a state that
// cannot be read again.
func FuzzTemplate(f *testing.F) {
	f.Add(networkTemplate)
	f.Add(`{"properties":{"template":{"resources":[{"type":"Microsoft.Network/routeTables","apiVersion":"2025-01-01","name":"[concat('a', variables('b')[0].c)]"}],"variables":{"b":[{"c":"d"}]}}}}`)
	f.Fuzz(func(t *testing.T, body string) {
		fuzzRequest(t, "PUT", deployments+"d", "api-version=2025-04-01", body)
	})
}
