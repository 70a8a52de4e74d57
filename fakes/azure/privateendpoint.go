package azure

import (
	"encoding/json"
	"slices"
	"strings"
)

// privateEndpointKind is Microsoft.Network/privateEndpoints to a registry: it
// brings a network interface with one address per member and a connection on
// the registry, and takes both along when it goes.
// https://learn.microsoft.com/azure/container-registry/container-registry-private-endpoints
type privateEndpointKind struct{ plain }

const maxEndpoints = 200

func (privateEndpointKind) check(w *write) error {
	p, err := w.properties()
	if err != nil {
		return invalidContent(err)
	}
	before := w.before()
	subnet := p.text("subnet", "id")
	if _, err := w.requireReference(subnet, "Microsoft.Network/virtualNetworks/subnets"); err != nil {
		return err
	}
	if was := before.text("subnet", "id"); was != "" && !strings.EqualFold(was, subnet) {
		return badRequest("PropertyChangeNotAllowed", "Changing property 'subnet.id' of the private endpoint %s is not allowed.", w.id)
	}
	at, _ := ParseID(subnet)
	network, _ := at.Parent()
	if r, err := w.get(network); err == nil {
		if err := w.sameRegion(r); err != nil {
			return err
		}
	}
	if w.created() {
		if err := w.linked(at, "Microsoft.Network/virtualNetworks/subnets/join/action"); err != nil {
			return err
		}
	}
	count := 0
	for _, array := range connectionArrays {
		p.fill(array, []any{})
		for _, c := range p.bags(array) {
			count++
			if err := w.checkEndpointConnection(c, elementNamed(before, array, c.text("name")), array == "manualPrivateLinkServiceConnections"); err != nil {
				return err
			}
		}
	}
	if count != 1 {
		return badRequest("PrivateEndpointMustHaveOneConnection", "The private endpoint %s must have exactly one private link service connection, not %d.", w.id, count)
	}
	p["provisioningState"] = "Succeeded"
	p.keep(before, "resourceGuid", "customNetworkInterfaceName", "ipConfigurations")
	p.fill("resourceGuid", guid(w.id.String()))
	p.fill("customNetworkInterfaceName", "")
	p.fill("ipConfigurations", []any{})
	p["networkInterfaces"] = before["networkInterfaces"] // read-only
	delete(p, "customDnsConfigs")
	return w.setProperties(p)
}

func (w *write) checkEndpointConnection(c, was bag, manual bool) error {
	p := c.bag("properties")
	if p == nil || c.text("name") == "" {
		return badRequest("InvalidRequestFormat", "Cannot parse the request. A private link service connection of %s has no name or no properties.", w.id)
	}
	target := p.text("privateLinkServiceId")
	id, err := ParseID(target)
	if err != nil || strings.ToLower(id.Type()) != typeRegistry {
		return badRequest("InvalidPrivateLinkServiceId", "The private link service id '%s' of the private endpoint %s is invalid: acrlab knows container registries alone.", target, w.id)
	}
	registry, ok := w.resources[id.Key()]
	if !ok {
		return notFound(id)
	}
	sku, _ := bagOf(registry.SKU)
	if !strings.EqualFold(sku.text("name"), "Premium") {
		return skuError(sku.text("name"), "privateEndpointConnections", "Upgrade the registry to the Premium SKU.")
	}
	if groups := p.texts("groupIds"); len(groups) != 1 || groups[0] != "registry" {
		return badRequest("InvalidGroupId", "The group ids %v of the private endpoint %s are invalid. The group id of a container registry is 'registry'.", groups, w.id)
	}
	c["id"] = w.id.String() + "/privateLinkServiceConnections/" + c.text("name")
	c["type"] = "Microsoft.Network/privateEndpoints/privateLinkServiceConnections"
	p["provisioningState"] = "Succeeded"
	if state := was.bag("properties").bag("privateLinkServiceConnectionState"); state != nil {
		p["privateLinkServiceConnectionState"] = map[string]any(state)
		return nil
	}
	if n := len(w.children(id, "privateEndpointConnections")); n >= maxEndpoints {
		return badRequest("PrivateEndpointLimitReached", "The registry %s has %d private endpoint connections; the limit is %d.", id, n, maxEndpoints)
	}
	state := map[string]any{"status": "Approved", "description": "Auto-Approved", "actionsRequired": "None"}
	if manual {
		state = map[string]any{"status": "Pending", "description": p.text("requestMessage"), "actionsRequired": "None"}
	} else if err := w.linked(id, approvalAction); err != nil {
		return err
	}
	p["privateLinkServiceConnectionState"] = state
	return nil
}

