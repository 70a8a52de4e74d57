package azure

import (
	"net/http"
	"slices"
	"strings"
)

// roleAssignmentKind is Microsoft.Authorization/roleAssignments.
// https://learn.microsoft.com/azure/role-based-access-control/role-assignments-rest
type roleAssignmentKind struct{ plain }

// role is a built-in role definition, with the management actions that matter
// here. https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
type role struct {
	guid, name          string
	actions, notActions []string
}

var roles = []role{
	{"8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "Owner", []string{"*"}, nil},
	{"b24988ac-6180-42a0-ab88-20f7382dd24c", "Contributor", []string{"*"},
		[]string{"Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write", "Microsoft.Authorization/elevateAccess/Action"}},
	{"acdd72a7-3385-48ef-bd42-f606fba81ae7", "Reader", []string{"*/read"}, nil},
	{"18d7d88d-d35e-4fb5-a5c3-7773c20a72d9", "User Access Administrator", []string{"*/read", "Microsoft.Authorization/*"}, nil},
	{"7f951dda-4ed3-4680-a7ca-43fe172d538d", "AcrPull", []string{"Microsoft.ContainerRegistry/registries/pull/read"}, nil},
	{"8311e382-0749-4cb8-b61a-304f252e45ec", "AcrPush", []string{"Microsoft.ContainerRegistry/registries/pull/read", "Microsoft.ContainerRegistry/registries/push/write"}, nil},
	{"4d97b98b-1d4f-4787-a291-c67834d212e7", "Network Contributor",
		[]string{"Microsoft.Authorization/*/read", "Microsoft.Network/*", "Microsoft.Resources/deployments/*", "Microsoft.Resources/subscriptions/resourceGroups/read"}, nil},
	{"b12aa53e-6015-4669-85d0-8515ebb3ae7f", "Private DNS Zone Contributor",
		[]string{"Microsoft.Authorization/*/read", "Microsoft.Resources/deployments/*", "Microsoft.Resources/subscriptions/resourceGroups/read",
			"Microsoft.Network/privateDnsZones/*", "Microsoft.Network/privateDnsOperationResults/*", "Microsoft.Network/privateDnsOperationStatuses/*",
			"Microsoft.Network/virtualNetworks/read", "Microsoft.Network/virtualNetworks/join/action"}, nil},
}

func (r role) allows(action string) bool {
	match := func(p string) bool { return like(p, action) }
	return slices.ContainsFunc(r.actions, match) && !slices.ContainsFunc(r.notActions, match)
}

// like compares without regard to case; * stands for any text.
func like(pattern, s string) bool {
	parts := strings.Split(strings.ToLower(pattern), "*")
	s = strings.ToLower(s)
	rest, ok := strings.CutPrefix(s, parts[0])
	if !ok {
		return false
	}
	for i, part := range parts[1:] {
		if i == len(parts)-2 {
			return strings.HasSuffix(rest, part)
		}
		at := strings.Index(rest, part)
		if at < 0 {
			return false
		}
		rest = rest[at+len(part):]
	}
	return rest == ""
}

// roleOf is the role of a roleDefinitionId, which ends in the role's guid.
func roleOf(definition string) (role, bool) {
	i := slices.IndexFunc(roles, func(r role) bool { return strings.HasSuffix(strings.ToLower(definition), "/"+r.guid) })
	if i < 0 {
		return role{}, false
	}
	return roles[i], true
}

func (roleAssignmentKind) check(w *write) error {
	p, err := w.properties()
	if err != nil {
		return invalidContent(err)
	}
	definition, principal := p.text("roleDefinitionId"), p.text("principalId")
	if _, ok := roleOf(definition); !ok {
		return badRequest("RoleDefinitionDoesNotExist", "The specified role definition with ID '%s' does not exist.", definition[strings.LastIndexByte(definition, '/')+1:])
	}
	if principal == "" {
		return badRequest("InvalidPrincipalId", "A valid principal ID must be provided for role assignment.")
	}
	if w.old != nil {
		return errorf(http.StatusConflict, "RoleAssignmentUpdateNotPermitted", "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.")
	}
	for _, other := range w.ofType(typeRoleAssignment) {
		id, err := ParseID(other.ID)
		op, _ := bagOf(other.Properties)
		if err == nil && strings.EqualFold(id.scope(), w.id.scope()) && strings.EqualFold(op.text("principalId"), principal) &&
			strings.EqualFold(op.text("roleDefinitionId"), definition) {
			return errorf(http.StatusConflict, "RoleAssignmentExists", "The role assignment already exists. The ID of the conflicting role assignment is %s.", strings.ReplaceAll(id.Name(), "-", ""))
		}
	}
	p.fill("principalType", "ServicePrincipal")
	p["scope"] = w.id.scope()
	p["createdOn"], p["updatedOn"] = created, created
	return w.setProperties(p)
}

// stored makes the rights of the caller visible when the first assignment is
// written. Until then nobody's rights were looked at; as the one who may
// assign roles, the caller was the subscription's Owner and stays it.
func (roleAssignmentKind) stored(w *write) error {
	if !w.strict || len(w.ofType(typeRoleAssignment)) > 1 || w.caller.ObjectID == "" {
		return nil
	}
	id := ID{Subscription: w.id.Subscription, Namespace: "Microsoft.Authorization", Types: []string{"roleAssignments"}, Names: []string{guid("owner", w.caller.ObjectID)}}
	raw, err := marshal(bag{"principalId": w.caller.ObjectID, "principalType": "ServicePrincipal", "scope": id.scope(),
		"roleDefinitionId": id.scope() + "/providers/Microsoft.Authorization/roleDefinitions/" + roles[0].guid, "createdOn": created, "updatedOn": created})
	if err != nil {
		return err
	}
	w.set(id, Resource{ID: id.String(), Name: id.Name(), Type: id.Type(), Properties: raw})
	return nil
}

// allows says whether a principal may do something at a scope. A state without
// role assignments has no opinion: decided is false.
func (d *data) allows(principal, action string, scope ID) (allowed, decided bool) {
	assignments := d.ofType(typeRoleAssignment)
	for _, a := range assignments {
		id, err := ParseID(a.ID)
		p, _ := bagOf(a.Properties)
		if err != nil || principal == "" || !strings.EqualFold(p.text("principalId"), principal) || !covers(id.scope(), scope) {
			continue
		}
		if r, ok := roleOf(p.text("roleDefinitionId")); ok && r.allows(action) {
			return true, true
		}
	}
	return false, len(assignments) > 0
}

// linked refuses a write whose caller lacks an action on another resource that
// the write refers to.
func (w *write) linked(scope ID, action string) error {
	if w.permit == nil || w.permit(action, scope) == nil {
		return nil
	}
	own := w.id
	if w.child != nil {
		own = *w.child
	}
	return errorf(http.StatusForbidden, "LinkedAuthorizationFailed",
		"The client '%s' with object id '%s' has permission to perform action '%s/write' on scope '%s'; however, it does not have permission to perform action(s) '%s' on the linked scope(s) '%s' (respectively) or the linked scope(s) are invalid.",
		w.caller.AppID, w.caller.ObjectID, own.Type(), own, action, scope)
}

// roleDefinition is a built-in role as ARM shows it.
func roleDefinition(subscription string, r role) map[string]any {
	return map[string]any{
		"id":   "/subscriptions/" + subscription + "/providers/Microsoft.Authorization/roleDefinitions/" + r.guid,
		"name": r.guid, "type": "Microsoft.Authorization/roleDefinitions",
		"properties": map[string]any{"roleName": r.name, "type": "BuiltInRole", "description": "", "assignableScopes": []any{"/"},
			"permissions": []any{map[string]any{"actions": anys(r.actions), "notActions": anys(r.notActions), "dataActions": []any{}, "notDataActions": []any{}}}},
	}
}
