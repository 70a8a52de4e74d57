package state

import "github.com/acrlab/acrlab/fakes/azure"

// VirtualNetwork is a Microsoft.Network/virtualNetworks resource with its
// subnets and peerings.
type VirtualNetwork = Item[VirtualNetworkProperties]

// VirtualNetworkProperties of a virtual network.
type VirtualNetworkProperties struct {
	AddressSpace           AddressSpace `json:"addressSpace"`
	DHCPOptions            *DHCPOptions `json:"dhcpOptions"`
	Subnets                []Subnet     `json:"subnets"`
	VirtualNetworkPeerings []Peering    `json:"virtualNetworkPeerings"`
}

// AddressSpace of a virtual network.
type AddressSpace struct {
	AddressPrefixes []string `json:"addressPrefixes"`
}

// DHCPOptions hold the custom DNS servers.
type DHCPOptions struct {
	DNSServers []string `json:"dnsServers"`
}

// Subnet is embedded in its network.
type Subnet struct {
	ID         string           `json:"id"`
	Name       string           `json:"name"`
	Properties SubnetProperties `json:"properties"`
}

// SubnetProperties of a subnet.
type SubnetProperties struct {
	AddressPrefix                  string            `json:"addressPrefix"`
	AddressPrefixes                []string          `json:"addressPrefixes"`
	NetworkSecurityGroup           *Reference        `json:"networkSecurityGroup"`
	RouteTable                     *Reference        `json:"routeTable"`
	NATGateway                     *Reference        `json:"natGateway"`
	ServiceEndpoints               []ServiceEndpoint `json:"serviceEndpoints"`
	PrivateEndpointNetworkPolicies string            `json:"privateEndpointNetworkPolicies"`
	DefaultOutboundAccess          *bool             `json:"defaultOutboundAccess"` // nil: true
}

// Prefixes are all address prefixes of the subnet.
func (p SubnetProperties) Prefixes() []string { return oneOrMany(p.AddressPrefix, p.AddressPrefixes) }

// ServiceEndpoint of a subnet, e.g. Microsoft.ContainerRegistry.
type ServiceEndpoint struct {
	Service           string   `json:"service"`
	Locations         []string `json:"locations"`
	ProvisioningState string   `json:"provisioningState"`
}

// Peering is one direction of a virtual network peering.
type Peering struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Properties PeeringProperties `json:"properties"`
}

// PeeringProperties of a peering.
type PeeringProperties struct {
	PeeringState              string    `json:"peeringState"`
	AllowVirtualNetworkAccess *bool     `json:"allowVirtualNetworkAccess"` // nil: true
	AllowForwardedTraffic     bool      `json:"allowForwardedTraffic"`
	AllowGatewayTransit       bool      `json:"allowGatewayTransit"`
	UseRemoteGateways         bool      `json:"useRemoteGateways"`
	RemoteVirtualNetwork      Reference `json:"remoteVirtualNetwork"`
}

// VirtualNetworks of the state, by id.
func VirtualNetworks(s azure.State) ([]VirtualNetwork, error) {
	return list[VirtualNetworkProperties](s, TypeVirtualNetwork)
}
