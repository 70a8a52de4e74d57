package state

import (
	"fmt"
	"slices"
	"strings"
)

func (b *builder) securityGroups() error {
	for _, name := range keys(b.t.NetworkSecurityGroups) {
		g := b.t.NetworkSecurityGroups[name]
		id := ID(TypeSecurityGroup, name)
		rules := []object{}
		names := keys(g.SecurityRules)
		// ARM returns rules in the order of creation; by priority reads best.
		slices.SortStableFunc(names, func(x, y string) int {
			return g.SecurityRules[x].Priority - g.SecurityRules[y].Priority
		})
		for _, rule := range names {
			r := g.SecurityRules[rule]
			rules = append(rules, object{
				"id": id + "/securityRules/" + rule, "name": rule, "type": TypeSecurityGroup + "/securityRules",
				"properties": object{
					"provisioningState": "Succeeded", "priority": r.Priority,
					"direction": or(r.Direction, "Outbound"), "access": or(r.Access, "Allow"), "protocol": or(r.Protocol, "*"),
					"sourceAddressPrefix": or(r.SourceAddressPrefix, "*"), "sourceAddressPrefixes": []string{},
					"sourcePortRange": "*", "sourcePortRanges": []string{},
					"destinationAddressPrefix": or(r.DestinationAddressPrefix, "*"), "destinationAddressPrefixes": []string{},
					"destinationPortRange": or(r.DestinationPortRange, "*"), "destinationPortRanges": []string{},
				},
			})
		}
		b.put(id, TypeSecurityGroup, b.location, nil, object{
			"provisioningState": "Succeeded", "securityRules": rules, "defaultSecurityRules": defaultSecurityRules(id),
		})
	}
	return nil
}

// DefaultSecurityRules are those that every network security group ends with.
// https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview#default-security-rules
func DefaultSecurityRules() []SecurityRule {
	rule := func(name string, priority int, direction, access, source, destination string) SecurityRule {
		return SecurityRule{Name: name, Properties: SecurityRuleProperties{
			Priority: priority, Direction: direction, Access: access, Protocol: "*",
			SourceAddressPrefix: source, SourcePortRange: "*",
			DestinationAddressPrefix: destination, DestinationPortRange: "*",
		}}
	}
	return []SecurityRule{
		rule("AllowVnetInBound", 65000, "Inbound", "Allow", "VirtualNetwork", "VirtualNetwork"),
		rule("AllowAzureLoadBalancerInBound", 65001, "Inbound", "Allow", "AzureLoadBalancer", "*"),
		rule("DenyAllInBound", 65500, "Inbound", "Deny", "*", "*"),
		rule("AllowVnetOutBound", 65000, "Outbound", "Allow", "VirtualNetwork", "VirtualNetwork"),
		rule("AllowInternetOutBound", 65001, "Outbound", "Allow", "*", "Internet"),
		rule("DenyAllOutBound", 65500, "Outbound", "Deny", "*", "*"),
	}
}

func defaultSecurityRules(group string) []object {
	var rules []object
	for _, r := range DefaultSecurityRules() {
		rules = append(rules, object{
			"id": group + "/defaultSecurityRules/" + r.Name, "name": r.Name,
			"type": TypeSecurityGroup + "/defaultSecurityRules",
			"properties": object{
				"provisioningState": "Succeeded", "priority": r.Properties.Priority,
				"direction": r.Properties.Direction, "access": r.Properties.Access, "protocol": r.Properties.Protocol,
				"sourceAddressPrefix": r.Properties.SourceAddressPrefix, "sourcePortRange": "*",
				"destinationAddressPrefix": r.Properties.DestinationAddressPrefix, "destinationPortRange": "*",
			},
		})
	}
	return rules
}

func (b *builder) routeTables() error {
	for _, name := range keys(b.t.RouteTables) {
		id := ID(TypeRouteTable, name)
		routes := []object{}
		for _, route := range keys(b.t.RouteTables[name].Routes) {
			r := b.t.RouteTables[name].Routes[route]
			p := object{"provisioningState": "Succeeded", "addressPrefix": r.AddressPrefix, "nextHopType": or(r.NextHopType, "None"), "hasBgpOverride": false}
			if r.NextHopIPAddress != "" {
				p["nextHopIpAddress"] = r.NextHopIPAddress
			}
			routes = append(routes, object{"id": id + "/routes/" + route, "name": route, "type": TypeRouteTable + "/routes", "properties": p})
		}
		b.put(id, TypeRouteTable, b.location, nil, object{
			"provisioningState": "Succeeded", "disableBgpRoutePropagation": false, "routes": routes,
		})
	}
	return nil
}

