package azure

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
)

// virtualNetworkKind is Microsoft.Network/virtualNetworks with its subnets
// (subnet.go) and peerings (peering.go).
type virtualNetworkKind struct{}

func (virtualNetworkKind) check(w *write) error {
	p, err := w.properties()
	if err != nil {
		return invalidContent(err)
	}
	before := w.before()
	p.keep(before, "addressSpace", "resourceGuid", "enableDdosProtection")
	p.fill("resourceGuid", guid(w.id.String()))
	p.fill("enableDdosProtection", false)
	p.fill("subnets", []any{})
	p.fill("virtualNetworkPeerings", []any{})
	p["provisioningState"] = "Succeeded"
	if options := p.bag("dhcpOptions"); options != nil {
		for _, server := range options.texts("dnsServers") {
			if _, err := netip.ParseAddr(server); err != nil {
				return badRequest("NetcfgInvalidIPAddress", "IP address is not valid '%s'.", server)
			}
		}
	}
	space := p.bag("addressSpace").texts("addressPrefixes")
	if len(space) == 0 {
		return badRequest("InvalidRequestFormat", "Cannot parse the request. Virtual network %s has no addressSpace.addressPrefixes.", w.id.Name())
	}
	prefixes, err := addressPrefixes(w.id, space)
	if err != nil {
		return err
	}
	for i, a := range prefixes {
		for _, b := range prefixes[:i] {
			if a.Overlaps(b) {
				return badRequest("AddressPrefixesOverlap", "The address prefixes %s and %s of the virtual network %s overlap.", b, a, w.id.Name())
			}
		}
	}
	if err := checkSubnets(w, p, before, prefixes); err != nil {
		return err
	}
	if err := checkPeerings(w, p, before, prefixes); err != nil {
		return err
	}
	return w.setProperties(p)
}

// addressPrefixes reads CIDR blocks. Host bits are an error, as in Azure.
func addressPrefixes(id ID, list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range list {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, badRequest("InvalidAddressPrefixFormat", "Address prefix %s of resource %s is not formatted correctly. It should follow CIDR notation, for example 10.0.0.0/24.", text, id)
		}
		if prefix != prefix.Masked() {
			return nil, badRequest("InvalidCIDRNotation", "The address prefix %s in resource %s has an invalid CIDR notation. For the given prefix length, the address prefix should be %s.", text, id, prefix.Masked())
		}
		out = append(out, prefix)
	}
	return out, nil
}

func (virtualNetworkKind) stored(w *write) error { return w.syncPeerings() }

func (virtualNetworkKind) leave(w *write) error {
	for _, s := range w.before().bags("subnets") {
		if err := w.subnetUnused(s.text("id"), s.text("name")); err != nil {
			return err
		}
	}
	return nil
}

func (virtualNetworkKind) left(w *write) error {
	w.next = Resource{ID: w.old.ID} // a network without peerings
	return w.syncPeerings()
}

func (virtualNetworkKind) show(v view, id ID, r Resource, p bag) {
	users := v.subnetUsers()
	for _, s := range p.bags("subnets") {
		showSubnet(s, users)
	}
	v.stampElements(id, p, "subnets", "virtualNetworkPeerings")
}

// stampElements gives embedded children the etag and state that they show.
func (v view) stampElements(parent ID, p bag, arrays ...string) {
	for _, array := range arrays {
		for _, e := range p.bags(array) {
			e["etag"] = v.etag(parent.child(array, e.text("name")))
			if props := e.bag("properties"); props != nil {
				props.fill("provisioningState", "Succeeded")
			}
		}
	}
}

// changedElements are the entries of an array that are new or different.
func changedElements(p, before bag, array string) []bag {
	old := map[string]string{}
	for _, e := range before.bags(array) {
		raw, _ := json.Marshal(e["properties"])
		old[strings.ToLower(e.text("name"))] = string(raw)
	}
	return slices.DeleteFunc(p.bags(array), func(e bag) bool {
		raw, _ := json.Marshal(e["properties"])
		was, ok := old[strings.ToLower(e.text("name"))]
		return ok && was == string(raw)
	})
}

// goneElements are the entries of before that p no longer has.
func goneElements(p, before bag, array string) []bag {
	now := map[string]bool{}
	for _, e := range p.bags(array) {
		now[strings.ToLower(e.text("name"))] = true
	}
	return slices.DeleteFunc(before.bags(array), func(e bag) bool { return now[strings.ToLower(e.text("name"))] })
}

// element finds an entry of an array by name.
func elementNamed(p bag, array, name string) bag {
	for _, e := range p.bags(array) {
		if strings.EqualFold(e.text("name"), name) {
			return e
		}
	}
	return bag{}
}
