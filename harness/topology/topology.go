// Package topology is the language in which a scenario is written: what Azure
// holds, where the client stands, what is changed, and what a diagnoser must
// find.
//
// It knows Azure's nouns and nothing of packets: package plan turns a topology
// into a network. Field names are those of Azure Resource Manager wherever
// Azure has one.
package topology

import "github.com/acrlab/acrlab/diagnosis"

// Scenario is one folder of the catalogue.
type Scenario struct {
	// ID is the name of the folder that holds the scenario.
	ID string `yaml:"-" json:"-"`
	// Dir is that folder's path; File is the path of its scenario.yaml.
	Dir  string `yaml:"-" json:"-"`
	File string `yaml:"-" json:"-"`

	// Title says in one sentence what is wrong.
	Title string `yaml:"title"`
	// Article is the section of the troubleshooting article, e.g. "configure-vnet-access".
	Article string `yaml:"article,omitempty"`
	// Symptoms under which a user meets it. Empty for a healthy scenario.
	Symptoms []diagnosis.Symptom `yaml:"symptoms,omitempty"`
	// Base names the healthy topology that the change is applied to.
	Base string `yaml:"base"`
	// Setup adapts the base; the result must still be healthy.
	Setup Topology `yaml:"setup,omitempty"`
	// Change is what breaks it: a JSON merge patch (RFC 7396) on the base.
	// A null removes a key, a list replaces a list.
	Change Topology `yaml:"change,omitempty"`
	// Expect is what must come out. Without causes the scenario is healthy.
	Expect Expect `yaml:"expect,omitempty"`
	// Prove are observations, in the sentences of package prove, that hold
	// only when the fault is really there.
	Prove []string `yaml:"prove,omitempty"`

	// Healthy and Broken are the base (with setup) before and after the change;
	// set by loading.
	Healthy Topology `yaml:"-" json:"-"`
	Broken  Topology `yaml:"-" json:"-"`
}

// Expect is the verdict that a scenario demands.
type Expect struct {
	// Causes that must be found, with Azure access, and no other, in the order
	// in which they must be mended.
	Causes []diagnosis.Cause `yaml:"causes,omitempty"`
	// WithoutAzureAccess says what network evidence alone can prove. Absent:
	// the same as Causes, proven.
	WithoutAzureAccess *Candidates `yaml:"withoutAzureAccess,omitempty"`
	// Client maps a client ("crane", "docker pull", "docker login",
	// "containerd", "skopeo") to a regular expression that its error matches.
	Client map[string]string `yaml:"client,omitempty"`
}

// Candidates are causes that look alike.
type Candidates struct {
	// OneOf is the exact set of causes to be listed as possible.
	OneOf []diagnosis.Cause `yaml:"oneOf"`
}

// Topology is a whole world: the Azure side and the client's own ground. Maps
// are keyed by resource name. The zero value of a field means Azure's default.
type Topology struct {
	Registry              *Registry                       `yaml:"registry,omitempty"`
	VirtualNetworks       map[string]VirtualNetwork       `yaml:"virtualNetworks,omitempty"`
	NetworkSecurityGroups map[string]NetworkSecurityGroup `yaml:"networkSecurityGroups,omitempty"`
	RouteTables           map[string]RouteTable           `yaml:"routeTables,omitempty"`
	PrivateEndpoints      map[string]PrivateEndpoint      `yaml:"privateEndpoints,omitempty"`
	PrivateDNSZones       map[string]PrivateDNSZone       `yaml:"privateDnsZones,omitempty"`
	AzureFirewalls        map[string]AzureFirewall        `yaml:"azureFirewalls,omitempty"`
	// DNSServers are virtual machines that serve DNS inside a virtual network.
	DNSServers map[string]DNSServer `yaml:"dnsServers,omitempty"`
	Site       *Site                `yaml:"site,omitempty"`
}

