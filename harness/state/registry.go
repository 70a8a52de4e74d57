package state

import "github.com/acrlab/acrlab/fakes/azure"

// Registry is a Microsoft.ContainerRegistry/registries resource.
type Registry = Item[RegistryProperties]

// RegistryProperties as of api-version 2025-11-01, with the
// virtualNetworkRules of 2021-06-01-preview, which newer versions no longer
// show but the service still applies.
type RegistryProperties struct {
	LoginServer          string          `json:"loginServer"`
	PublicNetworkAccess  string          `json:"publicNetworkAccess"`
	DataEndpointEnabled  bool            `json:"dataEndpointEnabled"`
	AnonymousPullEnabled bool            `json:"anonymousPullEnabled"`
	NetworkRuleSet       *NetworkRuleSet `json:"networkRuleSet"`
}

// NetworkRuleSet of a registry.
type NetworkRuleSet struct {
	DefaultAction       string               `json:"defaultAction"`
	IPRules             []IPRule             `json:"ipRules"`
	VirtualNetworkRules []VirtualNetworkRule `json:"virtualNetworkRules"`
}

// IPRule lets an address or CIDR block in.
type IPRule struct {
	Action string `json:"action"`
	Value  string `json:"value"`
}

// VirtualNetworkRule lets a subnet in. Older api-versions write id, the SDKs
// virtualNetworkResourceId.
type VirtualNetworkRule struct {
	Action                   string `json:"action"`
	ID                       string `json:"id"`
	VirtualNetworkResourceID string `json:"virtualNetworkResourceId"`
}

// Subnet is the id of the subnet that the rule lets in.
func (r VirtualNetworkRule) Subnet() string {
	if r.ID != "" {
		return r.ID
	}
	return r.VirtualNetworkResourceID
}

// Replication is a child of a registry; its name is its region.
type Replication = Item[ReplicationProperties]

// ReplicationProperties of a geo-replica.
type ReplicationProperties struct {
	RegionEndpointEnabled *bool `json:"regionEndpointEnabled"` // nil: true
}

// Connection is a registry's side of a private endpoint.
type Connection = Item[ConnectionProperties]

// ConnectionProperties of a private endpoint connection.
type ConnectionProperties struct {
	PrivateEndpoint                   Reference       `json:"privateEndpoint"`
	PrivateLinkServiceConnectionState ConnectionState `json:"privateLinkServiceConnectionState"`
}

// ConnectionState says whether the registry's owner agreed.
type ConnectionState struct {
	Status          string `json:"status"` // Approved, Pending, Rejected or Disconnected
	Description     string `json:"description,omitempty"`
	ActionsRequired string `json:"actionsRequired,omitempty"`
}

// Registries of the state, by id.
func Registries(s azure.State) ([]Registry, error) { return list[RegistryProperties](s, TypeRegistry) }

// Replications of all registries, by id.
func Replications(s azure.State) ([]Replication, error) {
	return list[ReplicationProperties](s, TypeReplication)
}

// Connections of all registries, by id.
func Connections(s azure.State) ([]Connection, error) {
	return list[ConnectionProperties](s, TypeConnection)
}
