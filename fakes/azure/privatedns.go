package azure

import (
	"net/http"
	"net/netip"
	"regexp"
	"strings"
)

// zoneKind is Microsoft.Network/privateDnsZones, recordKind its A record sets
// and zoneLinkKind its virtual network links.
// https://learn.microsoft.com/azure/dns/private-dns-privatednszone
type (
	zoneKind     struct{ plain }
	recordKind   struct{ plain }
	zoneLinkKind struct{ plain }
)

var zoneName = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$`)

func (zoneKind) check(w *write) error {
	if err := w.onlyGlobal(); err != nil {
		return err
	}
	if !zoneName.MatchString(w.id.Name()) || len(w.id.Name()) > 253 {
		return badRequest("InvalidDomainName", "The domain name '%s' is invalid.", w.id.Name())
	}
	p, err := w.properties()
	if err != nil {
		return invalidContent(err)
	}
	p.keep(w.before(), "internalId")
	p["provisioningState"] = "Succeeded"
	return w.setProperties(p)
}

// onlyGlobal refuses a region for a type without one.
func (w *write) onlyGlobal() error {
	if l := w.next.Location; l != "" && !strings.EqualFold(l, "global") {
		return badRequest("LocationNotAvailableForResourceType",
			"The provided location '%s' is not available for resource type '%s'. List of available regions for the resource type is 'global'.", l, w.id.Type())
	}
	w.next.Location = "global"
	return nil
}

func (zoneKind) leave(w *write) error {
	if w.root.Key() != w.id.Key() {
		return nil
	}
	if links := w.children(w.id, "virtualNetworkLinks"); len(links) > 0 {
		return errorf(http.StatusConflict, "CannotDeleteResource",
			"Cannot delete resource while nested resources exist. Some existing nested resource IDs include: '%s'. Please delete all nested resources before deleting this resource.", links[0].ID)
	}
	return nil
}

// show counts. Every zone has a SOA record set, which is not stored.
func (zoneKind) show(v view, id ID, _ Resource, p bag) {
	links := v.children(id, "virtualNetworkLinks")
	registering := 0
	for _, l := range links {
		lp, _ := bagOf(l.Properties)
		if lp.flag("registrationEnabled") {
			registering++
		}
	}
	p["numberOfRecordSets"] = len(v.children(id, "A")) + 1
	p["numberOfVirtualNetworkLinks"] = len(links)
	p["numberOfVirtualNetworkLinksWithRegistration"] = registering
	p["maxNumberOfRecordSets"] = 25000
	p["maxNumberOfVirtualNetworkLinks"] = 1000
	p["maxNumberOfVirtualNetworkLinksWithRegistration"] = 100
}

// soa is the record set that every zone has (as azurerm reads it).
func (d *data) soa(zone ID) (Resource, bool) {
	if _, ok := d.resources[zone.Key()]; !ok {
		return Resource{}, false
	}
	id := zone.child("SOA", "@")
	raw, err := marshal(bag{"ttl": 3600, "fqdn": zone.Name() + ".", "isAutoRegistered": false, "soaRecord": map[string]any{
		"host": "azureprivatedns.net", "email": "azureprivatedns-host.microsoft.com", "serialNumber": 1, "refreshTime": 3600, "retryTime": 300,
		"expireTime": 2419200, "minimumTtl": 10}})
	return Resource{ID: id.String(), Name: "@", Type: id.Type(), Properties: raw}, err == nil
}

func (recordKind) check(w *write) error {
	p, err := w.properties()
	if err != nil {
		return invalidContent(err)
	}
	if p["ttl"] == nil && p["TTL"] != nil { // the older spelling
		p["ttl"] = p["TTL"]
	}
	delete(p, "TTL")
	p.keep(w.before(), "ttl", "metadata", "aRecords")
	ttl, ok := p.number("ttl")
	if !ok || ttl < 1 || ttl > 2147483647 {
		return badRequest("BadRequest", "The TTL value '%v' of the record set '%s' is invalid. It must be between 1 and 2147483647.", p["ttl"], w.id.Name())
	}
	if name := w.id.Name(); name != "@" && !zoneName.MatchString(strings.TrimPrefix(name, "*.")) && name != "*" {
		return badRequest("BadRequest", "The record set name '%s' is invalid.", name)
	}
	p.fill("aRecords", []any{})
	records := p.bags("aRecords")
	if len(records) > 20 {
		return badRequest("BadRequest", "The record set '%s' has %d records; the limit is 20.", w.id.Name(), len(records))
	}
	seen := map[string]bool{}
	for _, r := range records {
		text := r.text("ipv4Address")
		a, err := netip.ParseAddr(text)
		if err != nil || !a.Is4() {
			return badRequest("BadRequest", "The value '%s' for the A record is not a valid IPv4 address.", text)
		}
		if seen[text] {
			return badRequest("BadRequest", "The record set '%s' holds the address %s twice.", w.id.Name(), text)
		}
		seen[text] = true
	}
	p["isAutoRegistered"] = false
	delete(p, "fqdn")
	return w.setProperties(p)
}

func (recordKind) show(_ view, id ID, _ Resource, p bag) {
	delete(p, "provisioningState")
	if zone, ok := id.Parent(); ok && p["fqdn"] == nil {
		fqdn := zone.Name() + "."
		if id.Name() != "@" {
			fqdn = id.Name() + "." + fqdn
		}
		p["fqdn"] = fqdn
	}
	p.fill("isAutoRegistered", false)
}

func (zoneLinkKind) check(w *write) error {
	if err := w.onlyGlobal(); err != nil {
		return err
	}
	p, err := w.properties()
	if err != nil {
		return invalidContent(err)
	}
	before := w.before()
	p.keep(before, "virtualNetwork", "registrationEnabled", "resolutionPolicy")
	network := p.text("virtualNetwork", "id")
	if _, err := w.requireReference(network, "Microsoft.Network/virtualNetworks"); err != nil {
		return err
	}
	zone, _ := w.id.Parent()
	at, _ := ParseID(network)
	if was := before.text("virtualNetwork", "id"); was != "" && !strings.EqualFold(was, network) {
		return badRequest("BadRequest", "The virtual network of the link %s cannot be changed from %s to %s.", w.id, was, network)
	}
	for _, other := range w.ofType(typeZoneLink) {
		id, err := ParseID(other.ID)
		if err != nil || id.Key() == w.id.Key() {
			continue
		}
		op, _ := bagOf(other.Properties)
		if !strings.EqualFold(op.text("virtualNetwork", "id"), network) {
			continue
		}
		otherZone, _ := id.Parent()
		switch {
		case otherZone.Key() == zone.Key():
			return errorf(http.StatusConflict, "Conflict", "The virtual network %s is already linked to the private DNS zone %s by the link '%s'.", network, zone.Name(), id.Name())
		case strings.EqualFold(otherZone.Name(), zone.Name()):
			return badRequest("BadRequest", "A virtual network cannot be linked to multiple zones with overlapping namespaces. You tried to link virtual network with '%s' and '%s' zones.", zone.Name(), otherZone.Name())
		case p.flag("registrationEnabled") && op.flag("registrationEnabled"):
			return badRequest("BadRequest", "The virtual network %s is already linked to the zone %s with registration enabled.", network, otherZone.Name())
		}
	}
	if w.created() {
		if err := w.linked(at, "Microsoft.Network/virtualNetworks/join/action"); err != nil {
			return err
		}
	}
	p.fill("registrationEnabled", false)
	if strings.HasPrefix(strings.ToLower(zone.Name()), "privatelink.") {
		p.fill("resolutionPolicy", "Default")
	}
	p["virtualNetworkLinkState"] = "Completed"
	p["provisioningState"] = "Succeeded"
	return w.setProperties(p)
}
