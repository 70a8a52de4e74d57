package azure

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// Types that the rules of other types look at, in lower case.
const (
	typeRegistry         = "microsoft.containerregistry/registries"
	typeConnection       = "microsoft.containerregistry/registries/privateendpointconnections"
	typeReplication      = "microsoft.containerregistry/registries/replications"
	typeAgentPool        = "microsoft.containerregistry/registries/agentpools"
	typeVirtualNetwork   = "microsoft.network/virtualnetworks"
	typeSubnet           = "microsoft.network/virtualnetworks/subnets"
	typeSecurityGroup    = "microsoft.network/networksecuritygroups"
	typeRouteTable       = "microsoft.network/routetables"
	typeNetworkInterface = "microsoft.network/networkinterfaces"
	typePrivateEndpoint  = "microsoft.network/privateendpoints"
	typeZoneGroup        = "microsoft.network/privateendpoints/privatednszonegroups"
	typeZone             = "microsoft.network/privatednszones"
	typeARecord          = "microsoft.network/privatednszones/a"
	typeZoneLink         = "microsoft.network/privatednszones/virtualnetworklinks"
	typeFirewall         = "microsoft.network/azurefirewalls"
	typeFirewallPolicy   = "microsoft.network/firewallpolicies"
	typeRuleGroup        = "microsoft.network/firewallpolicies/rulecollectiongroups"
	typePublicIP         = "microsoft.network/publicipaddresses"
	typeNATGateway       = "microsoft.network/natgateways"
	typeEndpointPolicy   = "microsoft.network/serviceendpointpolicies"
	typeVirtualMachine   = "microsoft.compute/virtualmachines"
	typeLock             = "microsoft.authorization/locks"
	typeRoleAssignment   = "microsoft.authorization/roleassignments"
	typePolicyAssignment = "microsoft.authorization/policyassignments"
	typePolicyDefinition = "microsoft.authorization/policydefinitions"
	typeDeployment       = "microsoft.resources/deployments"
)

// kinds by lower-case type. All others are plain.
var kinds = map[string]kind{
	typeRegistry:         registryKind{},
	typeReplication:      replicationKind{},
	typeConnection:       connectionKind{},
	typeAgentPool:        agentPoolKind{},
	typeVirtualNetwork:   virtualNetworkKind{},
	typeSecurityGroup:    securityGroupKind{},
	typeRouteTable:       routeTableKind{},
	typeNetworkInterface: networkInterfaceKind{},
	typePrivateEndpoint:  privateEndpointKind{},
	typeZoneGroup:        zoneGroupKind{},
	typeZone:             zoneKind{},
	typeARecord:          recordKind{},
	typeZoneLink:         zoneLinkKind{},
	typeFirewall:         firewallKind{},
	typeFirewallPolicy:   firewallPolicyKind{},
	typeRuleGroup:        ruleGroupKind{},
	typePublicIP:         publicIPKind{},
	typeNATGateway:       natGatewayKind{},
	typeEndpointPolicy:   endpointPolicyKind{},
	typeVirtualMachine:   virtualMachineKind{},
	typeLock:             lockKind{},
	typeRoleAssignment:   roleAssignmentKind{},
	typePolicyAssignment: policyAssignmentKind{},
	typePolicyDefinition: policyDefinitionKind{},
}

func kindOf(id ID) kind {
	if k, ok := kinds[strings.ToLower(id.Type())]; ok {
		return k
	}
	return plain{}
}

// created is the date of everything: a run must not differ from the next.
const created = "2026-01-05T09:00:00.0000000Z"

func badRequest(code, format string, args ...any) *Error {
	return errorf(http.StatusBadRequest, code, format, args...)
}

func marshal(b bag) (json.RawMessage, error) {
	raw, err := json.Marshal(b)
	if err != nil {
		return nil, invalidContent(err)
	}
	return raw, nil
}

// guid is a GUID that depends on names alone (RFC 9562 section 5.5), so that
// the same writes give the same state.
func guid(names ...string) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte("acrlab/"+strings.ToLower(strings.Join(names, "/")))).String()
}

// requireReference refuses a property that points at nothing.
func (w *write) requireReference(ref, wantType string) (Resource, error) {
	id, err := ParseID(ref)
	if err != nil || !strings.EqualFold(id.Type(), wantType) {
		return Resource{}, badRequest("LinkedInvalidPropertyId",
			"Property id '%s' at path '' is invalid. Expect fully qualified resource Id that start with '/subscriptions/{subscriptionId}' or '/providers/{resourceProviderNamespace}/'.", ref)
	}
	r, err := w.get(id)
	if err != nil {
		return Resource{}, badRequest("InvalidResourceReference",
			"Resource %s referenced by resource %s was not found. Please make sure that the referenced resource exists, and that both resources are in the same region.", ref, w.id)
	}
	return r, nil
}

// sameRegion refuses a reference into another region.
func (w *write) sameRegion(r Resource) error {
	if a, b := normalLocation(r.Location), normalLocation(w.next.Location); a != "" && b != "" && a != b {
		return badRequest("InvalidResourceReference",
			"Resource %s referenced by resource %s was not found. Please make sure that the referenced resource exists, and that both resources are in the same region.", r.ID, w.id)
	}
	return nil
}

// users are the resources other than those that go with the deletion, whose
// properties hold id as the value of a key "id".
func (w *write) users(id string, types ...string) []string {
	gone := ""
	if w.next.ID == "" {
		gone = w.root.Key()
	}
	var out []string
	for _, key := range slices.Sorted(maps.Keys(w.resources)) {
		r := w.resources[key]
		if gone != "" && (key == gone || strings.HasPrefix(key, gone+"/")) || !slices.Contains(types, strings.ToLower(r.Type)) {
			continue
		}
		p, err := object(r.Properties)
		if err != nil {
			continue
		}
		if holder := refersTo(p, r.ID, id); holder != "" {
			out = append(out, holder)
		}
	}
	return out
}

// refersTo finds the innermost named resource below v that refers to id.
func refersTo(v any, holder, id string) string {
	switch v := v.(type) {
	case map[string]any:
		own, _ := v["id"].(string)
		if own != "" && len(v) > 1 && strings.HasPrefix(strings.ToLower(own), strings.ToLower(holder)+"/") {
			holder = own
		} else if strings.EqualFold(own, id) {
			return holder
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if key == "id" {
				continue
			}
			if found := refersTo(v[key], holder, id); found != "" {
				return found
			}
		}
	case []any:
		for _, x := range v {
			if found := refersTo(x, holder, id); found != "" {
				return found
			}
		}
	}
	return ""
}
