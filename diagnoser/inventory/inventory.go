// Package inventory is what Azure says about a registry and the networks
// around it, and what follows from it for one packet or one lookup: which
// security rule decides, which route wins, which private zone answers.
//
// It holds plain data and pure functions. It does not know how Azure is read
// (package arm does) nor what a fault looks like (package infer does).
package inventory

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
)

// The api-versions that everything here is read and written with.
const (
	APISubscriptions = "2022-12-01"
	APIResources     = "2021-04-01"
	APIRegistry      = "2025-11-01"
	// APIRegistryRules is the last family of versions that shows
	// networkRuleSet.virtualNetworkRules; it went with 2021-09-01
	// (https://github.com/Azure/azure-sdk-for-java/issues/34935).
	APIRegistryRules = "2021-06-01-preview"
	APINetwork       = "2025-01-01"
	APIPrivateDNS    = "2024-06-01"
)

// Part is one kind of thing that is read with rights of its own.
type Part string

// The parts of an inventory.
const (
	Registries       Part = "registry"
	RegistryRules    Part = "registry virtual network rules"
	Replications     Part = "replications"
	PrivateEndpoints Part = "private endpoints"
	PrivateZones     Part = "private DNS zones"
	Networks         Part = "virtual networks"
	SecurityGroups   Part = "network security groups"
	RouteTables      Part = "route tables"
	Firewalls        Part = "Azure firewalls"
	Gateways         Part = "virtual network gateways"
)

// Parts are all parts in the order in which they are read.
func Parts() []Part {
	return []Part{Registries, RegistryRules, Replications, PrivateEndpoints, PrivateZones,
		Networks, SecurityGroups, RouteTables, Firewalls, Gateways}
}

// Status says whether a part was read.
type Status struct {
	Known bool
	Err   string // why not, for a person; empty when Known
}

// Inventory is everything that could be read. Each part stands for itself:
// one that was refused leaves the others as they are.
type Inventory struct {
	Status        map[Part]Status
	Subscriptions []string

	// Registry is nil when no visible subscription holds it; that is a fact if
	// the part Registries is known.
	Registry *Registry
	// Others are the other registries that are visible, by login server.
	Others         []string
	Replications   []Replication
	Endpoints      []PrivateEndpoint
	Zones          []PrivateZone
	Networks       []VirtualNetwork
	SecurityGroups []SecurityGroup
	RouteTables    []RouteTable
	Firewalls      []Firewall
	// GatewayNetworks are the ids of virtual networks that hold a VPN or
	// ExpressRoute gateway.
	GatewayNetworks []string
}

// Known says whether every given part was read. A nil inventory knows nothing.
func (i *Inventory) Known(parts ...Part) bool {
	if i == nil {
		return false
	}
	for _, p := range parts {
		if !i.Status[p].Known {
			return false
		}
	}
	return true
}

// Missing lists what was not read, in the order of [Parts].
func (i *Inventory) Missing() []Part {
	var out []Part
	for _, p := range Parts() {
		if !i.Known(p) {
			out = append(out, p)
		}
	}
	return out
}

// Registry is a Microsoft.ContainerRegistry/registries resource.
type Registry struct {
	ID, Name, Location, SKU string
	LoginServer             string
	PublicNetworkAccess     string // Enabled, Disabled
	DefaultAction           string // Allow, Deny; empty when the SKU has no rules
	IPRules                 []string
	// VirtualNetworkRules are subnet ids, seen by the old api-version alone.
	VirtualNetworkRules []string
	DataEndpointEnabled bool
	DataEndpointHosts   []string
	AnonymousPull       bool
	Connections         []Connection
}

// Connection is a registry's side of a private endpoint.
type Connection struct {
	ID, Name          string
	PrivateEndpointID string
	Status            string // Approved, Pending, Rejected, Disconnected
}

// Replication is a geo-replica.
type Replication struct {
	Region                string
	RegionEndpointEnabled bool
	ProvisioningState     string
}

// PrivateEndpoint that leads to the registry.
type PrivateEndpoint struct {
	ID, Name, Location string
	// Exists is false when the registry still lists a connection and the
	// endpoint itself is gone (404).
	Exists   bool
	Status   string // of the registry's connection
	SubnetID string
	// Members are the addresses by member name ("registry", "registry_data_eastus").
	Members []Member
}

// Member is one address of a private endpoint.
type Member struct {
	Name    string // requiredMemberName
	Address netip.Addr
	FQDNs   []string // "myregistry.azurecr.io"
}

