package topology

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
)

// Addresses of the client's own ground that a scenario need not choose. Public
// ones are of the documentation blocks of RFC 5737, which nobody owns.
const (
	// OnPremisesPrefix is the network of a client that stands "on-premises";
	// its router has the first address.
	OnPremisesPrefix = "192.168.10.0/24"
	// ProxyPrefix is the network of the proxy, beside the client's.
	ProxyPrefix = "192.168.20.0/24"

	onPremisesAddress  = "192.168.10.10"
	onPremisesResolver = "192.168.10.2"
	proxyAddress       = "192.168.20.8"
	sitePublicAddress  = "203.0.113.10" // where on-premises connections leave from
	internetAddress    = "203.0.113.20" // a client "internet"
	internetResolver   = "203.0.113.53"
	internetProxy      = "203.0.113.30"

	// The first public addresses of virtual networks and of Azure Firewalls;
	// further ones follow in order of name.
	firstNetworkPublicAddress  = "198.51.100.4"
	firstFirewallPublicAddress = "198.51.100.100"

	// defaultPriority of firewall rules that name none. Equal priorities are
	// tried in order of name.
	defaultPriority = 1000
)

// OnPremises and Internet are the values of Site.At beside "vnet/subnet".
const (
	OnPremises = "on-premises"
	Internet   = "internet"
)

// WithDefaults is t with every default filled in that does not need the plan:
// what Azure assumes when a property is left out, and what the simulation
// chooses for the ground outside. It is deterministic, changes nothing in t and
// shares no memory with it; filling twice is the same as filling once. What is
// wrong stays wrong: see [Topology.Validate].
func (t *Topology) WithDefaults() Topology { return t.withDefaults(nil) }

// withDefaults keeps what was chosen for before, of which t is a changed
// version: a client or a private endpoint does not get another address because
// something else was added.
func (t *Topology) withDefaults(before *Topology) Topology {
	if before == nil {
		before = &Topology{}
	}
	out := Topology{
		VirtualNetworks:       map[string]VirtualNetwork{},
		NetworkSecurityGroups: map[string]NetworkSecurityGroup{},
		RouteTables:           map[string]RouteTable{},
		PrivateEndpoints:      map[string]PrivateEndpoint{},
		PrivateDNSZones:       map[string]PrivateDNSZone{},
		AzureFirewalls:        map[string]AzureFirewall{},
		DNSServers:            map[string]DNSServer{},
	}
	out.Registry = defaultRegistry(t, before)
	for name, v := range t.VirtualNetworks {
		out.VirtualNetworks[name] = defaultNetwork(v, out.Registry.Location)
	}
	for name, g := range t.NetworkSecurityGroups {
		out.NetworkSecurityGroups[name] = defaultGroup(g)
	}
	for name, r := range t.RouteTables {
		out.RouteTables[name] = RouteTable{Routes: nonNil(maps.Clone(r.Routes))}
	}
	for name, z := range t.PrivateDNSZones {
		out.PrivateDNSZones[name] = copyZone(z)
	}
	for name, f := range t.AzureFirewalls {
		out.AzureFirewalls[name] = defaultFirewall(f)
	}
	for name, s := range t.DNSServers {
		s.Forwarders = maps.Clone(s.Forwarders)
		out.DNSServers[name] = s
	}
	for name, e := range t.PrivateEndpoints {
		e.ConnectionState = cmp.Or(e.ConnectionState, "Approved") // automatic approval, azure.md 3.1
		e.Addresses = maps.Clone(e.Addresses)
		out.PrivateEndpoints[name] = e
	}
	out.Site = defaultSite(t.Site, out.Registry)
	out.choosePublicAddresses(before)
	out.choosePrivateAddresses(before)
	return out
}

// defaultRegistry: SKU Premium, since nearly everything here needs it; public
// network access Enabled and defaultAction Allow as Azure creates registries;
// data endpoints off, but on from the first private endpoint onwards, and not
// off again when it goes.
// https://learn.microsoft.com/azure/container-registry/container-registry-dedicated-data-endpoints
func defaultRegistry(t, before *Topology) *Registry {
	r := Registry{}
	if t.Registry != nil {
		r = *t.Registry
	}
	r.Name = cmp.Or(r.Name, "myregistry")
	r.Location = cmp.Or(r.Location, "eastus")
	r.SKU = cmp.Or(r.SKU, "Premium")
	r.PublicNetworkAccess = cmp.Or(r.PublicNetworkAccess, "Enabled")
	if r.DataEndpointEnabled == nil {
		on := len(t.PrivateEndpoints) > 0
		if before.Registry != nil && before.Registry.DataEndpointEnabled != nil {
			on = on || *before.Registry.DataEndpointEnabled && len(before.PrivateEndpoints) > 0
		}
		r.DataEndpointEnabled = &on
	} else {
		r.DataEndpointEnabled = pointer(*r.DataEndpointEnabled)
	}
	rules := NetworkRuleSet{}
	if r.NetworkRuleSet != nil {
		rules = *r.NetworkRuleSet
		rules.IPRules = slices.Clone(rules.IPRules)
		rules.VirtualNetworkRules = slices.Clone(rules.VirtualNetworkRules)
	}
	rules.DefaultAction = cmp.Or(rules.DefaultAction, "Allow")
	r.NetworkRuleSet = &rules
	replications := map[string]Replication{}
	for region, x := range r.Replications {
		x.RegionEndpointEnabled = pointer(x.RegionEndpointEnabled == nil || *x.RegionEndpointEnabled)
		replications[region] = x
	}
	r.Replications = replications
	repositories := map[string][]string{}
	for name, tags := range r.Repositories {
		if len(tags) == 0 {
			tags = []string{"latest"}
		}
		repositories[name] = slices.Clone(tags)
	}
	if len(repositories) == 0 {
		repositories["hello-world"] = []string{"latest"}
	}
	r.Repositories = repositories
	return &r
}

