// Package registry is Azure Container Registry as its clients see it: the OCI
// distribution API with ACR's challenge, token service, redirects to data
// endpoints or storage, network rules and error bodies.
//
// It serves what its configuration says and decides nothing about Azure: which
// addresses are let in was worked out before.
package registry

import "net/netip"

// Config is one registry with all its replicas. All fronts of a run that name
// it share its content and keys.
type Config struct {
	Name        string `json:"name"`        // "myregistry"
	LoginServer string `json:"loginServer"` // "myregistry.azurecr.io"
	// Regions are the home region and the replicas.
	Regions []Region `json:"regions"`
	// DataEndpoints redirects layers to R.<region>.data.azurecr.io instead of storage.
	DataEndpoints bool `json:"dataEndpoints,omitempty"`
	// Public is who may come in from the public side. It never applies to
	// fronts behind a private endpoint.
	Public Access `json:"public"`
	// Repositories maps a repository to tags; each tag is a small image that is
	// the same in every run.
	Repositories map[string][]string `json:"repositories"`
	// Users maps user names to passwords for Basic at /oauth2/token.
	Users map[string]string `json:"users,omitempty"`
	// AnonymousPull gives pull tokens without credentials.
	AnonymousPull bool `json:"anonymousPull,omitempty"`
	// Open lets everybody read without a token and nobody write: Microsoft
	// Artifact Registry.
	Open bool `json:"open,omitempty"`
	// Tenant and Clients: tokens of this tenant for these application ids are
	// exchanged at /oauth2/exchange.
	Tenant  string   `json:"tenant,omitempty"`
	Clients []string `json:"clients,omitempty"`
}

// Region is one replica.
type Region struct {
	Name    string `json:"name"`    // "eastus"
	Storage string `json:"storage"` // "eusmanaged15.blob.core.windows.net"
}

// Access is the verdict of the registry's network rules by source address.
type Access struct {
	Default bool           `json:"default"` // true: let in
	Allow   []netip.Prefix `json:"allow,omitempty"`
}

// Role is what a front serves.
type Role string

const (
	Login   Role = "login"   // R.azurecr.io
	Data    Role = "data"    // R.<region>.data.azurecr.io
	Storage Role = "storage" // <account>.blob.core.windows.net
)

// Front is one listener's share of a registry.
type Front struct {
	Registry string `json:"registry"` // Config.Name
	Region   string `json:"region"`
	// Roles by server name: a front answers for several names on one address.
	Roles map[string]Role `json:"roles"`
	// Private says that connections arrive through a private endpoint.
	Private bool `json:"private,omitempty"`
}
