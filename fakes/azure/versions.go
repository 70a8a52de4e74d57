package azure

import (
	"net/http"
	"slices"
	"strings"
)

// The api-versions of each provider, newest first. Sources: the generated
// clients of azure-cli 2.45 and 2.91 (their per-command api-versions),
// terraform-provider-azurerm 5.2 (go-azure-sdk), azure-sdk-for-go, and the
// lists that ARM returns in NoRegisteredProviderFound.
const (
	acrVersions = "2026-09-01-preview 2026-03-01-preview 2026-01-01-preview 2025-11-01 2025-06-01-preview 2025-05-01-preview 2025-04-01 " +
		"2025-03-01-preview 2024-11-01-preview 2023-11-01-preview 2023-08-01-preview 2023-07-01 2023-06-01-preview 2023-01-01-preview 2022-12-01 " +
		"2022-02-01-preview 2021-12-01-preview 2021-09-01 2021-08-01-preview 2021-06-01-preview 2020-11-01-preview 2019-12-01-preview 2019-05-01 " +
		"2017-10-01 2017-03-01"
	// Tasks, their runs and agent pools live in versions of their own.
	acrTaskVersions = "2025-03-01-preview 2019-06-01-preview 2019-04-01 2018-09-01"
	networkVersions = "2026-01-01 2025-09-01 2025-07-01 2025-05-01 2025-03-01 2025-01-01 2024-10-01 2024-07-01 2024-05-01 2024-03-01 2024-01-01 " +
		"2023-11-01 2023-09-01 2023-06-01 2023-05-01 2023-04-01 2023-02-01 2022-11-01 2022-09-01 2022-07-01 2022-05-01 2022-01-01 2021-12-01 " +
		"2021-08-01 2021-05-01 2021-03-01 2021-02-01 2021-01-01 2020-11-01 2020-08-01 2020-07-01 2020-06-01 2020-05-01 2020-04-01 2020-03-01 2020-01-01 " +
		"2019-12-01 2019-11-01 2019-09-01 2019-08-01 2019-07-01 2019-06-01 2019-04-01 2019-02-01 2018-12-01 2018-11-01 2018-10-01 2018-08-01 2018-07-01 " +
		"2018-06-01 2018-05-01 2018-04-01 2018-03-01 2018-02-01 2018-01-01 2017-11-01 2017-10-01 2017-09-01 2017-08-01 2017-06-01 2017-04-01 2017-03-01 " +
		"2016-12-01 2016-11-01 2016-10-01 2016-09-01 2016-08-01 2016-07-01 2016-06-01 2016-03-30 2015-06-15 2015-05-01-preview"
	privateDNSVersions  = "2024-06-01 2020-06-01 2020-01-01 2018-09-01"
	computeVersions     = "2026-04-01 2025-11-01 2025-04-01 2024-11-01 2024-07-01 2024-03-01 2023-09-01 2023-07-01 2023-03-01 2022-11-01 2022-08-01 2022-03-01 2021-11-01 2021-07-01 2021-04-01 2021-03-01 2020-12-01 2020-06-01 2019-12-01 2019-07-01 2017-03-30"
	lockVersions        = "2020-05-01 2017-04-01 2016-09-01 2015-01-01"
	roleVersions        = "2023-07-01-preview 2022-05-01-preview 2022-04-01 2020-10-01-preview 2020-08-01-preview 2020-04-01-preview 2018-09-01-preview 2018-07-01 2018-01-01-preview 2015-07-01"
	policyVersions      = "2025-11-01 2025-03-01 2025-01-01 2024-05-01 2024-04-01 2023-04-01 2022-06-01 2021-06-01 2020-09-01 2020-03-01 2019-09-01 2019-06-01 2019-01-01 2018-05-01 2018-03-01 2016-12-01"
	resourcesVersions   = "2025-04-01 2025-03-01 2024-11-01 2024-07-01 2024-03-01 2023-07-01 2022-09-01 2021-04-01 2021-01-01 2020-10-01 2020-08-01 2020-06-01 2019-10-01 2019-08-01 2019-07-01 2019-05-10 2019-05-01 2019-03-01 2018-05-01 2018-02-01 2017-05-10"
	subscriptionVersion = "2022-12-01 2022-09-01 2021-01-01 2020-01-01 2019-11-01 2019-06-01 2018-06-01 2016-06-01"
)

// provider is what ARM says about a resource provider.
type provider struct {
	Namespace string
	// Types are those that the store has rules for.
	Types []string
	// Versions are those of every type that Special does not name.
	Versions string
	Special  map[string]string // by lower-case type
}