// defaultNetwork: the registry's region; peerings Connected and letting traffic
// in, which is what both halves of a peering are after `az network vnet peering
// create`; private endpoint network policies Disabled, as the CLI creates
// subnets (azure.md 3.2).
func defaultNetwork(v VirtualNetwork, location string) VirtualNetwork {
	v.Location = cmp.Or(v.Location, location)
	v.AddressPrefixes = slices.Clone(v.AddressPrefixes)
	v.DNSServers = slices.Clone(v.DNSServers)
	subnets := map[string]Subnet{}
	for name, s := range v.Subnets {
		s.ServiceEndpoints = slices.Clone(s.ServiceEndpoints)
		s.PrivateEndpointNetworkPolicies = cmp.Or(s.PrivateEndpointNetworkPolicies, "Disabled")
		subnets[name] = s
	}
	v.Subnets = subnets
	peerings := map[string]Peering{}
	for name, p := range v.Peerings {
		p.PeeringState = cmp.Or(p.PeeringState, "Connected")
		p.AllowVirtualNetworkAccess = pointer(p.AllowVirtualNetworkAccess == nil || *p.AllowVirtualNetworkAccess)
		peerings[name] = p
	}
	v.Peerings = peerings
	return v
}

// defaultGroup: a security rule that leaves protocol, address or port out means
// all of them. Priority, direction and access have no default in Azure either.
func defaultGroup(g NetworkSecurityGroup) NetworkSecurityGroup {
	rules := map[string]SecurityRule{}
	for name, r := range g.SecurityRules {
		r.Protocol = cmp.Or(r.Protocol, "*")
		r.SourceAddressPrefix = cmp.Or(r.SourceAddressPrefix, "*")
		r.DestinationAddressPrefix = cmp.Or(r.DestinationAddressPrefix, "*")
		r.DestinationPortRange = cmp.Or(r.DestinationPortRange, "*")
		rules[name] = r
	}
	return NetworkSecurityGroup{SecurityRules: rules}
}

// defaultFirewall: rules allow, since what none matches is denied anyway.
func defaultFirewall(f AzureFirewall) AzureFirewall {
	network := map[string]FirewallNetworkRule{}
	for name, r := range f.NetworkRules {
		r.Priority = cmp.Or(r.Priority, defaultPriority)
		r.Action = cmp.Or(r.Action, "Allow")
		r.DestinationAddresses = orAll(r.DestinationAddresses, "*")
		r.DestinationPorts = orAll(r.DestinationPorts, "*")
		r.IPProtocols = orAll(r.IPProtocols, "Any")
		network[name] = r
	}
	f.NetworkRules = network
	application := map[string]FirewallApplicationRule{}
	for name, r := range f.ApplicationRules {
		r.Priority = cmp.Or(r.Priority, defaultPriority)
		r.Action = cmp.Or(r.Action, "Allow")
		r.TargetFQDNs = slices.Clone(r.TargetFQDNs)
		application[name] = r
	}
	f.ApplicationRules = application
	return f
}

// copyZone keeps the difference between records left out (what the zone groups
// write) and records given as none.
func copyZone(z PrivateDNSZone) PrivateDNSZone {
	if z.Records != nil {
		records := map[string][]string{}
		for name, addresses := range z.Records {
			records[name] = slices.Clone(addresses)
		}
		z.Records = records
	}
	z.Links = slices.Clone(z.Links)
	z.WithoutRecords = slices.Clone(z.WithoutRecords)
	return z
}

func orAll(list []string, all string) []string {
	if len(list) == 0 {
		return []string{all}
	}
	return slices.Clone(list)
}

func nonNil[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return map[K]V{}
	}
	return m
}

func pointer(b bool) *bool { return &b }

// next is the address n steps after a.
func next(a netip.Addr, n int) netip.Addr {
	for range n {
		a = a.Next()
	}
	return a
}
