package state

import "github.com/acrlab/acrlab/fakes/azure"

// Firewall is a Microsoft.Network/azureFirewalls resource.
type Firewall = Item[FirewallProperties]

// FirewallProperties of an Azure Firewall.
type FirewallProperties struct {
	FirewallPolicy   *Reference        `json:"firewallPolicy"`
	IPConfigurations []IPConfiguration `json:"ipConfigurations"`
}

// RuleCollectionGroup is a child of a firewall policy.
type RuleCollectionGroup = Item[RuleCollectionGroupProperties]

// RuleCollectionGroupProperties of a rule collection group.
type RuleCollectionGroupProperties struct {
	Priority        int              `json:"priority"`
	RuleCollections []RuleCollection `json:"ruleCollections"`
}

// RuleCollection is a list of rules with one action.
type RuleCollection struct {
	RuleCollectionType string         `json:"ruleCollectionType"`
	Name               string         `json:"name"`
	Priority           int            `json:"priority"`
	Action             RuleAction     `json:"action"`
	Rules              []FirewallRule `json:"rules"`
}

// RuleAction is Allow or Deny.
type RuleAction struct {
	Type string `json:"type"`
}

// FirewallRule is a network or an application rule.
type FirewallRule struct {
	RuleType             string                `json:"ruleType"` // NetworkRule or ApplicationRule
	Name                 string                `json:"name"`
	SourceAddresses      []string              `json:"sourceAddresses"`
	DestinationAddresses []string              `json:"destinationAddresses"`
	DestinationFQDNs     []string              `json:"destinationFqdns"`
	DestinationPorts     []string              `json:"destinationPorts"`
	IPProtocols          []string              `json:"ipProtocols"`
	TargetFQDNs          []string              `json:"targetFqdns"`
	Protocols            []ApplicationProtocol `json:"protocols"`
	TerminateTLS         bool                  `json:"terminateTLS"`
}

// ApplicationProtocol of an application rule.
type ApplicationProtocol struct {
	ProtocolType string `json:"protocolType"` // Https or Http
	Port         int    `json:"port"`
}

// Firewalls of the state, by id.
func Firewalls(s azure.State) ([]Firewall, error) { return list[FirewallProperties](s, TypeFirewall) }

// RuleCollectionGroups of all firewall policies, by id.
func RuleCollectionGroups(s azure.State) ([]RuleCollectionGroup, error) {
	return list[RuleCollectionGroupProperties](s, TypeRuleCollGroup)
}
