package azure

import (
	"net/netip"
	"slices"
	"strings"
)

// networkInterfaceKind is Microsoft.Network/networkInterfaces.
type networkInterfaceKind struct{ plain }

func (networkInterfaceKind) check(w *write) error {
	p, err := w.properties()
	if err != nil {
		return invalidContent(err)
	}
	before := w.before()
	p.keep(before, "resourceGuid", "privateEndpoint", "virtualMachine", "enableIPForwarding", "nicType", "dnsSettings", "macAddress")
	p.fill("resourceGuid", guid(w.id.String()))
	p.fill("enableIPForwarding", false)
	p.fill("enableAcceleratedNetworking", false)
	p.fill("nicType", "Standard")
	p.fill("primary", true)
	p.fill("dnsSettings", map[string]any{"dnsServers": []any{}, "appliedDnsServers": []any{}})
	p["provisioningState"] = "Succeeded"
	configs := p.bags("ipConfigurations")
	if len(configs) == 0 {
		return badRequest("NetworkInterfaceMustHaveAtLeastOneIpConfiguration", "Network interface %s must have at least one IP configuration.", w.id)
	}
	if group := p.text("networkSecurityGroup", "id"); group != "" {
		r, err := w.requireReference(group, "Microsoft.Network/networkSecurityGroups")
		if err != nil {
			return err
		}
		if err := w.sameRegion(r); err != nil {
			return err
		}
	}
	taken := map[string]bool{}
	for i, c := range configs {
		if err := w.checkConfiguration(c, elementNamed(before, "ipConfigurations", c.text("name")), i == 0, taken); err != nil {
			return err
		}
	}
	return w.setProperties(p)
}

func (w *write) checkConfiguration(c, was bag, first bool, taken map[string]bool) error {
	p := c.bag("properties")
	if p == nil {
		return badRequest("InvalidRequestFormat", "Cannot parse the request. The IP configuration %s of %s has no properties.", c.text("name"), w.id)
	}
	subnet := p.text("subnet", "id")
	if _, err := w.requireReference(subnet, "Microsoft.Network/virtualNetworks/subnets"); err != nil {
		return err
	}
	at, _ := ParseID(subnet)
	if !strings.EqualFold(was.text("properties", "subnet", "id"), subnet) {
		if err := w.linked(at, "Microsoft.Network/virtualNetworks/subnets/join/action"); err != nil {
			return err
		}
	}
	if ip := p.text("publicIPAddress", "id"); ip != "" {
		if _, err := w.requireReference(ip, "Microsoft.Network/publicIPAddresses"); err != nil {
			return err
		}
	}
	p.fill("privateIPAllocationMethod", "Dynamic")
	p.fill("privateIPAddressVersion", "IPv4")
	p.fill("primary", first)
	p["provisioningState"] = "Succeeded"
	address := p.text("privateIPAddress")
	if p.text("privateIPAllocationMethod") == "Dynamic" {
		address = was.text("properties", "privateIPAddress")
		if address == "" || !strings.EqualFold(was.text("properties", "subnet", "id"), subnet) {
			var err error
			if address, err = w.freeAddress(at, taken); err != nil {
				return err
			}
		}
	} else if address != was.text("properties", "privateIPAddress") {
		if err := w.staticAddress(at, address, taken); err != nil {
			return err
		}
	}
	taken[address] = true
	p["privateIPAddress"] = address
	return nil
}

// prefixesOf a subnet.
func (d *data) prefixesOf(subnet ID) []netip.Prefix {
	r, err := d.get(subnet)
	if err != nil {
		return nil
	}
	p, _ := bagOf(r.Properties)
	var out []netip.Prefix
	for _, text := range p.oneOrMany("addressPrefix", "addressPrefixes") {
		if prefix, err := netip.ParsePrefix(text); err == nil {
			out = append(out, prefix.Masked())
		}
	}
	return out
}

// allocated are the addresses in use in the network of a subnet.
func (d *data) allocated(subnet ID) map[string]bool {
	network, _ := subnet.Parent()
	prefix := network.Key() + "/subnets/"
	out := map[string]bool{}
	for _, r := range append(d.ofType(typeNetworkInterface), d.ofType(typeFirewall)...) {
		p, _ := bagOf(r.Properties)
		for _, c := range p.bags("ipConfigurations") {
			if strings.HasPrefix(strings.ToLower(c.text("properties", "subnet", "id")), prefix) {
				out[c.text("properties", "privateIPAddress")] = true
			}
		}
	}
	return out
}

// reserved are the first four addresses and the last of a subnet.
// https://learn.microsoft.com/azure/virtual-network/virtual-networks-faq
func reserved(p netip.Prefix, a netip.Addr) bool {
	first := p.Addr()
	for range 4 {
		if a == first {
			return true
		}
		first = first.Next()
	}
	return !p.Contains(a.Next())
}

// freeAddress is the first free address of a subnet.
func (d *data) freeAddress(subnet ID, taken map[string]bool) (string, error) {
	used := d.allocated(subnet)
	for _, p := range d.prefixesOf(subnet) {
		if !p.Addr().Is4() {
			continue
		}
		for a := p.Addr(); p.Contains(a); a = a.Next() {
			if !reserved(p, a) && !used[a.String()] && !taken[a.String()] {
				return a.String(), nil
			}
		}
	}
	return "", badRequest("SubnetIsFull", "Subnet %s with address prefix %s does not have enough capacity for 1 IP addresses.", subnet.Name(), joinPrefixes(d.prefixesOf(subnet)))
}

func joinPrefixes(list []netip.Prefix) string {
	var out []string
	for _, p := range list {
		out = append(out, p.String())
	}
	return strings.Join(out, ", ")
}

func (d *data) staticAddress(subnet ID, address string, taken map[string]bool) error {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return badRequest("InvalidIPAddressFormat", "The IP address format of %s is invalid.", address)
	}
	prefixes := d.prefixesOf(subnet)
	i := slices.IndexFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
	switch {
	case i < 0:
		return badRequest("PrivateIPAddressNotInSubnet", "Private static IP address %s does not belong to the range of subnet prefix %s.", address, joinPrefixes(prefixes))
	case reserved(prefixes[i], a):
		return badRequest("PrivateIPAddressInReservedRange", "Private static IP address %s falls within reserved IP range of subnet prefix %s.", address, prefixes[i])
	case d.allocated(subnet)[address], taken[address]:
		return badRequest("PrivateIPAddressIsAllocated", "IP configuration has the private IP address %s, which is already allocated in subnet %s.", address, subnet)
	}
	return nil
}

func (networkInterfaceKind) leave(w *write) error {
	if w.root.Key() != w.id.Key() {
		return nil // its group goes with it
	}
	p := w.before()
	if vm := p.text("virtualMachine", "id"); vm != "" {
		return badRequest("NicInUse", "Network Interface %s is used by existing resource %s. In order to delete the network interface, it must be dissociated from the resource. To learn more, see aka.ms/deletenic.", w.old.ID, vm)
	}
	if pe := p.text("privateEndpoint", "id"); pe != "" {
		return badRequest("NetworkInterfaceUsedByPrivateEndpoint", "Network Interface %s is used by the private endpoint %s and is deleted with it.", w.old.ID, pe)
	}
	return nil
}

func (networkInterfaceKind) show(v view, id ID, _ Resource, p bag) {
	v.stampElements(id, p, "ipConfigurations")
}
