package state

import (
	"fmt"
	"slices"
	"strings"
)

// zoneGroupTTL is what a private endpoint's zone group writes (observed).
const zoneGroupTTL = 10

func (b *builder) privateDNSZones() error {
	for _, zone := range keys(b.t.PrivateDNSZones) {
		if err := b.privateDNSZone(zone); err != nil {
			return fmt.Errorf("private DNS zone %s: %w", zone, err)
		}
	}
	return nil
}

func (b *builder) privateDNSZone(zone string) error {
	z := b.t.PrivateDNSZones[zone]
	records, err := b.zoneRecords(zone)
	if err != nil {
		return err
	}
	for _, rel := range keys(records) {
		addresses := []object{}
		for _, a := range records[rel].addresses {
			addresses = append(addresses, object{"ipv4Address": a})
		}
		p := object{
			"ttl": zoneGroupTTL, "fqdn": rel + "." + zone + ".", "isAutoRegistered": false, "aRecords": addresses,
			"provisioningState": "Succeeded",
		}
		if rel == "@" {
			p["fqdn"] = zone + "."
		}
		if pe := records[rel].creator; pe != "" {
			p["metadata"] = object{"creator": "created by private endpoint " + pe + " with resource guid " + guid(pe)}
		} else {
			p["ttl"] = 3600 // the default of a record written by hand
		}
		b.put(ID(TypeARecord, zone, rel), TypeARecord, "", nil, p)
	}
	for _, vnet := range z.Links {
		if _, ok := b.t.VirtualNetworks[vnet]; !ok {
			return fmt.Errorf("it is linked to the virtual network %q, which does not exist", vnet)
		}
		b.put(ID(TypeVirtualNetLink, zone, vnet), TypeVirtualNetLink, "global", nil, object{
			"provisioningState": "Succeeded", "registrationEnabled": false, "resolutionPolicy": "Default",
			"virtualNetwork": reference(ID(TypeVirtualNetwork, vnet)), "virtualNetworkLinkState": "Completed",
		})
	}
	b.put(ID(TypePrivateDNSZone, zone), TypePrivateDNSZone, "global", nil, object{
		"provisioningState": "Succeeded", "numberOfRecordSets": len(records) + 1, "maxNumberOfRecordSets": 25000,
		"numberOfVirtualNetworkLinks": len(z.Links), "maxNumberOfVirtualNetworkLinks": 1000,
		"numberOfVirtualNetworkLinksWithRegistration": 0, "maxNumberOfVirtualNetworkLinksWithRegistration": 100,
	})
	return nil
}

type zoneRecord struct {
	addresses []string
	creator   string // the private endpoint whose zone group wrote it
}

// zoneRecords are the A records of a zone: those written down, or what zone
// groups of the private endpoints write. Where two endpoints write to one zone
// the one in a linked network prevails, then the first by name: on Azure the
// last writer does, which a description does not tell.
func (b *builder) zoneRecords(zone string) (map[string]zoneRecord, error) {
	z, records := b.t.PrivateDNSZones[zone], map[string]zoneRecord{}
	if z.Records != nil {
		for rel, addresses := range z.Records {
			records[rel] = zoneRecord{addresses: addresses}
		}
		for _, rel := range z.WithoutRecords {
			delete(records, rel)
		}
		return records, nil
	}
	endpoints := keys(b.t.PrivateEndpoints)
	slices.SortStableFunc(endpoints, func(x, y string) int { return b.unlinked(z.Links, x) - b.unlinked(z.Links, y) })
	for _, pe := range endpoints {
		if err := b.zoneGroup(zone, pe, records); err != nil {
			return nil, err
		}
	}
	for _, rel := range z.WithoutRecords {
		delete(records, rel)
	}
	return records, nil
}

func (b *builder) unlinked(links []string, pe string) int {
	vnet, _, _ := SplitSubnet(b.t.PrivateEndpoints[pe].Subnet)
	if slices.Contains(links, vnet) {
		return 0
	}
	return 1
}

// zoneGroup adds the records that a private endpoint's zone group writes into
// a zone, and the group itself.
func (b *builder) zoneGroup(zone, pe string, records map[string]zoneRecord) error {
	nic, err := decode[NetworkInterfaceProperties](b.s.Resources[Key(ID(TypeNetworkInterface, pe+".nic."+guid(pe)))])
	if err != nil {
		return err
	}
	sets := []object{}
	for _, c := range nic.Properties.IPConfigurations {
		link := c.Properties.PrivateLinkConnectionProperties
		if link == nil || len(link.FQDNs) == 0 {
			continue
		}
		private := strings.TrimSuffix(link.FQDNs[0], domain) + "privatelink." + domain
		rel, ok := strings.CutSuffix(private, "."+zone)
		if !ok {
			continue
		}
		sets = append(sets, object{
			"recordType": "A", "recordSetName": rel, "fqdn": private, "ttl": zoneGroupTTL,
			"ipAddresses": []string{c.Properties.PrivateIPAddress}, "provisioningState": "Succeeded",
		})
		if _, taken := records[rel]; !taken {
			records[rel] = zoneRecord{addresses: []string{c.Properties.PrivateIPAddress}, creator: pe}
		}
	}
	if len(sets) == 0 {
		return nil
	}
	b.put(ID(TypeZoneGroup, pe, "default"), TypeZoneGroup, "", nil, object{
		"provisioningState": "Succeeded",
		"privateDnsZoneConfigs": []object{{
			"name":       strings.ReplaceAll(zone, ".", "-"),
			"properties": object{"privateDnsZoneId": ID(TypePrivateDNSZone, zone), "recordSets": sets},
		}},
	})
	return nil
}
