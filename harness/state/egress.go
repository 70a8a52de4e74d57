package state

import "github.com/acrlab/acrlab/fakes/azure"

// PublicIPAddress is a Microsoft.Network/publicIPAddresses resource.
type PublicIPAddress = Item[PublicIPAddressProperties]

// PublicIPAddressProperties of a public address.
type PublicIPAddressProperties struct {
	IPAddress string `json:"ipAddress"`
}

// NATGateway is a Microsoft.Network/natGateways resource.
type NATGateway = Item[NATGatewayProperties]

// NATGatewayProperties of a NAT gateway.
type NATGatewayProperties struct {
	PublicIPAddresses []Reference `json:"publicIpAddresses"`
}

// PublicIPAddresses of the state, by id.
func PublicIPAddresses(s azure.State) ([]PublicIPAddress, error) {
	return list[PublicIPAddressProperties](s, TypePublicIPAddress)
}

// NATGateways of the state, by id.
func NATGateways(s azure.State) ([]NATGateway, error) {
	return list[NATGatewayProperties](s, TypeNATGateway)
}
