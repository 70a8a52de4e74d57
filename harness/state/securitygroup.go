package state

import "github.com/acrlab/acrlab/fakes/azure"

// SecurityGroup is a Microsoft.Network/networkSecurityGroups resource.
type SecurityGroup = Item[SecurityGroupProperties]

// SecurityGroupProperties of a network security group. Default rules are the
// same everywhere and not read from the resource.
type SecurityGroupProperties struct {
	SecurityRules []SecurityRule `json:"securityRules"`
}

// SecurityRule of a network security group.
type SecurityRule struct {
	Name       string                 `json:"name"`
	Properties SecurityRuleProperties `json:"properties"`
}

// SecurityRuleProperties of a security rule.
type SecurityRuleProperties struct {
	Priority                   int      `json:"priority"`
	Direction                  string   `json:"direction"`
	Access                     string   `json:"access"`
	Protocol                   string   `json:"protocol"`
	SourceAddressPrefix        string   `json:"sourceAddressPrefix"`
	SourceAddressPrefixes      []string `json:"sourceAddressPrefixes"`
	SourcePortRange            string   `json:"sourcePortRange"`
	SourcePortRanges           []string `json:"sourcePortRanges"`
	DestinationAddressPrefix   string   `json:"destinationAddressPrefix"`
	DestinationAddressPrefixes []string `json:"destinationAddressPrefixes"`
	DestinationPortRange       string   `json:"destinationPortRange"`
	DestinationPortRanges      []string `json:"destinationPortRanges"`
}

// Sources are prefixes and tags.
func (p SecurityRuleProperties) Sources() []string {
	return oneOrMany(p.SourceAddressPrefix, p.SourceAddressPrefixes)
}

// SourcePorts are port ranges.
func (p SecurityRuleProperties) SourcePorts() []string {
	return oneOrMany(p.SourcePortRange, p.SourcePortRanges)
}

// Destinations are prefixes and tags.
func (p SecurityRuleProperties) Destinations() []string {
	return oneOrMany(p.DestinationAddressPrefix, p.DestinationAddressPrefixes)
}

// DestinationPorts are port ranges.
func (p SecurityRuleProperties) DestinationPorts() []string {
	return oneOrMany(p.DestinationPortRange, p.DestinationPortRanges)
}

// SecurityGroups of the state, by id.
func SecurityGroups(s azure.State) ([]SecurityGroup, error) {
	return list[SecurityGroupProperties](s, TypeSecurityGroup)
}
