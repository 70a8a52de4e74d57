// Package plan turns what Azure holds and where the client stands into a
// network: hosts, links, routes, filters, DNS answers and services.
//
// It is where Azure's rules of evaluation live (security rule priority, longest
// prefix, user-defined before system routes, private endpoint /32, private DNS
// by asking network, registry network rules), as a pure function without I/O:
// the same input gives the same network, byte for byte. A network is data that
// any fabric can build and that JSON can carry.
package plan

import (
	"net/netip"

	"github.com/acrlab/acrlab/fakes/azure"
	"github.com/acrlab/acrlab/fakes/dns"
	"github.com/acrlab/acrlab/fakes/entra"
	"github.com/acrlab/acrlab/fakes/graph"
	"github.com/acrlab/acrlab/fakes/imds"
	"github.com/acrlab/acrlab/fakes/loganalytics"
	"github.com/acrlab/acrlab/fakes/middlebox"
	"github.com/acrlab/acrlab/fakes/proxy"
	"github.com/acrlab/acrlab/fakes/registry"
)

// Network is everything a fabric needs to build. Slices are in a fixed order.
type Network struct {
	Hosts []Host `json:"hosts"`
	Links []Link `json:"links"`
	// Registries are shared by all services that serve a part of them.
	Registries []registry.Config `json:"registries"`
	// Azure is the state that the ARM service shows.
	Azure *azure.State `json:"azure,omitempty"`
	// Client names the host that programs under test run on.
	Client string `json:"client"`
}

// Host is a machine: its own network stack, files and environment.
type Host struct {
	Name string `json:"name"`
	// Role says in a few words what it is, for pictures.
	Role string `json:"role"`
	// Addresses on the loopback interface, for hosts that own many.
	Loopback []netip.Addr `json:"loopback,omitempty"`
	// Forward makes it a router.
	Forward bool `json:"forward,omitempty"`
	// Routes of all tables. Routes of interfaces' own /32 or prefix need not be listed.
	Routes []Route `json:"routes,omitempty"`
	// Rules choose a table by the interface that a packet came in on.
	Rules []RouteRule `json:"rules,omitempty"`
	// Filter is the forward chain, tried in order; default accept. Replies to
	// accepted connections always pass.
	Filter []FilterRule `json:"filter,omitempty"`
	// NAT is source translation after routing, first match wins.
	NAT []NATRule `json:"nat,omitempty"`
	// Redirect hands transit TCP to a local service (a transparent middlebox).
	Redirect []RedirectRule `json:"redirect,omitempty"`
	Services []Service      `json:"services,omitempty"`
	// Files appear in the host's file system, by absolute path: /etc/resolv.conf,
	// /etc/hosts, /root/.docker/config.json, …
	Files map[string]string `json:"files,omitempty"`
	// Env is what a shell there has beyond the caller's; Daemon is what a
	// container engine there has instead of it (proxy settings).
	Env    map[string]string `json:"env,omitempty"`
	Daemon map[string]string `json:"daemon,omitempty"`
	// TrustAzure adds the authority that signs Azure's certificates to the
	// host's trust store. TrustCorp adds the corporate one.
	TrustAzure bool `json:"trustAzure,omitempty"`
	TrustCorp  bool `json:"trustCorp,omitempty"`
}

// Link joins two interfaces.
type Link struct {
	Ends [2]End `json:"ends"`
}

// End is one interface of a link.
type End struct {
	Host      string         `json:"host"`
	Interface string         `json:"interface"` // at most 15 bytes, unique on the host
	Addresses []netip.Prefix `json:"addresses,omitempty"`
}

// Route is one entry of a routing table.
type Route struct {
	Table       int          `json:"table,omitempty"` // 0: main
	Destination netip.Prefix `json:"destination"`
	Via         netip.Addr   `json:"via,omitzero"` // zero: on link
	Interface   string       `json:"interface,omitempty"`
	// Blackhole drops in silence; Interface and Via are empty then.
	Blackhole bool `json:"blackhole,omitempty"`
	// Why names the rule of Azure or the site that the route comes from.
	Why string `json:"why,omitempty"`
}

// RouteRule sends packets that came in on Interface to Table.
type RouteRule struct {
	Priority  int    `json:"priority"`
	Interface string `json:"interface"`
	Table     int    `json:"table"`
}

// Verdict of a filter rule.
type Verdict string

const (
	Accept   Verdict = "accept"
	Drop     Verdict = "drop"     // silence
	Reject   Verdict = "reject"   // TCP RST, ICMP port unreachable for others
	Prohibit Verdict = "prohibit" // ICMP communication administratively prohibited (type 3 code 13)
)

// Match selects packets. Empty fields match everything; within a list any
// entry suffices.
type Match struct {
	In          []string       `json:"in,omitempty"`  // incoming interfaces
	Out         []string       `json:"out,omitempty"` // outgoing interfaces
	Source      []netip.Prefix `json:"source,omitempty"`
	Destination []netip.Prefix `json:"destination,omitempty"`
	NotDest     []netip.Prefix `json:"notDest,omitempty"`
	Protocol    string         `json:"protocol,omitempty"` // tcp, udp, icmp
	Ports       []PortRange    `json:"ports,omitempty"`    // destination ports
}

// PortRange is inclusive.
type PortRange struct {
	First uint16 `json:"first"`
	Last  uint16 `json:"last"`
}

// FilterRule is one rule of the forward chain. Name is its counter's name,
// unique on the host. Rules are evaluated for the first packet of a connection.
// A rule with Jump groups: when Match holds, the rules of Group are tried; an
// accept there only leaves the group (a packet must pass outbound and inbound
// security groups), a drop is final.
type FilterRule struct {
	Name    string       `json:"name"`
	Match   Match        `json:"match"`
	Verdict Verdict      `json:"verdict,omitempty"`
	Group   []FilterRule `json:"group,omitempty"`
	Why     string       `json:"why,omitempty"`
}

// NATRule rewrites the source of new connections to To. Keep leaves it as it is.
type NATRule struct {
	Match Match      `json:"match"`
	To    netip.Addr `json:"to,omitzero"`
	Keep  bool       `json:"keep,omitempty"`
}

// RedirectRule sends matching transit TCP connections to a local port.
type RedirectRule struct {
	Name  string `json:"name"`
	Match Match  `json:"match"`
	Port  uint16 `json:"port"`
}

// Service is a server on a host. Exactly one of the pointers is set.
type Service struct {
	// Name is unique on the host and stays the same across plans, so that a
	// fabric can tell a changed service from a new one.
	Name   string           `json:"name"`
	Listen []netip.AddrPort `json:"listen"`

	DNS       *dns.Config       `json:"dns,omitempty"`
	Registry  *registry.Front   `json:"registry,omitempty"`
	Proxy     *proxy.Config     `json:"proxy,omitempty"`
	Middlebox *middlebox.Config `json:"middlebox,omitempty"`
	ARM       *azure.Front      `json:"arm,omitempty"`
	Entra     *entra.Config     `json:"entra,omitempty"`
	IMDS      *imds.Config      `json:"imds,omitempty"`
	Graph     *graph.Front      `json:"graph,omitempty"`

	LogAnalytics *loganalytics.Config `json:"logAnalytics,omitempty"`
}
