package azure

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// What exists in every tenant: role definitions and policy definitions.

// tenantLevel answers /providers/…: read-only lists that belong to no subscription.
func (h *handler) tenantLevel(req *request, rest string) (reply, error) {
	if req.Method != http.MethodGet {
		return reply{}, methodNotAllowed(req)
	}
	namespace, path, _ := strings.Cut(rest, "/")
	kind, name, _ := strings.Cut(path, "/")
	if !knownNamespace(namespace) {
		return reply{}, errorf(http.StatusNotFound, "InvalidResourceNamespace", "The resource namespace '%s' is invalid.", namespace)
	}
	if err := checkVersion(req.version, namespace, kind, ""); err != nil {
		return reply{}, err
	}
	id := ID{Namespace: "Microsoft.Authorization", Types: []string{kind}, Names: []string{name}}
	if name != "" {
		if body, ok := builtInResource(id); ok {
			return reply{status: http.StatusOK, body: body}, nil
		}
		return reply{}, errorf(http.StatusNotFound, "ResourceNotFound", "The Resource '%s/%s' was not found.", id.Type(), name)
	}
	v := view{h.store.data(), req.version}
	value, ok := v.builtIn(req, id, kind)
	if !ok {
		return reply{}, errorf(http.StatusNotFound, "NotFound", "There are no resources of type '%s/%s' outside of subscriptions.", namespace, kind)
	}
	body, err := req.paged(value)
	return reply{status: http.StatusOK, body: body}, err
}

// builtInResource is one role or policy definition.
func builtInResource(id ID) (any, bool) {
	if !strings.EqualFold(id.Namespace, "Microsoft.Authorization") || len(id.Types) != 1 {
		return nil, false
	}
	switch strings.ToLower(id.Types[0]) {
	case "roledefinitions":
		if r, ok := roleOf("/" + id.Name()); ok {
			return roleDefinition(id.Subscription, r), true
		}
	case "policydefinitions":
		if text, ok := builtInPolicies[strings.ToLower(id.Name())]; ok {
			return builtInPolicy(strings.ToLower(id.Name()), text), true
		}
	}
	return nil, false
}

func builtInPolicy(name, text string) any {
	return map[string]any{"id": policyDefinitions + name, "name": name, "type": "Microsoft.Authorization/policyDefinitions", "properties": json.RawMessage(text)}
}

// builtIn lists definitions; those of policies with what the store holds.
func (v view) builtIn(req *request, id ID, kind string) ([]any, bool) {
	if !strings.EqualFold(id.Namespace, "Microsoft.Authorization") {
		return nil, false
	}
	switch strings.ToLower(kind) {
	case "roledefinitions":
		value, wanted := []any{}, quoted(req.URL.Query().Get("$filter"), "roleName")
		for _, r := range roles {
			if wanted == "" || strings.EqualFold(wanted, r.name) {
				value = append(value, roleDefinition(id.Subscription, r))
			}
		}
		return value, true
	case "policydefinitions":
		value := []any{}
		for _, name := range slices.Sorted(maps.Keys(builtInPolicies)) {
			value = append(value, builtInPolicy(name, builtInPolicies[name]))
		}
		for _, r := range v.ofType("Microsoft.Authorization/policyDefinitions") {
			if at, err := ParseID(r.ID); err == nil && strings.EqualFold(at.Subscription, id.Subscription) {
				value = append(value, v.shown(r))
			}
		}
		return value, true
	}
	return nil, false
}

// quoted finds "key eq 'value'" in a filter.
func quoted(filter, key string) string {
	_, rest, ok := strings.Cut(strings.ToLower(filter), strings.ToLower(key)+" eq '")
	if !ok {
		return ""
	}
	value, _, _ := strings.Cut(filter[len(filter)-len(rest):], "'")
	return value
}

// assigned adds to what lies at and below a scope (locks, assignments) what is
// inherited from above, and carries out the filters that az sends.
func (v view) assigned(req *request, full string, scope ID, below []Resource) ([]Resource, error) {
	query := strings.ToLower(req.URL.Query().Get("$filter"))
	principal := quoted(req.URL.Query().Get("$filter"), "principalId")
	if principal == "" {
		principal = quoted(strings.ReplaceAll(req.URL.Query().Get("$filter"), "assignedTo('", "principalId eq '"), "principalId")
	}
	out := []Resource{}
	for _, r := range v.ofType(full) {
		id, err := ParseID(r.ID)
		if err != nil {
			continue
		}
		inherited := covers(id.scope(), scope)
		inside := slices.ContainsFunc(below, func(b Resource) bool { return b.ID == r.ID })
		if !inherited && (!inside || strings.Contains(query, "atscope()")) {
			continue
		}
		p, _ := bagOf(r.Properties)
		if principal != "" && !strings.EqualFold(p.text("principalId"), principal) {
			continue
		}
		out = append(out, r)
	}
	return out, nil
}
