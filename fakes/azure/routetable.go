package azure

import (
	"net/netip"
	"slices"
	"strings"
)

// routeTableKind is Microsoft.Network/routeTables with its routes.
// https://learn.microsoft.com/azure/virtual-network/virtual-networks-udr-overview
type routeTableKind struct{ plain }

var nextHopTypes = []string{"VirtualNetworkGateway", "VnetLocal", "Internet", "VirtualAppliance", "None"}

func (routeTableKind) check(w *write) error {
	p, err := w.properties()
	if err != nil {
		return invalidContent(err)
	}
	p["provisioningState"] = "Succeeded"
	p.keep(w.before(), "resourceGuid", "disableBgpRoutePropagation")
	p.fill("resourceGuid", guid(w.id.String()))
	p.fill("disableBgpRoutePropagation", false)
	p.fill("routes", []any{})
	delete(p, "subnets")
	for _, route := range changedElements(p, w.before(), "routes") {
		if err := checkRoute(w.id, route, p); err != nil {
			return err
		}
	}
	return w.setProperties(p)
}

func checkRoute(table ID, route, all bag) error {
	id, p := table.child("routes", route.text("name")), route.bag("properties")
	if p == nil {
		return badRequest("InvalidRequestFormat", "Cannot parse the request. The route %s has no properties.", id)
	}
	prefix := p.text("addressPrefix")
	if !serviceTag.MatchString(prefix) {
		if _, err := addressPrefixes(id, []string{prefix}); err != nil {
			return err
		}
	}
	hop := p.text("nextHopType")
	i := slices.IndexFunc(nextHopTypes, func(t string) bool { return strings.EqualFold(t, hop) })
	if i < 0 {
		return badRequest("InvalidRouteNextHopType", "Route %s has the invalid nextHopType '%s'. Allowed values: %s.", id, hop, strings.Join(nextHopTypes, ", "))
	}
	p["nextHopType"] = nextHopTypes[i]
	address := p.text("nextHopIpAddress")
	switch _, err := netip.ParseAddr(address); {
	case nextHopTypes[i] == "VirtualAppliance" && (address == "" || err != nil):
		return badRequest("InvalidNextHopIpAddress", "The next hop IP address '%s' of route %s is invalid: next hop type VirtualAppliance needs an IP address.", address, id)
	case nextHopTypes[i] != "VirtualAppliance" && address != "":
		return badRequest("NextHopIpAddressNotAllowed", "The route %s has the next hop IP address %s: it is allowed only for next hop type VirtualAppliance.", id, address)
	}
	for _, other := range all.bags("routes") {
		if !strings.EqualFold(other.text("name"), route.text("name")) && strings.EqualFold(other.text("properties", "addressPrefix"), prefix) {
			return badRequest("RouteConflict", "Route %s conflicts with route %s. Routes cannot have the same AddressPrefix.", route.text("name"), other.text("name"))
		}
	}
	p["provisioningState"] = "Succeeded"
	p.fill("hasBgpOverride", false)
	return nil
}

func (routeTableKind) leave(w *write) error {
	if users := w.users(w.old.ID, typeVirtualNetwork); len(users) > 0 {
		return badRequest("InUseRouteTableCannotBeDeleted", "Route table %s is in use and cannot be deleted: %s.", w.id.Name(), strings.Join(users, ", "))
	}
	return nil
}

func (routeTableKind) show(v view, id ID, _ Resource, p bag) {
	v.stampElements(id, p, "routes")
	v.showUsers(p, id, "routeTable")
}
