package state

import "github.com/acrlab/acrlab/fakes/azure"

// PrivateEndpoint is a Microsoft.Network/privateEndpoints resource.
type PrivateEndpoint = Item[PrivateEndpointProperties]

// PrivateEndpointProperties of a private endpoint.
type PrivateEndpointProperties struct {
	Subnet                              Reference               `json:"subnet"`
	NetworkInterfaces                   []Reference             `json:"networkInterfaces"`
	PrivateLinkServiceConnections       []PrivateLinkConnection `json:"privateLinkServiceConnections"`
	ManualPrivateLinkServiceConnections []PrivateLinkConnection `json:"manualPrivateLinkServiceConnections"`
}

// PrivateLinkConnection is the endpoint's side of a connection.
type PrivateLinkConnection struct {
	Name       string                          `json:"name"`
	Properties PrivateLinkConnectionProperties `json:"properties"`
}

// PrivateLinkConnectionProperties of the endpoint's side of a connection.
type PrivateLinkConnectionProperties struct {
	PrivateLinkServiceID string   `json:"privateLinkServiceId"`
	GroupIDs             []string `json:"groupIds"`
}

// Targets are the ids of the services that the endpoint leads to.
func (p PrivateEndpointProperties) Targets() []string {
	var ids []string
	for _, c := range p.PrivateLinkServiceConnections {
		ids = append(ids, c.Properties.PrivateLinkServiceID)
	}
	for _, c := range p.ManualPrivateLinkServiceConnections {
		ids = append(ids, c.Properties.PrivateLinkServiceID)
	}
	return ids
}

// PrivateEndpoints of the state, by id.
func PrivateEndpoints(s azure.State) ([]PrivateEndpoint, error) {
	return list[PrivateEndpointProperties](s, TypePrivateEndpoint)
}
