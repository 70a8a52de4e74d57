package azure

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// tenantID is the tenant of the state.
func (s *Store) tenantID() string {
	return s.data().tenant
}

// subscriptions are the state's own and those that resources lie in.
func (d *data) subscriptions() []string {
	seen := map[string]string{}
	if d.subscription != "" {
		seen[strings.ToLower(d.subscription)] = d.subscription
	}
	for _, r := range d.resources {
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

func (d *data) showSubscription(sub string) map[string]any {
	return map[string]any{
		"id": "/subscriptions/" + sub, "subscriptionId": sub, "tenantId": d.tenant, "displayName": "acrlab",
		"state": "Enabled", "authorizationSource": "RoleBased", "managedByTenants": []any{},
		"subscriptionPolicies": map[string]string{"locationPlacementId": "Public_2014-09-01", "quotaId": "PayAsYouGo_2014-09-01", "spendingLimit": "Off"},
	}
}

// listSubscriptions shows a caller without any role none, as ARM does.
func (h *handler) listSubscriptions(req *request) (reply, error) {
	if req.Method != http.MethodGet {
		return reply{}, methodNotAllowed(req)
	}
	if err := checkOwnVersion(req.version, subscriptionVersion, resourcesVersions); err != nil {
		return reply{}, err
	}
	d, value := h.store.data(), []any{}
	for _, sub := range d.subscriptions() {
		if d.sees(req, sub) {
			value = append(value, d.showSubscription(sub))
		}
	}
	return reply{status: http.StatusOK, body: map[string]any{
		"value": value, "count": map[string]any{"type": "Total", "value": len(value)}}}, nil
}

// sees says whether a caller has any role in a subscription.
func (d *data) sees(req *request, sub string) bool {
	assignments := d.ofType(typeRoleAssignment)
	for _, a := range assignments {
		p, _ := bagOf(a.Properties)
		if id, err := ParseID(a.ID); err == nil && strings.EqualFold(id.Subscription, sub) && strings.EqualFold(p.text("principalId"), req.caller.ObjectID) {
			return true
		}
	}
	return len(assignments) == 0 && req.allowed
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
	if err := checkOwnVersion(req.version, resourcesVersions); err != nil {
		return reply{}, err
	}
	d := h.store.data()
	if err := h.permit(d, req, "Microsoft.Resources/subscriptions/resources/read", scope); err != nil {
		return reply{}, err
	}
	if _, err := d.get(scope); err != nil {
		return reply{}, err
	}
	want, err := filter(req.URL.Query().Get("$filter"))
	if err != nil {
		return reply{}, err
	}
	expand := strings.ToLower(req.URL.Query().Get("$expand"))
	value := []any{}
	for _, r := range within(d.ofType(""), scope) {
		if !tracked(r) || !want(r) {
			continue
		}
		item := struct {
			Resource
			State   string `json:"provisioningState,omitempty"`
			Created string `json:"createdTime,omitempty"`
			Changed string `json:"changedTime,omitempty"`
		}{Resource: r}
		item.Properties = nil // the list shows what all types have in common
		if strings.Contains(expand, "provisioningstate") {
			item.State = "Succeeded"
		}
		if strings.Contains(expand, "createdtime") {
			item.Created = created
		}
		if strings.Contains(expand, "changedtime") {
			item.Changed = created
		}
		value = append(value, item)
	}
	body, err := req.paged(value)
	return reply{status: http.StatusOK, body: body}, err
}

func (h *handler) listLocations(req *request, scope ID) (reply, error) {
	if req.Method != http.MethodGet || scope.ResourceGroup != "" {
		return reply{}, methodNotAllowed(req)
	}
	d := h.store.data()
	if _, err := d.get(scope); err != nil {
		return reply{}, err
	}
	if err := h.permit(d, req, "Microsoft.Resources/subscriptions/locations/read", scope); err != nil {
		return reply{}, err
	}
	value := []any{}
	for _, l := range locations {
		value = append(value, map[string]any{"id": scope.String() + "/locations/" + l, "name": l, "type": "Region", "displayName": l,
			"regionalDisplayName": l, "metadata": map[string]any{"regionType": "Physical"}})
	}
	return reply{status: http.StatusOK, body: page(value)}, nil
}

func (h *handler) listGroups(req *request, scope ID) (reply, error) {
	if req.Method != http.MethodGet {
		return reply{}, methodNotAllowed(req)
	}
	d := h.store.data()
	if err := h.permit(d, req, "Microsoft.Resources/subscriptions/resourceGroups/read", scope); err != nil {
		return reply{}, err
	}
	if !d.hasSubscription(scope.Subscription) {
		return reply{}, notFound(scope)
	}
	seen := map[string]bool{}
	value := []any{}
	for _, r := range within(d.ofType(""), scope) {
		id, err := ParseID(r.ID)
		key := strings.ToLower(id.ResourceGroup)
		if err != nil || key == "" || seen[key] {
			continue
		}
		seen[key] = true
		if g, err := d.get(ID{Subscription: id.Subscription, ResourceGroup: id.ResourceGroup}); err == nil {
			value = append(value, g)
		}
	}
	body, err := req.paged(value)
	return reply{status: http.StatusOK, body: body}, err
}

func (d *data) provider(sub string, p provider) map[string]any {
	id := ID{Subscription: sub, Namespace: p.Namespace}
	types := []any{}
	for _, t := range p.Types {
		types = append(types, map[string]any{"resourceType": t, "locations": locations, "apiVersions": p.versionsOf(t), "capabilities": "SupportsTags, SupportsLocation"})
	}
	return map[string]any{"id": id.String(), "namespace": p.Namespace, "registrationState": d.registration(sub, p.Namespace),
		"registrationPolicy": "RegistrationRequired", "resourceTypes": types}
}

func (h *handler) listProviders(req *request, scope ID) (reply, error) {
	if req.Method != http.MethodGet || scope.ResourceGroup != "" {
		return reply{}, methodNotAllowed(req)
	}
	d := h.store.data()
	if err := h.permit(d, req, "Microsoft.Resources/subscriptions/providers/read", scope); err != nil {
		return reply{}, err
	}
	if !d.hasSubscription(scope.Subscription) {
		return reply{}, notFound(scope)
	}
	value := []any{}
	for _, p := range providers {
		value = append(value, d.provider(scope.Subscription, p))
	}
	return reply{status: http.StatusOK, body: page(value)}, nil
}

func isRegistration(verb string) bool {
	return strings.EqualFold(verb, "register") || strings.EqualFold(verb, "unregister")
}

// register answers POST …/providers/{ns}/register and /unregister at once;
// Azure takes minutes and shows Registering.
func (h *handler) register(req *request, id ID, verb string) (reply, error) {
	p, ok := findProvider(id.Namespace)
	if !ok {
		return reply{}, errorf(http.StatusNotFound, "InvalidResourceNamespace", "The resource namespace '%s' is invalid.", id.Namespace)
	}
	state := registered
	if strings.EqualFold(verb, "unregister") {
		state = "NotRegistered"
	}
	at := ID{Subscription: id.Subscription, Namespace: p.Namespace}
	err := h.store.change(func(d *data) error {
		if err := h.permit(d, req, p.Namespace+"/"+strings.ToLower(verb)+"/action", ID{Subscription: id.Subscription}); err != nil {
			return err
		}
		if !d.hasSubscription(id.Subscription) {
			return notFound(ID{Subscription: id.Subscription})
		}
		d.set(at, Resource{ID: at.String(), Name: at.Name(), Type: at.Type(), Properties: json.RawMessage(fmt.Sprintf(`{"registrationState":%q}`, state))})
		return nil
	})
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: h.store.data().provider(id.Subscription, p)}, nil
}

// checkName answers POST …/Microsoft.ContainerRegistry/checkNameAvailability.
func (h *handler) checkName(req *request, scope ID) (reply, error) {
	if req.Method != http.MethodPost {
		return reply{}, methodNotAllowed(req)
	}
	d := h.store.data()
	if err := h.permit(d, req, "Microsoft.ContainerRegistry/checkNameAvailability/read", scope); err != nil {
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
	return reply{status: http.StatusOK, body: d.nameAvailability(in.Name), header: versionsHeader(ID{Namespace: "Microsoft.ContainerRegistry"})}, nil
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
