package azure

import (
	"encoding/json"
	"strings"
)

// A private endpoint's connection is shown in two places: by the registry as
// privateEndpointConnections/{c} and by the private endpoint in
// privateLinkServiceConnections[] (or manualPrivateLinkServiceConnections[]).
// The registry's is the one that its owner approves or rejects; the private
// endpoint follows.
// https://learn.microsoft.com/azure/private-link/manage-private-endpoint

const (
	typeRegistry        = "microsoft.containerregistry/registries"
	typeConnection      = "microsoft.containerregistry/registries/privateendpointconnections"
	typePrivateEndpoint = "microsoft.network/privateendpoints"
)

// connection is a registry's side.
type connection struct {
	PrivateEndpoint struct {
		ID string `json:"id"`
	} `json:"privateEndpoint"`
	State json.RawMessage `json:"privateLinkServiceConnectionState"`
}

// follow carries the state of a written connection to its private endpoint.
func (s *Store) follow(id ID) {
	if strings.ToLower(id.Type()) != typeConnection {
		return
	}
	var c connection
	if json.Unmarshal(s.resources[id.Key()].Properties, &c) == nil && len(c.State) > 0 {
		s.setState(id, c.PrivateEndpoint.ID, c.State)
	}
}

// unfollow does what the deletion of before brings with it: a deleted
// connection leaves its private endpoint disconnected, and a deleted private
// endpoint takes its connections along.
func (s *Store) unfollow(id ID, before Resource) {
	switch strings.ToLower(id.Type()) {
	case typeConnection:
		var c connection
		if json.Unmarshal(before.Properties, &c) == nil {
			s.setState(id, c.PrivateEndpoint.ID, json.RawMessage(
				`{"status":"Disconnected","description":"The connection was deleted by the owner of the resource.","actionsRequired":"None"}`))
		}
	case typePrivateEndpoint:
		for key, r := range s.resources {
			var c connection
			if strings.EqualFold(r.Type, typeConnection) && json.Unmarshal(r.Properties, &c) == nil &&
				strings.EqualFold(c.PrivateEndpoint.ID, before.ID) {
				delete(s.resources, key)
				delete(s.revisions, key)
			}
		}
	}
}

// setState writes state to the connections of a private endpoint that lead to
// the registry above conn.
func (s *Store) setState(conn ID, endpoint string, state json.RawMessage) {
	pe, err := ParseID(endpoint)
	if err != nil {
		return
	}
	r, ok := s.resources[pe.Key()]
	if !ok {
		return // in a subscription that this store does not hold
	}
	props, err := object(r.Properties)
	if err != nil {
		return
	}
	value, err := decode(state)
	if err != nil {
		return
	}
	registry, _ := conn.Parent()
	changed := false
	for _, array := range []string{"privateLinkServiceConnections", "manualPrivateLinkServiceConnections"} {
		list, _ := props[array].([]any)
		for _, item := range list {
			e, _ := item.(map[string]any)
			p, _ := e["properties"].(map[string]any)
			if target, _ := p["privateLinkServiceId"].(string); strings.EqualFold(target, registry.String()) {
				p["privateLinkServiceConnectionState"] = value
				changed = true
			}
		}
	}
	if !changed {
		return
	}
	raw, err := json.Marshal(props)
	if err != nil {
		return
	}
	r.Properties = raw
	s.resources[pe.Key()] = r
	s.written(pe)
}
