package azure

import (
	"crypto/sha256"
	"fmt"
	"strings"
)

// publicIPKind is Microsoft.Network/publicIPAddresses.
type publicIPKind struct{ plain }

func (publicIPKind) check(w *write) error {
	p, err := w.properties()
	if err != nil {
		return invalidContent(err)
	}
	before := w.before()
	if len(w.next.SKU) == 0 {
		w.next.SKU = []byte(`{"name":"Standard","tier":"Regional"}`)
		if w.old != nil && len(w.old.SKU) > 0 {
			w.next.SKU = w.old.SKU
		}
	}
	p.keep(before, "publicIPAllocationMethod", "publicIPAddressVersion", "idleTimeoutInMinutes", "resourceGuid")
	p.fill("resourceGuid", guid(w.id.String()))
	p.fill("publicIPAllocationMethod", "Static")
	p.fill("publicIPAddressVersion", "IPv4")
	p.fill("idleTimeoutInMinutes", 4)
	sku, _ := bagOf(w.next.SKU)
	if sku.text("name") == "Standard" && p.text("publicIPAllocationMethod") != "Static" {
		return badRequest("StandardSkuPublicIPAddressesMustBeStatic", "Standard sku publicIp %s must have AllocationMethod set to Static.", w.id)
	}
	p["provisioningState"] = "Succeeded"
	if p["ipAddress"] = before["ipAddress"]; p["ipAddress"] == nil {
		p["ipAddress"] = w.publicAddress()
	}
	delete(p, "ipConfiguration")
	delete(p, "natGateway")
	return w.setProperties(p)
}

// publicAddress is one of 20.224.0.0/16, a block of Azure's, that depends on
// the resource's id alone unless another resource has it already.
func (w *write) publicAddress() string {
	taken := map[string]bool{}
	for _, r := range w.ofType(typePublicIP) {
		p, _ := bagOf(r.Properties)
		taken[p.text("ipAddress")] = true
	}
	sum := sha256.Sum256([]byte(w.id.Key()))
	n := int(sum[0])<<8 | int(sum[1])
	for range 1 << 16 {
		a := fmt.Sprintf("20.224.%d.%d", n>>8&255, n&255)
		if !taken[a] && n&255 != 0 && n&255 != 255 {
			return a
		}
		n++
	}
	return ""
}

func (publicIPKind) leave(w *write) error {
	if users := w.users(w.old.ID, typeNetworkInterface, typeFirewall, typeNATGateway, "microsoft.network/virtualnetworkgateways"); len(users) > 0 {
		return badRequest("PublicIPAddressCannotBeDeleted", "Public IP address %s can not be deleted since it is still allocated to resource %s. In order to delete the public IP, disassociate/detach the Public IP address from the resource. To learn how to do this, see aka.ms/deletepublicip.", w.old.ID, users[0])
	}
	return nil
}

func (publicIPKind) show(v view, id ID, _ Resource, p bag) {
	delete(p, "ipConfiguration")
	delete(p, "natGateway")
	for _, n := range v.ofType(typeNATGateway) {
		np, _ := bagOf(n.Properties)
		for _, ip := range np.refs("publicIpAddresses") {
			if strings.EqualFold(ip, id.String()) {
				p["natGateway"] = ref(n.ID)
			}
		}
	}
	for _, r := range append(v.ofType(typeNetworkInterface), v.ofType(typeFirewall)...) {
		rp, _ := bagOf(r.Properties)
		for _, c := range rp.bags("ipConfigurations") {
			if strings.EqualFold(c.text("properties", "publicIPAddress", "id"), id.String()) {
				p["ipConfiguration"] = ref(c.text("id"))
			}
		}
	}
}
