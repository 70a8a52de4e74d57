package diagnosis

import "encoding/json"

// Remedy is what mends a cause: once as commands that a person types, once as
// changes that a program can carry out. Both say the same.
type Remedy struct {
	// Summary is one sentence, e.g. "Link the private DNS zone to the client's virtual network."
	Summary string `json:"summary"`
	// Commands are complete shell commands, in order.
	Commands []string `json:"commands,omitempty"`
	// Changes are the same steps for a machine. A remedy that names things the
	// diagnoser could not see (no Azure access) has none.
	Changes []Change `json:"changes,omitempty"`
}

// Change is one step of a remedy. Exactly one field is set.
type Change struct {
	// ARM is a write to Azure Resource Manager.
	ARM *ARMRequest `json:"arm,omitempty"`
	// Allow asks the owner of a device outside Azure to let something pass.
	Allow *Allow `json:"allow,omitempty"`
	// Environment sets variables of the place where the client runs.
	Environment *Environment `json:"environment,omitempty"`
	// Resolver sets the name servers of a client outside Azure.
	Resolver *Resolver `json:"resolver,omitempty"`
	// Hosts takes names out of the client's hosts file.
	Hosts *Hosts `json:"hosts,omitempty"`
	// UseRegistry says that the client must use another login server name.
	UseRegistry string `json:"useRegistry,omitempty"`
}

// ARMRequest is a request to https://management.azure.com.
type ARMRequest struct {
	Method     string          `json:"method"` // PUT, PATCH or DELETE
	ID         string          `json:"id"`     // full resource id, "/subscriptions/…"
	APIVersion string          `json:"apiVersion"`
	Body       json.RawMessage `json:"body,omitempty"` // ARM JSON; PATCH is a JSON merge patch (RFC 7396)
}

// Device is a box between the client and Azure that acrlab can ask to change.
type Device string

const (
	// Firewall filters packets or TLS names at the edge of the client's network.
	Firewall Device = "firewall"
	// Proxy is the explicit HTTPS proxy.
	Proxy Device = "proxy"
	// Inspection is whatever terminates TLS on the way; to allow means to exempt.
	Inspection Device = "inspection"
)

// Allow lets traffic to Hosts pass at Device.
type Allow struct {
	Device Device   `json:"device"`
	Hosts  []string `json:"hosts"` // DNS names, "*." allowed as first label
	Port   int      `json:"port"`
}

// Scope is whose environment is meant.
type Scope string

const (
	// Shell is the environment of commands that a user runs.
	Shell Scope = "shell"
	// Daemon is the environment of the container engine that pulls.
	Daemon Scope = "daemon"
)

// Environment sets variables; an empty value unsets.
type Environment struct {
	Scope Scope             `json:"scope"`
	Set   map[string]string `json:"set"`
}

// Resolver replaces the name servers of the client.
type Resolver struct {
	Servers []string `json:"servers"` // IP addresses
}

// Hosts changes the hosts file of the client.
type Hosts struct {
	Remove []string `json:"remove"` // names whose lines go
}