func (b *builder) virtualNetworks() error {
	for _, name := range keys(b.t.VirtualNetworks) {
		v := b.t.VirtualNetworks[name]
		id := ID(TypeVirtualNetwork, name)
		location := or(Location(v.Location), b.location)
		if v.PublicIPAddress != "" {
			b.natGateway(name, location, v.PublicIPAddress)
		}
		subnets := []object{}
		for _, subnet := range keys(v.Subnets) {
			s, err := b.subnet(name, subnet)
			if err != nil {
				return fmt.Errorf("subnet %s/%s: %w", name, subnet, err)
			}
			subnets = append(subnets, s)
		}
		peerings := []object{}
		for _, remote := range keys(v.Peerings) {
			if _, ok := b.t.VirtualNetworks[remote]; !ok {
				return fmt.Errorf("virtual network %s is peered with %q, which does not exist", name, remote)
			}
			p := v.Peerings[remote]
			access := p.AllowVirtualNetworkAccess == nil || *p.AllowVirtualNetworkAccess
			peerings = append(peerings, object{
				"id": id + "/virtualNetworkPeerings/" + remote, "name": remote, "type": TypeVirtualNetwork + "/virtualNetworkPeerings",
				"properties": object{
					"provisioningState": "Succeeded", "peeringState": or(p.PeeringState, "Connected"),
					"allowVirtualNetworkAccess": access, "allowForwardedTraffic": p.AllowForwardedTraffic,
					"allowGatewayTransit": false, "useRemoteGateways": false,
					"remoteVirtualNetwork": reference(ID(TypeVirtualNetwork, remote)),
					"remoteAddressSpace":   object{"addressPrefixes": orEmpty(b.t.VirtualNetworks[remote].AddressPrefixes)},
				},
			})
		}
		p := object{
			"provisioningState": "Succeeded", "addressSpace": object{"addressPrefixes": orEmpty(v.AddressPrefixes)},
			"subnets": subnets, "virtualNetworkPeerings": peerings, "enableDdosProtection": false,
		}
		if len(v.DNSServers) > 0 {
			p["dhcpOptions"] = object{"dnsServers": v.DNSServers}
		}
		b.put(id, TypeVirtualNetwork, location, nil, p)
	}
	return nil
}

func (b *builder) subnet(vnet, name string) (object, error) {
	s := b.t.VirtualNetworks[vnet].Subnets[name]
	p := object{
		"provisioningState": "Succeeded", "addressPrefix": s.AddressPrefix, "delegations": []string{},
		"privateEndpointNetworkPolicies":    or(s.PrivateEndpointNetworkPolicies, "Disabled"),
		"privateLinkServiceNetworkPolicies": "Enabled",
	}
	if g := s.NetworkSecurityGroup; g != "" {
		if _, ok := b.t.NetworkSecurityGroups[g]; !ok {
			return nil, fmt.Errorf("there is no network security group %q", g)
		}
		p["networkSecurityGroup"] = reference(ID(TypeSecurityGroup, g))
	}
	if r := s.RouteTable; r != "" {
		if _, ok := b.t.RouteTables[r]; !ok {
			return nil, fmt.Errorf("there is no route table %q", r)
		}
		p["routeTable"] = reference(ID(TypeRouteTable, r))
	}
	if len(s.ServiceEndpoints) > 0 {
		var eps []object
		for _, service := range s.ServiceEndpoints {
			eps = append(eps, object{"service": service, "locations": []string{"*"}, "provisioningState": "Succeeded"})
		}
		p["serviceEndpoints"] = eps
	}
	// A NAT gateway cannot serve a gateway subnet, and a firewall has an address of its own.
	if b.t.VirtualNetworks[vnet].PublicIPAddress != "" && name != "GatewaySubnet" && !b.isFirewallSubnet(vnet+"/"+name) {
		p["natGateway"] = reference(ID(TypeNATGateway, vnet+"-nat"))
	}
	var endpoints []object
	for _, pe := range keys(b.t.PrivateEndpoints) {
		if b.t.PrivateEndpoints[pe].Subnet == vnet+"/"+name {
			endpoints = append(endpoints, reference(ID(TypePrivateEndpoint, pe)))
		}
	}
	if endpoints != nil {
		p["privateEndpoints"] = endpoints
	}
	return object{"id": SubnetID(vnet, name), "name": name, "type": TypeVirtualNetwork + "/subnets", "properties": p}, nil
}

func (b *builder) isFirewallSubnet(name string) bool {
	if strings.HasSuffix(name, "/AzureFirewallSubnet") {
		return true
	}
	for _, f := range b.t.AzureFirewalls {
		if f.Subnet == name {
			return true
		}
	}
	return false
}

func (b *builder) natGateway(vnet, location, address string) {
	ip, nat := ID(TypePublicIPAddress, vnet+"-nat-ip"), ID(TypeNATGateway, vnet+"-nat")
	b.publicIP(ip, location, address, object{"natGateway": reference(nat)})
	b.put(nat, TypeNATGateway, location, object{"name": "Standard"}, object{
		"provisioningState": "Succeeded", "idleTimeoutInMinutes": 4, "publicIpAddresses": []object{reference(ip)},
	})
}

func (b *builder) publicIP(id, location, address string, extra object) {
	p := object{
		"provisioningState": "Succeeded", "ipAddress": address, "publicIPAddressVersion": "IPv4",
		"publicIPAllocationMethod": "Static", "idleTimeoutInMinutes": 4,
	}
	for k, v := range extra {
		p[k] = v
	}
	b.put(id, TypePublicIPAddress, location, object{"name": "Standard", "tier": "Regional"}, p)
}
