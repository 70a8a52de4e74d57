package azure

import "strings"

// natGatewayKind is Microsoft.Network/natGateways.
// https://learn.microsoft.com/azure/nat-gateway/nat-gateway-resource
type natGatewayKind struct{ plain }

func (natGatewayKind) check(w *write) error {
	p, err := w.properties()
	if err != nil {
		return invalidContent(err)
	}
	if len(w.next.SKU) == 0 {
		w.next.SKU = []byte(`{"name":"Standard"}`)
	}
	for _, id := range p.refs("publicIpAddresses") {
		r, err := w.requireReference(id, "Microsoft.Network/publicIPAddresses")
		if err != nil {
			return err
		}
		if err := w.sameRegion(r); err != nil {
			return err
		}
		if sku, _ := bagOf(r.SKU); sku.text("name") == "Basic" {
			return badRequest("NatGatewayPublicIpAddressSkuMustBeStandard", "The public IP address %s of the NAT gateway %s must be of SKU Standard.", id, w.id)
		}
		for _, user := range w.users(r.ID, typeNetworkInterface, typeFirewall, typeNATGateway) {
			if !strings.EqualFold(user, w.id.String()) {
				return badRequest("PublicIPAddressInUse", "Resource %s is referencing public IP address %s that is already allocated to resource %s.", w.id, id, user)
			}
		}
	}
	p.keep(w.before(), "resourceGuid", "idleTimeoutInMinutes")
	p.fill("resourceGuid", guid(w.id.String()))
	p.fill("idleTimeoutInMinutes", 4)
	p["provisioningState"] = "Succeeded"
	delete(p, "subnets")
	return w.setProperties(p)
}

func (natGatewayKind) leave(w *write) error {
	if users := w.users(w.old.ID, typeVirtualNetwork); len(users) > 0 {
		return badRequest("InUseNatGatewayCannotBeDeleted", "NAT gateway %s is in use by %s and cannot be deleted.", w.id, strings.Join(users, ", "))
	}
	return nil
}

func (natGatewayKind) show(v view, id ID, _ Resource, p bag) { v.showUsers(p, id, "natGateway") }
