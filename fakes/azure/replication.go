package azure

import (
	"net/http"
	"strings"
)

// replicationKind is Microsoft.ContainerRegistry/registries/replications.
// A replica brings one more address to every private endpoint of its registry:
// https://learn.microsoft.com/azure/container-registry/container-registry-geo-replication
type replicationKind struct{ plain }

func (replicationKind) check(w *write) error {
	registryID, _ := w.id.Parent()
	registry, err := w.get(registryID)
	if err != nil {
		return err
	}
	sku, _ := bagOf(registry.SKU)
	if !strings.EqualFold(sku.text("name"), "Premium") {
		return skuError(sku.text("name"), "replications", "Upgrade the registry to the Premium SKU.")
	}
	if w.next.Location == "" {
		w.next.Location = w.id.Name()
	}
	w.next.Location = normalLocation(w.next.Location)
	p, err := w.properties()
	if err != nil {
		return invalidContent(err)
	}
	if w.created() {
		for _, r := range w.children(registryID, "replications") {
			if normalLocation(r.Location) == w.next.Location {
				return errorf(http.StatusConflict, "ReplicationAlreadyExists", "The registry %s already has the replication %s in location %s.", registry.Name, r.Name, r.Location)
			}
		}
	}
	p.keep(w.before(), "regionEndpointEnabled", "zoneRedundancy")
	p.fill("regionEndpointEnabled", true)
	p.fill("zoneRedundancy", "Disabled")
	p["provisioningState"] = "Succeeded"
	p["status"] = map[string]any{"displayStatus": "Ready", "timestamp": created}
	return w.setProperties(p)
}

func (replicationKind) stored(w *write) error { return w.syncRegistryEndpoints(w.id, w.strict) }

func (replicationKind) leave(w *write) error {
	registryID, _ := w.id.Parent()
	registry, ok := w.resources[registryID.Key()]
	if ok && w.root.Key() == w.id.Key() && normalLocation(registry.Location) == normalLocation(w.id.Name()) {
		return badRequest("CannotDeleteHomeReplication", "The replication %s is in the home region of the registry %s and cannot be deleted.", w.id.Name(), registry.Name)
	}
	return nil
}

func (replicationKind) left(w *write) error { return w.syncRegistryEndpoints(w.id, false) }

// syncRegistryEndpoints gives the private endpoints of the registry above id
// the addresses that its regions need.
func (w *write) syncRegistryEndpoints(id ID, strict bool) error {
	registryID, _ := id.Parent()
	if _, ok := w.resources[registryID.Key()]; !ok {
		return nil
	}
	for _, c := range w.children(registryID, "privateEndpointConnections") {
		p, _ := bagOf(c.Properties)
		pe, err := ParseID(p.text("privateEndpoint", "id"))
		if err != nil {
			continue
		}
		if err := w.syncEndpoint(pe, strict); err != nil {
			return err
		}
	}
	return nil
}
