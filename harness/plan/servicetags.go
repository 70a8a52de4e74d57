package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Service tags of the simulation. Azure publishes the real lists weekly
// (https://www.microsoft.com/download/details.aspx?id=56519); here a tag holds
// exactly the ranges in which the simulated services of that name have their
// addresses. Which tag covers what:
//
//   - AzureContainerRegistry: login servers and data endpoints
//     (https://learn.microsoft.com/azure/container-registry/container-registry-firewall-rules)
//   - Storage: the layers of a registry without data endpoints (same page)
//   - MicrosoftContainerRegistry and AzureFrontDoor.FirstParty: both needed for
//     mcr.microsoft.com
//     (https://github.com/microsoft/containerregistry/blob/main/docs/client-firewall-rules.md)
var globalTags = map[string][]netip.Prefix{
	"azureactivedirectory":       prefixes("20.190.128.0/18", "40.126.0.0/18"),
	"azureresourcemanager":       prefixes("4.150.240.0/24"),
	"microsoftcontainerregistry": prefixes("20.98.160.0/24"),
	"azurefrontdoor.firstparty":  prefixes("150.171.69.0/24"),
	"azuremonitor":               prefixes("20.42.65.0/24"),
	"azureloadbalancer":          prefixes("168.63.129.16/32"),
	"azureplatformdns":           prefixes("168.63.129.16/32"),
	"azureplatformimds":          prefixes("169.254.169.254/32"),
}

// emptyTags are valid and hold no address of the simulation.
var emptyTags = []string{
	"actiongroup", "apimanagement", "appconfiguration", "applicationinsightsavailability", "appservice", "appservicemanagement",
	"azureadvancedthreatprotection", "azurearcinfrastructure", "azurebackup", "azurebotservice", "azurecognitivesearch",
	"azureconnectors", "azurecosmosdb", "azuredatabricks", "azuredevops", "azureeventgrid", "azurefrontdoor.backend",
	"azurefrontdoor.frontend", "azurefrontdoor.microsoftsecurity", "azureinformationprotection", "azureiothub", "azurekeyvault",
	"azuremachinelearning", "azureopendatasets", "azureplatformlkm", "azuresignalr", "azuresiterecovery",
	"azurestack", "azuretrafficmanager", "batchnodemanagement", "cognitiveservicesfrontend", "datafactory", "datafactorymanagement",
	"eventhub", "gatewaymanager", "grafana", "guestandhybridmanagement", "hdinsight", "internetanalyzer", "kustoanalytics",
	"logicapps", "logicappsmanagement", "microsoftcloudappsecurity", "microsoftdefenderforendpoint", "powerbi", "powerplatforminfra",
	"servicebus", "servicefabric", "sql", "sqlmanagement", "storagesyncservice", "windowsadmincenter", "windowsvirtualdesktop",
}

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// ServiceTag is the ranges that a service tag stands for in the simulation,
// without VirtualNetwork and Internet, which depend on the network. Case does
// not matter; a tag may end in a region ("AzureContainerRegistry.EastUS").
func ServiceTag(tag string) ([]netip.Prefix, error) {
	name := strings.ToLower(strings.TrimSpace(tag))
	if list, ok := globalTags[name]; ok {
		return slices.Clone(list), nil
	}
	base, rest, regional := strings.Cut(name, ".")
	if regional {
		if _, ok := regions[rest]; !ok && !slices.Contains(emptyTags, name) {
			return nil, fmt.Errorf("unknown service tag %q", tag)
		}
	}
	switch {
	case base == "azurecontainerregistry":
		return tagOf(rest, region.acrPrefix), nil
	case base == "storage":
		return tagOf(rest, region.storagePrefix), nil
	case base == "azurecloud":
		list := append(tagOf(rest, region.acrPrefix), tagOf(rest, region.storagePrefix)...)
		if !regional || rest == "eastus" {
			list = append(list, globalTags["microsoftcontainerregistry"]...)
		}
		if !regional {
			list = append(list, globalTags["azureresourcemanager"]...)
			list = append(list, globalTags["azureactivedirectory"]...)
			list = append(list, globalTags["azuremonitor"]...)
		}
		return normal(list), nil
	case slices.Contains(emptyTags, name) || slices.Contains(emptyTags, base):
		return nil, nil
	}
	return nil, fmt.Errorf("unknown service tag %q", tag)
}

func tagOf(only string, prefix func(region) netip.Prefix) []netip.Prefix {
	var list []netip.Prefix
	for name, r := range regions {
		if only == "" || only == name {
			list = append(list, prefix(r))
		}
	}
	return normal(list)
}
