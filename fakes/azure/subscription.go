package azure

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// tenantID is the tenant of the state.
func (s *Store) tenantID() string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.tenant
}

func (s *Store) hasSub(sub string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.hasSubscription(sub)
}

// subscriptions are the state's own and those that resources lie in.
func (s *Store) subscriptions() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	seen := map[string]string{}
	if s.subscription != "" {
		seen[strings.ToLower(s.subscription)] = s.subscription
	}
	for _, r := range s.resources {
		if id, err := ParseID(r.ID); err == nil {
			if key := strings.ToLower(id.Subscription); seen[key] == "" {
				seen[key] = id.Subscription
			}
		}
	}
	var out []string
	for _, sub := range seen {
		out = append(out, sub)
	}
	slices.Sort(out)
	return out
}

func (h *handler) subscription(sub string) map[string]any {
	return map[string]any{
		"id": "/subscriptions/" + sub, "subscriptionId": sub, "tenantId": h.store.tenantID(), "displayName": "acrlab",
		"state": "Enabled", "authorizationSource": "RoleBased", "managedByTenants": []any{},
		"subscriptionPolicies": map[string]string{"locationPlacementId": "Public_2014-09-01", "quotaId": "PayAsYouGo_2014-09-01", "spendingLimit": "Off"},
	}
}

// listSubscriptions shows a caller without any role none, as ARM does.
func (h *handler) listSubscriptions(req *request) (reply, error) {
	if req.Method != http.MethodGet {
		return reply{}, methodNotAllowed(req)
	}
	value := []any{}
	if req.allowed {
		for _, sub := range h.store.subscriptions() {
			value = append(value, h.subscription(sub))
		}
	}
	return reply{status: http.StatusOK, body: map[string]any{
		"value": value, "count": map[string]any{"type": "Total", "value": len(value)}}}, nil
}

func (h *handler) listTenants(req *request) (reply, error) {
	if req.Method != http.MethodGet {
		return reply{}, methodNotAllowed(req)
	}
	t := h.store.tenantID()
	return reply{status: http.StatusOK, body: page([]any{map[string]any{"id": "/tenants/" + t, "tenantId": t, "displayName": "acrlab", "tenantCategory": "Home"}})}, nil
}

// tracked says whether /resources lists a type: what has a place of its own
// does, what is only a part of its parent does not.
func tracked(r Resource) bool {
	switch strings.ToLower(r.Type) {
	case "microsoft.containerregistry/registries/replications", "microsoft.network/privatednszones/virtualnetworklinks":
		return true
	}
	id, err := ParseID(r.ID)
	return err == nil && len(id.Types) == 1 && id.Extends == ""
}

func (h *handler) listResources(req *request, scope ID) (reply, error) {
	if req.Method != http.MethodGet {
		return reply{}, methodNotAllowed(req)
	}
	if err := req.permit("Microsoft.Resources/subscriptions/resources/read", scope); err != nil {
		return reply{}, err
	}
	if _, err := h.store.Get(scope.String()); err != nil {
		return reply{}, err
	}
	want, err := filter(req.URL.Query().Get("$filter"))
	if err != nil {
		return reply{}, err
	}
	value := []any{}
	for _, r := range within(h.store.all(), scope) {
		if !tracked(r) || !want(r) {
			continue
		}
		r.Properties = nil // the list shows what all types have in common
		value = append(value, r)
	}
	return reply{status: http.StatusOK, body: page(value)}, nil
}

// all are the resources that are not embedded, in the order of their ids.
func (s *Store) all() []Resource {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.list(func(ID) bool { return true }, "")
}

func (h *handler) listGroups(req *request, scope ID) (reply, error) {
	if req.Method != http.MethodGet {
		return reply{}, methodNotAllowed(req)
	}
	if err := req.permit("Microsoft.Resources/subscriptions/resourceGroups/read", scope); err != nil {
		return reply{}, err
	}
	if !h.store.hasSub(scope.Subscription) {
		return reply{}, notFound(scope)
	}
	seen := map[string]bool{}
	value := []any{}
	for _, r := range within(h.store.all(), scope) {
		id, err := ParseID(r.ID)
		key := strings.ToLower(id.ResourceGroup)
		if err != nil || key == "" || seen[key] {
			continue
		}
		seen[key] = true
		if g, err := h.store.Get(ID{Subscription: id.Subscription, ResourceGroup: id.ResourceGroup}.String()); err == nil {
			value = append(value, g)
		}
	}
	return reply{status: http.StatusOK, body: page(value)}, nil
}

