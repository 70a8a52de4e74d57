package azure

import "strings"

// endpointPolicyKind is Microsoft.Network/serviceEndpointPolicies.
type endpointPolicyKind struct{ plain }

func (endpointPolicyKind) check(w *write) error {
	p, err := w.properties()
	if err != nil {
		return invalidContent(err)
	}
	for _, d := range p.bags("serviceEndpointPolicyDefinitions") {
		if d.text("properties", "service") == "" {
			return badRequest("ServiceEndpointPolicyDefinitionInvalid", "The definition %s of the service endpoint policy %s names no service.", d.text("name"), w.id)
		}
	}
	p.fill("serviceEndpointPolicyDefinitions", []any{})
	p["provisioningState"] = "Succeeded"
	delete(p, "subnets")
	return w.setProperties(p)
}

func (endpointPolicyKind) leave(w *write) error {
	if users := w.users(w.old.ID, typeVirtualNetwork); len(users) > 0 {
		return badRequest("InUseServiceEndpointPolicyCannotBeDeleted", "Service endpoint policy %s is in use by %s and cannot be deleted.", w.id, strings.Join(users, ", "))
	}
	return nil
}
