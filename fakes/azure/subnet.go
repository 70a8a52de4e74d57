package azure

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Subnets: https://learn.microsoft.com/azure/virtual-network/virtual-networks-faq
// (five reserved addresses, /29 the smallest).

// joins are what a subnet may refer to, the type it must have and the action
// that the caller needs on it.
var joins = []struct{ property, kind, action string }{
	{"networkSecurityGroup", "Microsoft.Network/networkSecurityGroups", "Microsoft.Network/networkSecurityGroups/join/action"},
	{"routeTable", "Microsoft.Network/routeTables", "Microsoft.Network/routeTables/join/action"},
	{"natGateway", "Microsoft.Network/natGateways", "Microsoft.Network/natGateways/join/action"},
}

func checkSubnets(w *write, p, before bag, space []netip.Prefix) error {
	changed := changedElements(p, before, "subnets")
	for _, s := range changed {
		if err := checkSubnet(w, s, elementNamed(before, "subnets", s.text("name")).bag("properties"), p, space); err != nil {
			return err
		}
	}
	for _, s := range goneElements(p, before, "subnets") {
		if err := w.subnetUnused(s.text("id"), s.text("name")); err != nil {
			return err
		}
	}
	if len(changed) < len(p.bags("subnets")) { // a narrower address space
		for _, s := range p.bags("subnets") {
			for _, text := range s.bag("properties").oneOrMany("addressPrefix", "addressPrefixes") {
				if prefix, err := netip.ParsePrefix(text); err == nil && !holds(space, prefix) && !slices.Equal(space, spaceOf(before)) {
					return outsideNetwork(s.text("name"), w.id.Name())
				}
			}
		}
	}
	return nil
}

func spaceOf(p bag) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range p.bag("addressSpace").texts("addressPrefixes") {
		if prefix, err := netip.ParsePrefix(text); err == nil {
			out = append(out, prefix)
		}
	}
	return out
}

func holds(space []netip.Prefix, p netip.Prefix) bool {
	return slices.ContainsFunc(space, func(s netip.Prefix) bool { return s.Bits() <= p.Bits() && s.Contains(p.Addr()) })
}

func outsideNetwork(subnet, network string) error {
	return badRequest("NetcfgSubnetRangeOutsideVnet", "Subnet '%s' is not valid because its IP address range is outside the IP address range of virtual network '%s'.", subnet, network)
}