func (h *handler) provider(sub string, p provider) map[string]any {
	state := struct {
		RegistrationState string `json:"registrationState"`
	}{}
	id := ID{Subscription: sub, Namespace: p.Namespace}
	if r, err := h.store.Get(id.String()); err == nil {
		_ = json.Unmarshal(r.Properties, &state)
	}
	types := []any{}
	for _, t := range p.Types {
		types = append(types, map[string]any{"resourceType": t, "locations": []string{}, "apiVersions": p.Versions})
	}
	return map[string]any{"id": id.String(), "namespace": p.Namespace, "registrationState": state.RegistrationState,
		"registrationPolicy": "RegistrationRequired", "resourceTypes": types}
}

func (h *handler) listProviders(req *request, scope ID) (reply, error) {
	if req.Method != http.MethodGet || scope.ResourceGroup != "" {
		return reply{}, methodNotAllowed(req)
	}
	if err := req.permit("Microsoft.Resources/subscriptions/providers/read", scope); err != nil {
		return reply{}, err
	}
	if !h.store.hasSub(scope.Subscription) {
		return reply{}, notFound(scope)
	}
	value := []any{}
	for _, p := range providers {
		value = append(value, h.provider(scope.Subscription, p))
	}
	return reply{status: http.StatusOK, body: page(value)}, nil
}

func isRegistration(verb string) bool {
	return strings.EqualFold(verb, "register") || strings.EqualFold(verb, "unregister")
}

// register answers POST …/providers/{ns}/register and /unregister at once;
// Azure takes minutes and shows Registering.
func (h *handler) register(req *request, id ID, verb string) (reply, error) {
	if err := req.permit(id.Namespace+"/"+strings.ToLower(verb)+"/action", ID{Subscription: id.Subscription}); err != nil {
		return reply{}, err
	}
	p, _ := findProvider(id.Namespace)
	if !h.store.hasSub(id.Subscription) {
		return reply{}, notFound(ID{Subscription: id.Subscription})
	}
	state := "Registered"
	if strings.EqualFold(verb, "unregister") {
		state = "NotRegistered"
	}
	_, _, err := h.store.Put(Resource{ID: ID{Subscription: id.Subscription, Namespace: p.Namespace}.String(),
		Properties: json.RawMessage(fmt.Sprintf(`{"registrationState":%q}`, state))})
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: h.provider(id.Subscription, p)}, nil
}

var registryName = regexp.MustCompile(`^[a-zA-Z0-9]{5,50}$`)

// checkName answers POST …/Microsoft.ContainerRegistry/checkNameAvailability.
func (h *handler) checkName(req *request, scope ID) (reply, error) {
	if req.Method != http.MethodPost {
		return reply{}, methodNotAllowed(req)
	}
	if err := req.permit("Microsoft.ContainerRegistry/checkNameAvailability/read", scope); err != nil {
		return reply{}, err
	}
	raw, err := req.read()
	if err != nil {
		return reply{}, err
	}
	var in struct{ Name, Type string }
	if err := json.Unmarshal(raw, &in); err != nil {
		return reply{}, invalidContent(err)
	}
	body := map[string]any{"nameAvailable": true}
	switch {
	case !registryName.MatchString(in.Name):
		body = map[string]any{"nameAvailable": false, "reason": "Invalid",
			"message": fmt.Sprintf("The specified registry name '%s' is invalid. Registry names may contain alpha numeric characters only and must be between 5 and 50 characters.", in.Name)}
	case slices.ContainsFunc(h.store.List("Microsoft.ContainerRegistry/registries"), func(r Resource) bool { return strings.EqualFold(r.Name, in.Name) }):
		body = map[string]any{"nameAvailable": false, "reason": "AlreadyExists",
			"message": fmt.Sprintf("The registry %s is already in use.", in.Name)}
	}
	return reply{status: http.StatusOK, body: body, header: versionsHeader(ID{Namespace: "Microsoft.ContainerRegistry"})}, nil
}

// metadata is GET /metadata/endpoints, which needs no token. The shape is that
// of api-version 2022-09-01.
func metadata() reply {
	return reply{status: http.StatusOK, body: map[string]any{
		"portal": "https://portal.azure.com",
		"authentication": map[string]any{
			"loginEndpoint": "https://login.microsoftonline.com", "audiences": []string{"https://management.core.windows.net/", "https://management.azure.com/"},
			"tenant": "common", "identityProvider": "AAD",
		},
		"graphAudience": "https://graph.windows.net/", "graph": "https://graph.windows.net/", "name": "AzureCloud",
		"suffixes":        map[string]string{"acrLoginServer": "azurecr.io", "storage": "core.windows.net"},
		"resourceManager": "https://management.azure.com/",
		"galleryEndpoint": "https://gallery.azure.com/", "graphEndpoint": "https://graph.windows.net/", "portalEndpoint": "https://portal.azure.com/",
	}}
}
