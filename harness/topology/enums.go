package topology

import (
	"reflect"

	"github.com/acrlab/acrlab/diagnosis"
)

// enumerated lists the values that a field may have, spelled as Azure spells
// them; nil when the field is free. The first is the default where there is one.
// Sources: Azure's own enumerations for the api-versions of the resources
// (Microsoft.ContainerRegistry/registries 2025-11-01, Microsoft.Network 2025-01-01);
// for what is not Azure's, the words documented at the field.
func enumerated(owner reflect.Type, key string) []string {
	switch owner.Name() + "." + key {
	case "Registry.sku":
		return []string{"Premium", "Standard", "Basic"}
	case "Registry.publicNetworkAccess":
		return []string{"Enabled", "Disabled"}
	case "NetworkRuleSet.defaultAction":
		return []string{"Allow", "Deny"}
	case "Subnet.privateEndpointNetworkPolicies":
		return []string{"Disabled", "Enabled", "NetworkSecurityGroupEnabled", "RouteTableEnabled"}
	case "Subnet.serviceEndpoints":
		return []string{"Microsoft.ContainerRegistry", "Microsoft.Storage", "Microsoft.KeyVault",
			"Microsoft.EventHub", "Microsoft.AzureActiveDirectory", "Microsoft.Sql", "Microsoft.Web"}
	case "Peering.peeringState":
		return []string{"Connected", "Disconnected", "Initiated"}
	case "SecurityRule.direction":
		return []string{"Inbound", "Outbound"}
	case "SecurityRule.access":
		return []string{"Allow", "Deny"}
	case "SecurityRule.protocol":
		return []string{"*", "Tcp", "Udp", "Icmp"}
	case "Route.nextHopType":
		return []string{"Internet", "None", "VirtualAppliance", "VirtualNetworkGateway", "VnetLocal"}
	case "PrivateEndpoint.connectionState":
		return []string{"Approved", "Pending", "Rejected", "Disconnected"}
	case "FirewallNetworkRule.action", "FirewallApplicationRule.action":
		return []string{"Allow", "Deny"}
	case "FirewallNetworkRule.ipProtocols":
		return []string{"Any", "TCP", "UDP", "ICMP"}
	case "Firewall.default":
		return []string{"allow", "drop", "reject"}
	case "FirewallRule.action":
		return []string{"allow", "drop", "reject", "prohibit"}
	case "NameFilter.action":
		return []string{"reset", "close", "silence"}
	case "Proxy.behaviour":
		return []string{"answer", "close", "silence", "refuse"}
	case "Resolver.behaviour":
		return []string{"answer", "silence", "servfail", "refused", "closed"}
	case "Scenario.base":
		return Bases()
	}
	return nil
}

// enumeratedType lists the values of types that are closed wherever they occur.
func enumeratedType(t reflect.Type) []string {
	switch t {
	case reflect.TypeFor[diagnosis.Cause]():
		entries := diagnosis.Causes()
		out := make([]string, len(entries))
		for i, e := range entries {
			out[i] = string(e.Cause)
		}
		return out
	case reflect.TypeFor[diagnosis.Symptom]():
		symptoms := diagnosis.Symptoms()
		out := make([]string, len(symptoms))
		for i, s := range symptoms {
			out[i] = string(s)
		}
		return out
	}
	return nil
}

// clients are the clients that a scenario can expect an error of.
func clients() []string {
	return []string{"crane", "docker pull", "docker login", "containerd", "skopeo"}
}
