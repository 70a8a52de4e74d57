package azure

import "strings"

// zoneGroupKind is Microsoft.Network/privateEndpoints/privateDnsZoneGroups: it
// writes the A records of its private endpoint into zones, and removes them.
type zoneGroupKind struct{ plain }

// zoneGroupTTL is what a zone group writes (seen live).
const zoneGroupTTL = 10

func (zoneGroupKind) check(w *write) error {
	p, err := w.properties()
	if err != nil {
		return invalidContent(err)
	}
	configs := p.bags("privateDnsZoneConfigs")
	if w.created() {
		if pe, _ := w.id.Parent(); len(w.children(pe, "privateDnsZoneGroups")) > 0 {
			return badRequest("PrivateEndpointCannotHaveMultiplePrivateDnsZoneGroups", "The private endpoint %s already has a private DNS zone group; it can have one.", pe)
		}
	}
	seen := map[string]bool{}
	for _, c := range configs {
		zone := c.text("properties", "privateDnsZoneId")
		if _, err := w.requireReference(zone, "Microsoft.Network/privateDnsZones"); err != nil {
			return err
		}
		id, _ := ParseID(zone)
		if seen[strings.ToLower(id.Name())] {
			return badRequest("PrivateDnsZoneGroupHasDuplicateZones", "The private DNS zone group %s names the zone %s twice.", w.id, id.Name())
		}
		seen[strings.ToLower(id.Name())] = true
		if err := w.linked(id, "Microsoft.Network/privateDnsZones/join/action"); err != nil {
			return err
		}
		c["id"] = w.id.String() + "/privateDnsZoneConfigs/" + c.text("name")
		c["type"] = "Microsoft.Network/privateEndpoints/privateDnsZoneGroups/privateDnsZoneConfigs"
		delete(c.bag("properties"), "recordSets") // read-only
	}
	p["provisioningState"] = "Succeeded"
	return w.setProperties(p)
}

func (zoneGroupKind) stored(w *write) error {
	w.removeRecords(w.before(), w.id)
	return w.syncZoneGroup(w.next)
}

func (zoneGroupKind) left(w *write) error {
	w.removeRecords(w.before(), w.id)
	return nil
}

// syncZoneGroup writes the records of a group. Where another private endpoint
// wrote the same name before, the last one wins, as on Azure.
func (d *data) syncZoneGroup(group Resource) error {
	id, err := ParseID(group.ID)
	if err != nil {
		return invalidContent(err)
	}
	pe, _ := id.Parent()
	endpoint, ok := d.resources[pe.Key()]
	if !ok {
		return nil
	}
	ep, err := bagOf(endpoint.Properties)
	if err != nil {
		return invalidContent(err)
	}
	p, err := bagOf(group.Properties)
	if err != nil {
		return invalidContent(err)
	}
	for _, c := range p.bags("privateDnsZoneConfigs") {
		zone, err := ParseID(c.text("properties", "privateDnsZoneId"))
		if err != nil || c.bag("properties") == nil {
			continue
		}
		sets, err := d.writeRecords(pe, ep, zone)
		if err != nil {
			return err
		}
		c.bag("properties")["recordSets"] = sets
	}
	raw, err := marshal(p)
	if err != nil {
		return err
	}
	if string(raw) != string(group.Properties) {
		group.Properties = raw
		d.set(id, group)
	}
	return nil
}

func creatorOf(pe ID, ep bag) string {
	g := ep.text("resourceGuid")
	if g == "" {
		g = guid(pe.String())
	}
	return "created by private endpoint " + pe.Name() + " with resource guid " + g
}

func (d *data) writeRecords(pe ID, ep bag, zone ID) ([]any, error) {
	sets := []any{}
	if _, ok := d.resources[zone.Key()]; !ok {
		return sets, nil
	}
	for _, nic := range ep.refs("networkInterfaces") {
		r, ok := d.lookup(nic)
		if !ok {
			continue
		}
		np, _ := bagOf(r.Properties)
		for _, c := range np.bags("ipConfigurations") {
			for _, fqdn := range c.texts("properties", "privateLinkConnectionProperties", "fqdns") {
				host, ok := strings.CutSuffix(fqdn, ".azurecr.io")
				if !ok {
					continue
				}
				private := host + ".privatelink.azurecr.io"
				rel, ok := strings.CutSuffix(private, "."+strings.ToLower(zone.Name()))
				if !ok {
					continue
				}
				address := c.text("properties", "privateIPAddress")
				id := zone.child("A", rel)
				raw, err := marshal(bag{"ttl": zoneGroupTTL, "fqdn": private + ".", "isAutoRegistered": false, "provisioningState": "Succeeded",
					"metadata": map[string]any{"creator": creatorOf(pe, ep)}, "aRecords": []any{map[string]any{"ipv4Address": address}}})
				if err != nil {
					return nil, err
				}
				if old, ok := d.resources[id.Key()]; !ok || string(old.Properties) != string(raw) {
					d.set(id, Resource{ID: id.String(), Name: id.Name(), Type: id.Type(), Properties: raw})
				}
				sets = append(sets, map[string]any{"recordType": "A", "recordSetName": rel, "fqdn": private, "ttl": zoneGroupTTL,
					"ipAddresses": []any{address}, "provisioningState": "Succeeded"})
			}
		}
	}
	return sets, nil
}

// removeRecords takes a group's records out of its zones, unless another
// private endpoint has overwritten them.
func (d *data) removeRecords(group bag, id ID) {
	pe, _ := id.Parent()
	for _, c := range group.bags("privateDnsZoneConfigs") {
		zone, err := ParseID(c.text("properties", "privateDnsZoneId"))
		if err != nil {
			continue
		}
		for _, set := range c.bags("properties", "recordSets") {
			record := zone.child("A", set.text("recordSetName"))
			r, ok := d.resources[record.Key()]
			if !ok {
				continue
			}
			p, _ := bagOf(r.Properties)
			if strings.HasPrefix(p.text("metadata", "creator"), "created by private endpoint "+pe.Name()+" ") {
				d.drop(record)
			}
		}
	}
}
