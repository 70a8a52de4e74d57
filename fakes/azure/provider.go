package azure

import (
	"slices"
	"strings"
)

// provider is what ARM says about a resource provider. Only types that the
// store can hold are listed.
type provider struct {
	Namespace string
	Types     []string
	// Versions are api-versions, newest first.
	Versions []string
}

var providers = []provider{
	{
		Namespace: "Microsoft.ContainerRegistry",
		Types:     []string{"registries", "registries/replications", "registries/privateEndpointConnections"},
		Versions: []string{"2026-09-01-preview", "2026-03-01-preview", "2026-01-01-preview", "2025-11-01", "2025-06-01-preview",
			"2025-05-01-preview", "2025-04-01", "2025-03-01-preview", "2024-11-01-preview", "2023-11-01-preview", "2023-08-01-preview",
			"2023-07-01", "2023-06-01-preview", "2023-01-01-preview", "2022-12-01", "2022-02-01-preview", "2021-12-01-preview",
			"2021-09-01", "2021-08-01-preview", "2021-06-01-preview", "2020-11-01-preview", "2019-12-01-preview", "2019-05-01",
			"2017-10-01", "2017-03-01"},
	},
	{
		Namespace: "Microsoft.Network",
		Types: []string{"virtualNetworks", "virtualNetworks/subnets", "virtualNetworks/virtualNetworkPeerings",
			"networkSecurityGroups", "networkSecurityGroups/securityRules", "routeTables", "routeTables/routes",
			"networkInterfaces", "privateEndpoints", "privateEndpoints/privateDnsZoneGroups", "privateDnsZones",
			"privateDnsZones/A", "privateDnsZones/virtualNetworkLinks", "azureFirewalls", "firewallPolicies",
			"firewallPolicies/ruleCollectionGroups", "publicIPAddresses", "natGateways", "serviceEndpointPolicies",
			"virtualNetworkGateways", "connections"},
		Versions: []string{"2025-01-01", "2024-10-01", "2024-07-01", "2024-06-01", "2024-05-01", "2023-09-01", "2022-01-01", "2020-06-01"},
	},
	{Namespace: "Microsoft.Authorization", Types: []string{"roleAssignments", "locks", "policyAssignments"}, Versions: []string{"2022-04-01", "2020-05-01"}},
	{Namespace: "Microsoft.Resources", Types: []string{"subscriptions", "resourceGroups"}, Versions: []string{"2022-09-01", "2021-04-01"}},
	{Namespace: "Microsoft.Compute", Types: []string{"virtualMachines"}, Versions: []string{"2024-07-01"}},
	{Namespace: "Microsoft.ContainerService", Types: []string{"managedClusters"}, Versions: []string{"2024-09-01"}},
	{Namespace: "Microsoft.Insights", Types: []string{"diagnosticSettings"}, Versions: []string{"2021-05-01-preview"}},
	{Namespace: "Microsoft.OperationalInsights", Types: []string{"workspaces"}, Versions: []string{"2023-09-01"}},
	{Namespace: "Microsoft.ManagedIdentity", Types: []string{"userAssignedIdentities"}, Versions: []string{"2023-01-31"}},
	{Namespace: "Microsoft.Storage", Types: []string{"storageAccounts"}, Versions: []string{"2023-05-01"}},
}

func findProvider(namespace string) (provider, bool) {
	i := slices.IndexFunc(providers, func(p provider) bool { return strings.EqualFold(p.Namespace, namespace) })
	if i < 0 {
		return provider{}, false
	}
	return providers[i], true
}

func knownNamespace(namespace string) bool {
	_, ok := findProvider(namespace)
	return ok
}