func (privateEndpointKind) stored(w *write) error { return w.syncEndpoint(w.id, w.strict) }

// left takes along what came with a private endpoint.
func (privateEndpointKind) left(w *write) error {
	for _, nic := range w.before().refs("networkInterfaces") {
		id, err := ParseID(nic)
		if err != nil {
			continue
		}
		if _, ok := w.resources[id.Key()]; ok {
			w.drop(id)
		}
	}
	for _, r := range w.ofType(typeConnection) {
		var c connection
		if json.Unmarshal(r.Properties, &c) == nil && strings.EqualFold(c.PrivateEndpoint.ID, w.old.ID) {
			if id, err := ParseID(r.ID); err == nil {
				w.drop(id)
			}
		}
	}
	return nil
}

// member is one address that a private endpoint needs.
type member struct{ name, fqdn string }

// members of a registry, data endpoints first, as the service numbers them
// (seen on a live network interface: data 10.70.4.4, registry 10.70.4.5).
func (d *data) members(registry Resource) []member {
	name := strings.ToLower(registry.Name)
	var out []member
	for _, region := range d.regions(registry) {
		out = append(out, member{"registry_data_" + region, name + "." + region + ".data.azurecr.io"})
	}
	return append(out, member{"registry", name + ".azurecr.io"})
}

// syncEndpoint makes the network interface, the connection and the DNS records
// of a private endpoint what they must be. A strict call fails where Azure
// does; any other leaves what it cannot make.
func (d *data) syncEndpoint(pe ID, strict bool) error {
	r, ok := d.resources[pe.Key()]
	if !ok {
		return nil
	}
	p, err := bagOf(r.Properties)
	if err != nil {
		return invalidContent(err)
	}
	var target bag
	for _, array := range connectionArrays {
		for _, c := range p.bags(array) {
			target = c.bag("properties")
		}
	}
	registryID, err := ParseID(target.text("privateLinkServiceId"))
	if err != nil {
		return nil
	}
	registry, ok := d.resources[registryID.Key()]
	if !ok {
		return nil
	}
	if p.text("subnet", "id") == "" {
		return nil // the owner's own building
	}
	nic, changed, err := d.syncInterface(pe, r, p, registry)
	if err != nil {
		if strict {
			return err
		}
		return nil
	}
	d.rewrite(pe.String(), func(p bag) bool {
		if slices.Equal(p.refs("networkInterfaces"), []string{nic}) {
			return false
		}
		p["networkInterfaces"] = []any{ref(nic)}
		return true
	})
	if err := d.syncConnection(pe, registryID, target); err != nil {
		return err
	}
	if !changed {
		return nil
	}
	for _, group := range d.children(pe, "privateDnsZoneGroups") {
		if err := d.syncZoneGroup(group); err != nil {
			return err
		}
	}
	return nil
}

