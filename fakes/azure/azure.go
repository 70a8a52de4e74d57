// Package azure is Azure Resource Manager: a store of resources in ARM's own
// shape, and the server that shows them at management.azure.com.
//
// It stores and shows; what a resource means for packets is decided in package
// plan.
package azure

import "encoding/json"

// Resource is one ARM resource. Properties keep every key that was written.
type Resource struct {
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	Type     string            `json:"type"`
	Location string            `json:"location,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`
	SKU      json.RawMessage   `json:"sku,omitempty"`
	// Identity is the managed identity, of a virtual machine for example.
	Identity   json.RawMessage `json:"identity,omitempty"`
	Zones      []string        `json:"zones,omitempty"`
	Properties json.RawMessage `json:"properties,omitempty"`
}

// State is a consistent copy of a store: resources by lower-case id.
type State struct {
	Subscription string              `json:"subscription"`
	Tenant       string              `json:"tenant"`
	Resources    map[string]Resource `json:"resources"`
}

// Front is the ARM server's configuration on one host.
type Front struct {
	// Clients are the application ids whose tokens are accepted.
	Clients []string `json:"clients"`
	// Polls is how often a client must ask for the status of an operation
	// before it is done; 0: every request is done when it is answered.
	Polls int `json:"polls,omitempty"`
}
