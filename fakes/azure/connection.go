package azure

import (
	"encoding/json"
	"slices"
	"strings"
)

// connectionKind is Microsoft.ContainerRegistry/registries/privateEndpointConnections.
//
// A private endpoint's connection is shown in two places: by the registry as
// privateEndpointConnections/{c} and by the private endpoint in
// privateLinkServiceConnections[] (or manualPrivateLinkServiceConnections[]).
// The registry's is the one that its owner approves or rejects; the private
// endpoint follows.
// https://learn.microsoft.com/azure/private-link/manage-private-endpoint
type connectionKind struct{ plain }

// connection is a registry's side.
type connection struct {
	PrivateEndpoint struct {
		ID string `json:"id"`
	} `json:"privateEndpoint"`
	State json.RawMessage `json:"privateLinkServiceConnectionState"`
}

// connectionArrays hold a private endpoint's connections: those that were
// approved as they were made, and those that wait for the owner.
var connectionArrays = []string{"privateLinkServiceConnections", "manualPrivateLinkServiceConnections"}

const approvalAction = "Microsoft.ContainerRegistry/registries/privateEndpointConnectionsApproval/action"

func (connectionKind) check(w *write) error {
	registry, _ := w.id.Parent()
	if w.created() {
		// Private endpoints bring connections; a registry only decides on them.
		return errorf(404, "NotFound", "The private endpoint connection '%s' was not found on the registry '%s'.", w.id.Name(), registry.Name())
	}
	p, err := w.properties()
	if err != nil {
		return invalidContent(err)
	}
	before := w.before()
	p["privateEndpoint"] = before["privateEndpoint"] // read-only
	p.keep(before, "groupIds", "privateLinkServiceConnectionState")
	p["provisioningState"] = "Succeeded"
	state := p.bag("privateLinkServiceConnectionState")
	status, was := state.text("status"), before.text("privateLinkServiceConnectionState", "status")
	if !slices.Contains([]string{"Approved", "Rejected", "Pending", "Disconnected"}, status) {
		return badRequest("InvalidParameter", "The private link service connection status '%s' is invalid. Supported values are Approved, Rejected, Pending and Disconnected.", status)
	}
	if status != was {
		if was == "Disconnected" {
			return badRequest("InvalidParameter", "The private endpoint connection '%s' is Disconnected; its state cannot be changed to %s. Delete the connection and create the private endpoint again.", w.id.Name(), status)
		}
		if err := w.linked(registry, approvalAction); err != nil {
			return err
		}
	}
	state.fill("actionsRequired", "None")
	state.fill("description", "")
	return w.setProperties(p)
}

// stored carries the state of a written connection to its private endpoint.
func (connectionKind) stored(w *write) error {
	var c connection
	if json.Unmarshal(w.next.Properties, &c) == nil && len(c.State) > 0 {
		w.endpointState(w.id, c.PrivateEndpoint.ID, c.State)
	}
	return nil
}

// left leaves the private endpoint disconnected.
func (connectionKind) left(w *write) error {
	var c connection
	if json.Unmarshal(w.old.Properties, &c) == nil {
		w.endpointState(w.id, c.PrivateEndpoint.ID, json.RawMessage(
			`{"status":"Disconnected","description":"The connection was deleted by the owner of the resource.","actionsRequired":"None"}`))
	}
	return nil
}

// endpointState writes state to the connections of a private endpoint that
// lead to the registry above conn. An endpoint in a subscription that this
// store does not hold is left alone.
func (d *data) endpointState(conn ID, endpoint string, state json.RawMessage) {
	value, err := decode(state)
	if err != nil {
		return
	}
	registry, _ := conn.Parent()
	d.rewrite(endpoint, func(p bag) bool {
		changed := false
		for _, array := range connectionArrays {
			for _, c := range p.bags(array) {
				if props := c.bag("properties"); props != nil && strings.EqualFold(props.text("privateLinkServiceId"), registry.String()) {
					props["privateLinkServiceConnectionState"] = value
					changed = true
				}
			}
		}
		return changed
	})
}