// Has says whether the endpoint holds the address.
func (e *PrivateEndpoint) Has(a netip.Addr) bool {
	return slices.ContainsFunc(e.Members, func(m Member) bool { return m.Address == a.Unmap() })
}

// AddressOf finds the address that serves a DNS name; zero if none does.
func (e *PrivateEndpoint) AddressOf(name string) netip.Addr {
	for _, m := range e.Members {
		for _, f := range m.FQDNs {
			if strings.EqualFold(f, name) {
				return m.Address
			}
		}
	}
	return netip.Addr{}
}

// PrivateZone is a Microsoft.Network/privateDnsZones resource.
type PrivateZone struct {
	ID, Name string
	Links    []ZoneLink
	// Records are the A records by relative name.
	Records map[string][]netip.Addr
	// LinksErr and RecordsErr say that the children could not be read.
	LinksErr, RecordsErr string
}

// ZoneLink is a virtualNetworkLinks child.
type ZoneLink struct {
	ID, Name, NetworkID string
	State               string // InProgress, Completed
	Fallback            bool   // resolutionPolicy NxDomainRedirect
}

// VirtualNetwork is a Microsoft.Network/virtualNetworks resource.
type VirtualNetwork struct {
	ID, Name, Location string
	Prefixes           []netip.Prefix
	DNSServers         []netip.Addr
	Subnets            []Subnet
	Peerings           []Peering
	// Raw is the resource as read, for a PUT that changes one property: PATCH
	// of a virtual network takes tags alone
	// (https://learn.microsoft.com/rest/api/virtualnetwork/virtual-networks/update-tags).
	Raw json.RawMessage
}

// Subnet of a virtual network.
type Subnet struct {
	ID, Name                string
	Prefixes                []netip.Prefix
	SecurityGroupID         string
	RouteTableID            string
	ServiceEndpoints        []string // "Microsoft.ContainerRegistry"
	ServiceEndpointPolicies []string // ids
	// PrivateEndpointPolicies is privateEndpointNetworkPolicies: Disabled,
	// Enabled, NetworkSecurityGroupEnabled, RouteTableEnabled.
	PrivateEndpointPolicies string
}

// Peering is one direction of a peering.
type Peering struct {
	ID, Name, RemoteID string
	State              string // Connected, Initiated, Disconnected
	AllowAccess        bool
}

// SecurityGroup is a Microsoft.Network/networkSecurityGroups resource with its
// own and its default rules.
type SecurityGroup struct {
	ID, Name string
	Rules    []SecurityRule
}

// SecurityRule is one rule.
type SecurityRule struct {
	ID, Name             string
	Priority             int
	Direction            string // Inbound, Outbound
	Access               string // Allow, Deny
	Protocol             string // Tcp, Udp, Icmp, *
	Sources              []string
	Destinations         []string
	DestinationPorts     []string
	SourceGroups         bool // application security groups, which are not resolved here
	DestinationGroups    bool
	Default              bool
	SourcePortRestricted bool
	// Raw is the rule as read, for a PUT that moves it.
	Raw json.RawMessage
}

// RouteTable is a Microsoft.Network/routeTables resource.
type RouteTable struct {
	ID, Name string
	Routes   []Route
}

// Route is a user-defined route.
type Route struct {
	ID, Name  string
	Prefix    string // CIDR or service tag
	NextHop   string // Internet, None, VirtualAppliance, VirtualNetworkGateway, VnetLocal
	NextHopIP netip.Addr
}

// Firewall is a Microsoft.Network/azureFirewalls resource with the rules that
// it enforces.
type Firewall struct {
	ID, Name    string
	PrivateIP   netip.Addr
	SubnetID    string
	PolicyID    string
	Collections []RuleCollection // by priority
	// RulesErr says that the policy could not be read.
	RulesErr string
}

// RuleCollection is a collection of rules with one action.
type RuleCollection struct {
	Name     string
	Priority int // of the group, then of the collection: group*100000 + collection
	Action   string
	Rules    []FirewallRule
	// GroupID and GroupRaw are the ruleCollectionGroups resource that holds it
	// (policy), or the firewall itself (classic rules).
	GroupID  string
	GroupRaw json.RawMessage
}

// FirewallRule is an application or a network rule.
type FirewallRule struct {
	Name, Type  string   // ApplicationRule, NetworkRule
	TargetFQDNs []string // application
	FQDNTags    []string
	Sources     []string
	// Destinations, DestinationFQDNs, Ports and Protocols are of network rules.
	Destinations     []string
	DestinationFQDNs []string
	Ports            []string
	Protocols        []string
}