// Registry is a Microsoft.ContainerRegistry/registries resource and its content.
type Registry struct {
	Name                string          `yaml:"name,omitempty"`
	Location            string          `yaml:"location,omitempty"`
	SKU                 string          `yaml:"sku,omitempty"` // Basic, Standard or Premium (default)
	DataEndpointEnabled *bool           `yaml:"dataEndpointEnabled,omitempty"`
	PublicNetworkAccess string          `yaml:"publicNetworkAccess,omitempty"` // Enabled (default) or Disabled
	NetworkRuleSet      *NetworkRuleSet `yaml:"networkRuleSet,omitempty"`
	// Replications are the regions beside Location.
	Replications map[string]Replication `yaml:"replications,omitempty"`
	// Repositories maps a repository to its tags.
	Repositories map[string][]string `yaml:"repositories,omitempty"`
}

// NetworkRuleSet restricts the public endpoint.
type NetworkRuleSet struct {
	DefaultAction string   `yaml:"defaultAction,omitempty"` // Allow (default) or Deny
	IPRules       []string `yaml:"ipRules,omitempty"`       // addresses or CIDR blocks
	// VirtualNetworkRules name subnets as "vnet/subnet".
	VirtualNetworkRules []string `yaml:"virtualNetworkRules,omitempty"`
}

// Replication is a geo-replica.
type Replication struct {
	// RegionEndpointEnabled false takes the replica out of global routing. Default true.
	RegionEndpointEnabled *bool `yaml:"regionEndpointEnabled,omitempty"`
}

// VirtualNetwork is a Microsoft.Network/virtualNetworks resource.
type VirtualNetwork struct {
	Location        string   `yaml:"location,omitempty"` // default: the registry's
	AddressPrefixes []string `yaml:"addressPrefixes,omitempty"`
	// DNSServers are the custom DNS servers (dhcpOptions). Empty: 168.63.129.16.
	DNSServers []string           `yaml:"dnsServers,omitempty"`
	Subnets    map[string]Subnet  `yaml:"subnets,omitempty"`
	Peerings   map[string]Peering `yaml:"peerings,omitempty"` // by name of the remote network
	// PublicIPAddress is the address that outbound connections leave from
	// (NAT gateway). Default: one of the simulation's own.
	PublicIPAddress string `yaml:"publicIPAddress,omitempty"`
}

// Subnet of a virtual network.
type Subnet struct {
	AddressPrefix        string   `yaml:"addressPrefix,omitempty"`
	NetworkSecurityGroup string   `yaml:"networkSecurityGroup,omitempty"`
	RouteTable           string   `yaml:"routeTable,omitempty"`
	ServiceEndpoints     []string `yaml:"serviceEndpoints,omitempty"` // e.g. Microsoft.ContainerRegistry
	// PrivateEndpointNetworkPolicies is Disabled (default), Enabled,
	// NetworkSecurityGroupEnabled or RouteTableEnabled.
	PrivateEndpointNetworkPolicies string `yaml:"privateEndpointNetworkPolicies,omitempty"`
}

// Peering is one direction of a virtual network peering.
type Peering struct {
	PeeringState              string `yaml:"peeringState,omitempty"`              // Connected (default), Disconnected or Initiated
	AllowVirtualNetworkAccess *bool  `yaml:"allowVirtualNetworkAccess,omitempty"` // default true
	AllowForwardedTraffic     bool   `yaml:"allowForwardedTraffic,omitempty"`
}

// NetworkSecurityGroup holds security rules by name.
type NetworkSecurityGroup struct {
	SecurityRules map[string]SecurityRule `yaml:"securityRules,omitempty"`
}