var providers = []provider{
	{
		Namespace: "Microsoft.ContainerRegistry", Versions: acrVersions,
		Types:   []string{"registries", "registries/replications", "registries/privateEndpointConnections", "registries/privateLinkResources", "registries/agentPools", "checkNameAvailability"},
		Special: map[string]string{"registries/agentpools": acrTaskVersions, "registries/runs": acrTaskVersions, "registries/tasks": acrTaskVersions, "registries/taskruns": acrTaskVersions},
	},
	{
		Namespace: "Microsoft.Network", Versions: networkVersions,
		Types: []string{"virtualNetworks", "virtualNetworks/subnets", "virtualNetworks/virtualNetworkPeerings",
			"networkSecurityGroups", "networkSecurityGroups/securityRules", "routeTables", "routeTables/routes",
			"networkInterfaces", "privateEndpoints", "privateEndpoints/privateDnsZoneGroups", "privateDnsZones",
			"privateDnsZones/A", "privateDnsZones/virtualNetworkLinks", "azureFirewalls", "firewallPolicies",
			"firewallPolicies/ruleCollectionGroups", "publicIPAddresses", "natGateways", "serviceEndpointPolicies",
			"virtualNetworkGateways", "connections"},
		Special: map[string]string{"privatednszones": privateDNSVersions, "privatednszones/a": privateDNSVersions, "privatednszones/aaaa": privateDNSVersions,
			"privatednszones/cname": privateDNSVersions, "privatednszones/soa": privateDNSVersions, "privatednszones/txt": privateDNSVersions,
			"privatednszones/ptr": privateDNSVersions, "privatednszones/all": privateDNSVersions, "privatednszones/virtualnetworklinks": privateDNSVersions},
	},
	{
		Namespace: "Microsoft.Authorization", Versions: policyVersions,
		Types: []string{"roleAssignments", "roleDefinitions", "locks", "policyAssignments", "policyDefinitions"},
		Special: map[string]string{"locks": lockVersions, "roleassignments": roleVersions, "roledefinitions": roleVersions,
			"permissions": roleVersions},
	},
	{Namespace: "Microsoft.Resources", Types: []string{"subscriptions", "resourceGroups", "deployments"}, Versions: resourcesVersions},
	{Namespace: "Microsoft.Compute", Types: []string{"virtualMachines"}, Versions: computeVersions},
	{Namespace: "Microsoft.ContainerService", Types: []string{"managedClusters"}, Versions: "2025-05-01 2024-09-01 2024-05-01 2023-08-01 2022-06-01"},
	{Namespace: "Microsoft.Insights", Types: []string{"diagnosticSettings"}, Versions: "2021-05-01-preview 2017-05-01-preview"},
	{Namespace: "Microsoft.OperationalInsights", Types: []string{"workspaces"}, Versions: "2025-07-01 2025-02-01 2023-09-01 2022-10-01 2021-12-01-preview 2020-08-01"},
	{Namespace: "Microsoft.ManagedIdentity", Types: []string{"userAssignedIdentities"}, Versions: "2025-05-31-preview 2025-01-31-preview 2024-11-30 2023-01-31 2022-01-31-preview 2018-11-30"},
	{Namespace: "Microsoft.Storage", Types: []string{"storageAccounts"}, Versions: "2024-01-01 2023-05-01 2023-01-01 2022-09-01 2022-05-01 2021-09-01"},
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

// versionsOf are the api-versions of a type: "virtualNetworks/subnets".
func (p provider) versionsOf(kind string) []string {
	if v, ok := p.Special[strings.ToLower(kind)]; ok {
		return strings.Fields(v)
	}
	return strings.Fields(p.Versions)
}

// checkVersion refuses an api-version that a type does not have.
func checkVersion(version, namespace, kind, location string) error {
	p, ok := findProvider(namespace)
	if !ok {
		return errorf(http.StatusNotFound, "InvalidResourceNamespace", "The resource namespace '%s' is invalid.", namespace)
	}
	known := p.versionsOf(kind)
	if slices.Contains(known, version) {
		return nil
	}
	if location == "" {
		location = "''"
	}
	return badRequest("NoRegisteredProviderFound",
		"No registered resource provider found for location '%s' and API version '%s' for type '%s'. The supported api-versions are '%s'. The supported locations are '%s'.",
		strings.Trim(location, "'"), version, kind, strings.Join(known, ", "), strings.Join(locations, ", "))
}

// checkOwnVersion refuses an api-version that ARM's own types do not have.
func checkOwnVersion(version string, known ...string) error {
	all := strings.Fields(strings.Join(known, " "))
	if slices.Contains(all, version) {
		return nil
	}
	slices.Sort(all)
	return badRequest("InvalidApiVersionParameter", "The api-version '%s' is invalid. The supported versions are '%s'.", version, strings.Join(slices.Compact(all), ","))
}

// locations that every type is offered in.
var locations = []string{"eastus", "eastus2", "westus", "westus2", "westus3", "centralus", "northcentralus", "southcentralus", "westcentralus",
	"canadacentral", "canadaeast", "brazilsouth", "northeurope", "westeurope", "uksouth", "ukwest", "francecentral", "germanywestcentral",
	"switzerlandnorth", "swedencentral", "norwayeast", "italynorth", "polandcentral", "uaenorth", "southafricanorth", "centralindia", "southindia",
	"eastasia", "southeastasia", "japaneast", "japanwest", "koreacentral", "koreasouth", "australiaeast", "australiasoutheast"}

// since says whether the asked api-version is of a date or later.
func (v view) since(date string) bool { return len(v.version) >= 10 && v.version[:10] >= date }