// syncInterface gives the interface exactly the members of the registry.
func (d *data) syncInterface(pe ID, r Resource, p bag, registry Resource) (nicID string, changed bool, err error) {
	subnet, err := ParseID(p.text("subnet", "id"))
	if err != nil {
		return "", false, invalidContent(err)
	}
	id := ID{Subscription: pe.Subscription, ResourceGroup: pe.ResourceGroup, Namespace: "Microsoft.Network",
		Types: []string{"networkInterfaces"}, Names: []string{pe.Name() + ".nic." + guid(pe.String(), "nic")}}
	if custom := p.text("customNetworkInterfaceName"); custom != "" {
		id.Names[0] = custom
	}
	if have := p.refs("networkInterfaces"); len(have) > 0 {
		if at, err := ParseID(have[0]); err == nil {
			id = at
		}
	}
	nic, exists := d.resources[id.Key()]
	np := bag{}
	if exists {
		if np, err = bagOf(nic.Properties); err != nil {
			return "", false, invalidContent(err)
		}
	}
	static := map[string]bag{}
	for _, c := range p.bags("ipConfigurations") {
		static[c.text("properties", "memberName")] = c
	}
	configs, taken := []any{}, map[string]bool{}
	changed = !exists
	for i, m := range d.members(registry) {
		config := configurationOf(np, m.name)
		if config == nil {
			changed = true
			address, allocation, name := "", "Dynamic", "privateEndpointIpConfig."+guid(pe.String(), m.name)
			switch c, fixed := static[m.name]; {
			case fixed:
				address, allocation = c.text("properties", "privateIPAddress"), "Static"
				if n := c.text("name"); n != "" {
					name = n
				}
				if err := d.staticAddress(subnet, address, taken); err != nil {
					return "", false, err
				}
			case len(static) > 0:
				// The text of container-registry-geo-replication.
				return "", false, badRequest("PrivateEndpointStaticIpConfigurationsMissing",
					"Failed to replicate private endpoint. Private Endpoint %s contains static ipconfigurations and it's missing these membernames/groupids requested by Private Link service [GroupId: registry, MemberName: %s, IpVersion: IPv4]. Private Endpoint needs to be reconfigured with missing memberNames.", pe, m.name)
			default:
				if address, err = d.freeAddress(subnet, taken); err != nil {
					return "", false, err
				}
			}
			config = bag{"id": id.child("ipConfigurations", name).String(), "name": name, "type": "Microsoft.Network/networkInterfaces/ipConfigurations",
				"properties": map[string]any{
					"provisioningState": "Succeeded", "privateIPAddress": address, "privateIPAddressVersion": "IPv4",
					"privateIPAllocationMethod": allocation, "primary": i == 0, "subnet": ref(subnet.String()),
					"privateLinkConnectionProperties": map[string]any{"groupId": "registry", "requiredMemberName": m.name, "fqdns": []any{m.fqdn}},
				}}
		}
		taken[config.text("properties", "privateIPAddress")] = true
		configs = append(configs, map[string]any(config))
	}
	if !changed && len(configs) == len(np.bags("ipConfigurations")) {
		return id.String(), false, nil
	}
	for key, value := range map[string]any{"privateEndpoint": ref(pe.String()), "nicType": "Standard", "enableIPForwarding": false,
		"provisioningState": "Succeeded", "resourceGuid": guid(id.String()), "dnsSettings": map[string]any{"dnsServers": []any{}, "appliedDnsServers": []any{}}} {
		np.fill(key, value)
	}
	np["ipConfigurations"] = configs
	raw, err := marshal(np)
	if err != nil {
		return "", false, err
	}
	d.set(id, Resource{ID: id.String(), Name: id.Name(), Type: id.Type(), Location: r.Location, Properties: raw, Tags: nic.Tags})
	return id.String(), true, nil
}

func configurationOf(nic bag, memberName string) bag {
	for _, c := range nic.bags("ipConfigurations") {
		if strings.EqualFold(c.text("properties", "privateLinkConnectionProperties", "requiredMemberName"), memberName) {
			return c
		}
	}
	return nil
}

// syncConnection makes the registry's side, and turns its data endpoints on:
// a registry with a private endpoint has them.
func (d *data) syncConnection(pe, registry ID, target bag) error {
	for _, c := range d.children(registry, "privateEndpointConnections") {
		p, _ := bagOf(c.Properties)
		if strings.EqualFold(p.text("privateEndpoint", "id"), pe.String()) {
			return nil
		}
	}
	state := target.bag("privateLinkServiceConnectionState")
	if state == nil || state.text("status") == "Disconnected" {
		return nil
	}
	id := registry.child("privateEndpointConnections", pe.Name()+"."+guid(pe.String(), "connection"))
	raw, err := marshal(bag{"privateEndpoint": ref(pe.String()), "privateLinkServiceConnectionState": map[string]any(state),
		"provisioningState": "Succeeded", "groupIds": []any{"registry"}})
	if err != nil {
		return err
	}
	d.set(id, Resource{ID: id.String(), Name: id.Name(), Type: id.Type(), Properties: raw})
	d.rewrite(registry.String(), func(p bag) bool {
		on := p.flag("dataEndpointEnabled")
		p["dataEndpointEnabled"] = true
		return !on
	})
	return nil
}

// show fills customDnsConfigs from the interface unless a zone group writes
// the records: then it is empty (seen live).
func (privateEndpointKind) show(v view, id ID, _ Resource, p bag) {
	configs := []any{}
	if len(v.children(id, "privateDnsZoneGroups")) == 0 {
		for _, nic := range p.refs("networkInterfaces") {
			r, ok := v.lookup(nic)
			if !ok {
				continue
			}
			np, _ := bagOf(r.Properties)
			for _, c := range np.bags("ipConfigurations") {
				for _, fqdn := range c.texts("properties", "privateLinkConnectionProperties", "fqdns") {
					configs = append(configs, map[string]any{"fqdn": fqdn, "ipAddresses": []any{c.text("properties", "privateIPAddress")}})
				}
			}
		}
	}
	p["customDnsConfigs"] = configs
	for _, array := range connectionArrays {
		for _, c := range p.bags(array) {
			c.fill("etag", v.etag(id))
		}
	}
}
