package topology

// Site is where the client stands and what lies between it and Azure. None of
// it is Azure's.
type Site struct {
	// At is "vnet/subnet" for a virtual machine, "on-premises" for a network
	// behind a corporate router, or "internet" for a host with a public address.
	At string `yaml:"at,omitempty"`
	// Address of the client. Default: a free one of its network.
	Address string `yaml:"address,omitempty"`
	// Image is what the client pulls, "myregistry.azurecr.io/hello-world:latest".
	// Default: the registry's first repository and tag.
	Image string `yaml:"image,omitempty"`
	// PublicIPAddress is where connections leave from when on-premises.
	PublicIPAddress string `yaml:"publicIPAddress,omitempty"`
	// VPN names the virtual network that the on-premises network is connected to.
	VPN string `yaml:"vpn,omitempty"`
	// Firewall is the corporate firewall (on-premises only).
	Firewall *Firewall `yaml:"firewall,omitempty"`
	// Proxy is an HTTPS proxy, beside the client's network.
	Proxy *Proxy `yaml:"proxy,omitempty"`
	// Resolver is the resolver of a client outside Azure. Default: answers the
	// public internet's names.
	Resolver *Resolver `yaml:"resolver,omitempty"`
	// Identity is the managed identity of a client that is a virtual machine:
	// "system", or the name of a user-assigned one. Default: none.
	Identity string `yaml:"identity,omitempty"`
	// Hosts are lines of the client's hosts file: name to address.
	Hosts map[string]string `yaml:"hosts,omitempty"`
	// Shell and Daemon are the proxy settings of the user's shell and of the
	// container engine.
	Shell  ProxySettings `yaml:"shell,omitempty"`
	Daemon ProxySettings `yaml:"daemon,omitempty"`
}

// ProxySettings are the variables that clients read.
type ProxySettings struct {
	HTTPSProxy string `yaml:"httpsProxy,omitempty"`
	NoProxy    string `yaml:"noProxy,omitempty"`
}

// Firewall is a corporate firewall. Rules are tried in order of their names'
// priority; the default applies to what none matches. Established connections pass.
type Firewall struct {
	Default string                  `yaml:"default,omitempty"` // allow (default), drop or reject
	Rules   map[string]FirewallRule `yaml:"rules,omitempty"`
	// Names filters TLS by the name in the ClientHello.
	Names *NameFilter `yaml:"names,omitempty"`
}

// FirewallRule matches packets by destination.
type FirewallRule struct {
	Priority int    `yaml:"priority,omitempty"` // lower first
	Action   string `yaml:"action,omitempty"`   // allow, drop, reject (TCP RST) or prohibit (ICMP administratively prohibited)
	// To are DNS names (resolved once, as firewalls with FQDN objects do),
	// CIDR blocks or service tags.
	To []string `yaml:"to,omitempty"`
	// Ports, e.g. [443]. Empty: all.
	Ports []int `yaml:"ports,omitempty"`
}

// NameFilter reads the ClientHello.
type NameFilter struct {
	// Block are names ("*." allowed); Allow, when set, blocks every other.
	Block []string `yaml:"block,omitempty"`
	Allow []string `yaml:"allow,omitempty"`
	// Action on a blocked name: reset (default), close or silence.
	Action string `yaml:"action,omitempty"`
	// Inspect terminates TLS under the corporate authority, except for Exempt.
	Inspect bool     `yaml:"inspect,omitempty"`
	Exempt  []string `yaml:"exempt,omitempty"`
}

// Proxy is an explicit proxy (RFC 9110 CONNECT).
type Proxy struct {
	// Name and Address under which clients reach it. Default proxy.corp.example.
	Name    string `yaml:"name,omitempty"`
	Address string `yaml:"address,omitempty"`
	Port    int    `yaml:"port,omitempty"` // default 3128
	// PublicIPAddress is where it leaves from. Default: the site's.
	PublicIPAddress string `yaml:"publicIPAddress,omitempty"`
	// Allow are the names it serves ("*." allowed). Empty: all but Deny.
	Allow []string `yaml:"allow,omitempty"`
	Deny  []string `yaml:"deny,omitempty"`
	// Authenticate demands credentials (407) for all names but Anonymous.
	Authenticate bool     `yaml:"authenticate,omitempty"`
	Anonymous    []string `yaml:"anonymous,omitempty"`
	// Behaviour is answer (default), close (after reading CONNECT), silence or
	// refuse (nothing listens).
	Behaviour string `yaml:"behaviour,omitempty"`
	// Inspect terminates TLS under the corporate authority, except for Exempt.
	Inspect bool     `yaml:"inspect,omitempty"`
	Exempt  []string `yaml:"exempt,omitempty"`
}

// Resolver is the resolver of a client outside Azure.
type Resolver struct {
	Address string `yaml:"address,omitempty"`
	// Behaviour is answer (default), silence, servfail, refused or closed (port unreachable).
	Behaviour string `yaml:"behaviour,omitempty"`
	// Forwarders maps a suffix to another server, e.g. azurecr.io to a resolver inside Azure.
	Forwarders map[string]string `yaml:"forwarders,omitempty"`
}
