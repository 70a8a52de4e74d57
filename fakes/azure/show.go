package azure

import (
	"encoding/json"
	"strings"
)

// shown is a resource as an api-version shows it. The store keeps more than
// any one version tells.
func (h *handler) shown(r Resource, version string) any {
	id, err := ParseID(r.ID)
	if err != nil {
		return r
	}
	switch {
	case id.Type() == TypeSubscription:
		return h.subscription(id.Subscription)
	case id.Type() == TypeProvider:
		p, _ := findProvider(id.Namespace)
		return h.provider(id.Subscription, p)
	case id.Namespace == "":
		return r
	}
	props, err := object(r.Properties)
	if err != nil {
		return r
	}
	if _, ok := props["provisioningState"]; !ok {
		props["provisioningState"] = "Succeeded"
	}
	etag := h.store.ETag(r.ID)
	switch strings.ToLower(r.Type) {
	case typeRegistry:
		h.showRegistry(r, props, version)
		etag = "" // registries have none
	case "microsoft.network/privatednszones":
		h.showZone(r, props)
	case "microsoft.network/privatednszones/a":
		showRecordSet(id, props)
	case "microsoft.network/privateendpoints":
		h.showPrivateEndpoint(r, props)
	}
	if strings.HasPrefix(strings.ToLower(r.Type), typeRegistry+"/") {
		etag = ""
	}
	raw, err := json.Marshal(props)
	if err != nil {
		return r
	}
	r.Properties = raw
	return struct {
		Resource
		ETag string `json:"etag,omitempty"`
	}{r, etag}
}

// showRegistry follows the history of the registry's api. networkRuleSet is
// not shown below Premium (seen 2026-09), and its virtualNetworkRules only by
// api-versions before 2021-09-01 (docs/fidelity.md).
func (h *handler) showRegistry(r Resource, props map[string]any, version string) {
	var sku struct{ Name string }
	_ = json.Unmarshal(r.SKU, &sku)
	rules, has := props["networkRuleSet"].(map[string]any)
	switch {
	case sku.Name != "" && !strings.EqualFold(sku.Name, "Premium"):
		delete(props, "networkRuleSet")
	case has && version[:len("2006-01-02")] >= "2021-09-01":
		delete(rules, "virtualNetworkRules")
	case has:
		list, _ := rules["virtualNetworkRules"].([]any)
		if list == nil {
			list = []any{}
		}
		for _, item := range list {
			// SDKs call it virtualNetworkResourceId; on the wire it is id.
			if rule, ok := item.(map[string]any); ok && rule["id"] == nil && rule["virtualNetworkResourceId"] != nil {
				rule["id"] = rule["virtualNetworkResourceId"]
				delete(rule, "virtualNetworkResourceId")
			}
		}
		rules["virtualNetworkRules"] = list
	}
	connections := []any{}
	children, err := h.store.Children(r.ID, "privateEndpointConnections")
	if err == nil {
		for _, c := range children {
			connections = append(connections, h.shown(c, version))
		}
	}
	props["privateEndpointConnections"] = connections
}

// showZone counts. Every zone has a SOA record set, which is not stored.
func (h *handler) showZone(r Resource, props map[string]any) {
	records, _ := h.store.Children(r.ID, "A")
	links, _ := h.store.Children(r.ID, "virtualNetworkLinks")
	props["numberOfRecordSets"] = len(records) + 1
	props["numberOfVirtualNetworkLinks"] = len(links)
	props["numberOfVirtualNetworkLinksWithRegistration"] = 0
	props["maxNumberOfRecordSets"] = 25000
	props["maxNumberOfVirtualNetworkLinks"] = 1000
	props["maxNumberOfVirtualNetworkLinksWithRegistration"] = 100
}

func showRecordSet(id ID, props map[string]any) {
	delete(props, "provisioningState")
	if zone, ok := id.Parent(); ok && props["fqdn"] == nil {
		fqdn := zone.Name() + "."
		if id.Name() != "@" {
			fqdn = id.Name() + "." + fqdn
		}
		props["fqdn"] = fqdn
	}
	if props["isAutoRegistered"] == nil {
		props["isAutoRegistered"] = false
	}
}

// showPrivateEndpoint leaves customDnsConfigs empty when a zone group writes
// the records.
func (h *handler) showPrivateEndpoint(r Resource, props map[string]any) {
	groups, err := h.store.Children(r.ID, "privateDnsZoneGroups")
	if err == nil && len(groups) > 0 {
		props["customDnsConfigs"] = []any{}
	}
}

// beforePut does what resource providers do to what is written: read-only
// parts are dropped, and parts that the api-version cannot express are kept
// from old.
func beforePut(id ID, next, old json.RawMessage) (json.RawMessage, error) {
	if strings.ToLower(id.Type()) != typeRegistry {
		return next, nil
	}
	props, err := object(next)
	if err != nil {
		return nil, err
	}
	before, err := object(old)
	if err != nil {
		return nil, err
	}
	delete(props, "privateEndpointConnections") // children of their own
	rules, ok := props["networkRuleSet"].(map[string]any)
	kept, had := before["networkRuleSet"].(map[string]any)
	if ok && had && rules["virtualNetworkRules"] == nil && kept["virtualNetworkRules"] != nil {
		rules["virtualNetworkRules"] = kept["virtualNetworkRules"]
	}
	for _, key := range []string{"loginServer", "creationDate", "dataEndpointHostNames", "provisioningState"} {
		if props[key] == nil && before[key] != nil {
			props[key] = before[key]
		}
	}
	return json.Marshal(props)
}

// privateLinkResources is what a private endpoint to the registry needs: one
// member for the registry and one per region for data.
func (h *handler) privateLinkResources(r Resource) any {
	members := []string{"registry", "registry_data_" + r.Location}
	replicas, err := h.store.Children(r.ID, "replications")
	if err == nil {
		for _, x := range replicas {
			if !strings.EqualFold(x.Name, r.Location) {
				members = append(members, "registry_data_"+x.Name)
			}
		}
	}
	return page([]any{map[string]any{
		"id": r.ID + "/privateLinkResources/registry", "name": "registry", "type": "Microsoft.ContainerRegistry/registries/privateLinkResources",
		"properties": map[string]any{"groupId": "registry", "requiredMembers": members, "requiredZoneNames": []string{"privatelink.azurecr.io"}},
	}})
}