// SecurityRule is one rule of a network security group.
type SecurityRule struct {
	Priority                 int    `yaml:"priority,omitempty"`  // 100 to 4096, lower first
	Direction                string `yaml:"direction,omitempty"` // Inbound or Outbound
	Access                   string `yaml:"access,omitempty"`    // Allow or Deny
	Protocol                 string `yaml:"protocol,omitempty"`  // Tcp, Udp, Icmp or * (default)
	SourceAddressPrefix      string `yaml:"sourceAddressPrefix,omitempty"`
	DestinationAddressPrefix string `yaml:"destinationAddressPrefix,omitempty"` // CIDR, service tag or * (default)
	DestinationPortRange     string `yaml:"destinationPortRange,omitempty"`     // "443", "1-100" or * (default)
}

// RouteTable holds user-defined routes by name.
type RouteTable struct {
	Routes map[string]Route `yaml:"routes,omitempty"`
}

// Route is a user-defined route.
type Route struct {
	AddressPrefix    string `yaml:"addressPrefix,omitempty"` // CIDR or service tag
	NextHopType      string `yaml:"nextHopType,omitempty"`   // Internet, None, VirtualAppliance, VirtualNetworkGateway or VnetLocal
	NextHopIPAddress string `yaml:"nextHopIpAddress,omitempty"`
}

// PrivateEndpoint is a Microsoft.Network/privateEndpoints resource that leads
// to the registry.
type PrivateEndpoint struct {
	Subnet string `yaml:"subnet,omitempty"` // "vnet/subnet"
	// Addresses maps member names ("registry", "registry_data_eastus") to
	// addresses in the subnet. Default: the first free ones, data endpoints first.
	Addresses map[string]string `yaml:"addresses,omitempty"`
	// ConnectionState is Approved (default), Pending, Rejected or Disconnected.
	ConnectionState string `yaml:"connectionState,omitempty"`
}

// PrivateDNSZone is a Microsoft.Network/privateDnsZones resource.
type PrivateDNSZone struct {
	// Links name the linked virtual networks.
	Links []string `yaml:"links,omitempty"`
	// Records maps relative record names to A records. Left out, the zone holds
	// what a private endpoint's zone group writes for every member.
	Records map[string][]string `yaml:"records,omitempty"`
	// WithoutRecords takes relative names out of what the zone would hold.
	WithoutRecords []string `yaml:"withoutRecords,omitempty"`
}

// AzureFirewall is a Microsoft.Network/azureFirewalls resource with the
// policy it enforces. Rules of either kind are tried network first; what no
// rule matches is denied.
type AzureFirewall struct {
	Subnet           string                             `yaml:"subnet,omitempty"` // "vnet/subnet"
	PrivateIPAddress string                             `yaml:"privateIPAddress,omitempty"`
	PublicIPAddress  string                             `yaml:"publicIPAddress,omitempty"`
	NetworkRules     map[string]FirewallNetworkRule     `yaml:"networkRules,omitempty"`
	ApplicationRules map[string]FirewallApplicationRule `yaml:"applicationRules,omitempty"`
}

// FirewallNetworkRule matches packets.
type FirewallNetworkRule struct {
	Priority             int      `yaml:"priority,omitempty"`
	Action               string   `yaml:"action,omitempty"`               // Allow or Deny
	DestinationAddresses []string `yaml:"destinationAddresses,omitempty"` // CIDR, service tag or *
	DestinationPorts     []string `yaml:"destinationPorts,omitempty"`
	IPProtocols          []string `yaml:"ipProtocols,omitempty"` // TCP, UDP, ICMP or Any
}

// FirewallApplicationRule matches the name in a TLS ClientHello.
type FirewallApplicationRule struct {
	Priority    int      `yaml:"priority,omitempty"`
	Action      string   `yaml:"action,omitempty"` // Allow or Deny
	TargetFQDNs []string `yaml:"targetFqdns,omitempty"`
}

// DNSServer is a virtual machine that answers DNS inside a virtual network.
type DNSServer struct {
	Subnet  string `yaml:"subnet,omitempty"` // "vnet/subnet"
	Address string `yaml:"address,omitempty"`
	// Forwarders maps a suffix ("." for all) to the server that it asks.
	Forwarders map[string]string `yaml:"forwarders,omitempty"`
}