func checkSubnet(w *write, s, was, network bag, space []netip.Prefix) error {
	name, props := s.text("name"), s.bag("properties")
	if props == nil {
		props = bag{}
		s["properties"] = map[string]any(props)
	}
	id := w.id.child("subnets", name)
	texts := props.oneOrMany("addressPrefix", "addressPrefixes")
	if len(texts) == 0 {
		return badRequest("NoAddressPrefixOrPoolProvided", "Subnet %s has no address prefix or IP address pool associated. At least one address prefix or pool must be provided.", id)
	}
	prefixes, err := addressPrefixes(id, texts)
	if err != nil {
		return err
	}
	for _, prefix := range prefixes {
		if prefix.Addr().Is4() && prefix.Bits() > 29 {
			return badRequest("NetcfgInvalidSubnet", "Subnet '%s' is not valid in virtual network '%s': %s is smaller than /29.", name, w.id.Name(), prefix)
		}
		if !holds(space, prefix) {
			return outsideNetwork(name, w.id.Name())
		}
		for _, other := range network.bags("subnets") {
			if strings.EqualFold(other.text("name"), name) {
				continue
			}
			for _, text := range other.bag("properties").oneOrMany("addressPrefix", "addressPrefixes") {
				if q, err := netip.ParsePrefix(text); err == nil && q.Overlaps(prefix) {
					return badRequest("NetcfgSubnetRangesOverlap", "Subnet '%s' is not valid because its IP address range overlaps with that of an existing subnet '%s'.", name, other.text("name"))
				}
			}
		}
	}
	for _, text := range was.oneOrMany("addressPrefix", "addressPrefixes") {
		if !slices.Contains(texts, text) {
			if used := w.subnetUser(id.String()); used != "" {
				return badRequest("InUsePrefixCannotBeDeleted", "IpPrefix %s on Subnet %s has active allocations and cannot be deleted.", text, name)
			}
		}
	}
	for _, j := range joins {
		target := props.text(j.property, "id")
		if target == "" || strings.EqualFold(target, was.text(j.property, "id")) {
			continue
		}
		r, err := w.requireReference(target, j.kind)
		if err != nil {
			return err
		}
		if err := w.sameRegion(r); err != nil {
			return err
		}
		at, _ := ParseID(target)
		if err := w.linked(at, j.action); err != nil {
			return err
		}
	}
	for _, e := range props.bags("serviceEndpoints") {
		if e.text("service") == "" {
			return badRequest("InvalidServiceEndpoint", "Subnet %s has a service endpoint without a service.", id)
		}
		e.fill("locations", []any{"*"})
		e["provisioningState"] = "Succeeded"
	}
	for _, policy := range props.refs("serviceEndpointPolicies") {
		if _, err := w.requireReference(policy, "Microsoft.Network/serviceEndpointPolicies"); err != nil {
			return err
		}
	}
	props.fill("privateEndpointNetworkPolicies", "Disabled")
	props.fill("privateLinkServiceNetworkPolicies", "Enabled")
	if v := props.text("privateEndpointNetworkPolicies"); !slices.Contains([]string{"Disabled", "Enabled", "NetworkSecurityGroupEnabled", "RouteTableEnabled"}, v) {
		return badRequest("InvalidRequestFormat", "Cannot parse the request. '%s' is no value of privateEndpointNetworkPolicies of subnet %s.", v, id)
	}
	props.fill("delegations", []any{})
	props["provisioningState"] = "Succeeded"
	// Shown, not stored.
	delete(props, "ipConfigurations")
	delete(props, "privateEndpoints")
	return nil
}

// subnetUnused refuses to take away a subnet with addresses in use.
func (w *write) subnetUnused(id, name string) error {
	if used := w.subnetUser(id); used != "" {
		return badRequest("InUseSubnetCannotBeDeleted", "Subnet %s is in use by %s and cannot be deleted. In order to delete the subnet, delete all the resources within the subnet. See aka.ms/deletesubnet.", name, used)
	}
	return nil
}

func (w *write) subnetUser(id string) string {
	if users := w.users(id, typeNetworkInterface, typeFirewall, typePrivateEndpoint, typeAgentPool, "microsoft.network/virtualnetworkgateways"); len(users) > 0 {
		return users[0]
	}
	return ""
}

// subnetUsers are the address configurations and private endpoints in each
// subnet, by the subnet's lower-case id.
type subnetUsers struct{ configurations, endpoints map[string][]any }

func (d *data) subnetUsers() subnetUsers {
	u := subnetUsers{map[string][]any{}, map[string][]any{}}
	for _, r := range append(d.ofType(typeNetworkInterface), d.ofType(typeFirewall)...) {
		p, _ := bagOf(r.Properties)
		for _, c := range p.bags("ipConfigurations") {
			if subnet := strings.ToLower(c.text("properties", "subnet", "id")); subnet != "" {
				id := c.text("id")
				if id == "" {
					id = fmt.Sprintf("%s/ipConfigurations/%s", r.ID, c.text("name"))
				}
				u.configurations[subnet] = append(u.configurations[subnet], ref(id))
			}
		}
	}
	for _, r := range d.ofType(typePrivateEndpoint) {
		p, _ := bagOf(r.Properties)
		if subnet := strings.ToLower(p.text("subnet", "id")); subnet != "" {
			u.endpoints[subnet] = append(u.endpoints[subnet], ref(r.ID))
		}
	}
	return u
}

func showSubnet(s bag, users subnetUsers) {
	props := s.bag("properties")
	if props == nil {
		return
	}
	key := strings.ToLower(s.text("id"))
	delete(props, "ipConfigurations")
	delete(props, "privateEndpoints")
	if list := users.configurations[key]; len(list) > 0 {
		props["ipConfigurations"] = list
	}
	if list := users.endpoints[key]; len(list) > 0 {
		props["privateEndpoints"] = list
	}
}
