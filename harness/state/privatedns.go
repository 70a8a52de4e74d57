package state

import "github.com/acrlab/acrlab/fakes/azure"

// PrivateDNSZone is a Microsoft.Network/privateDnsZones resource; its name is
// the zone's.
type PrivateDNSZone = Item[struct{}]

// ARecord is a record set of a zone; its name is relative, "@" for the zone itself.
type ARecord = Item[ARecordProperties]

// ARecordProperties of a record set.
type ARecordProperties struct {
	TTL      uint32         `json:"ttl"`
	ARecords []ARecordValue `json:"aRecords"`
}

// ARecordValue is one address.
type ARecordValue struct {
	IPv4Address string `json:"ipv4Address"`
}

// VirtualNetworkLink lets a virtual network see a zone.
type VirtualNetworkLink = Item[VirtualNetworkLinkProperties]

// VirtualNetworkLinkProperties of a link.
type VirtualNetworkLinkProperties struct {
	VirtualNetwork   Reference `json:"virtualNetwork"`
	ResolutionPolicy string    `json:"resolutionPolicy"` // Default or NxDomainRedirect
}

// PrivateDNSZones of the state, by id.
func PrivateDNSZones(s azure.State) ([]PrivateDNSZone, error) {
	return list[struct{}](s, TypePrivateDNSZone)
}

// ARecords of all zones, by id.
func ARecords(s azure.State) ([]ARecord, error) { return list[ARecordProperties](s, TypeARecord) }

// VirtualNetworkLinks of all zones, by id.
func VirtualNetworkLinks(s azure.State) ([]VirtualNetworkLink, error) {
	return list[VirtualNetworkLinkProperties](s, TypeVirtualNetLink)
}
