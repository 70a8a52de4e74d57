package state

import "strings"

// Resource types, as ARM spells them.
const (
	TypeRegistry          = "Microsoft.ContainerRegistry/registries"
	TypeReplication       = "Microsoft.ContainerRegistry/registries/replications"
	TypeConnection        = "Microsoft.ContainerRegistry/registries/privateEndpointConnections"
	TypeVirtualNetwork    = "Microsoft.Network/virtualNetworks"
	TypeSecurityGroup     = "Microsoft.Network/networkSecurityGroups"
	TypeRouteTable        = "Microsoft.Network/routeTables"
	TypePrivateEndpoint   = "Microsoft.Network/privateEndpoints"
	TypeZoneGroup         = "Microsoft.Network/privateEndpoints/privateDnsZoneGroups"
	TypeNetworkInterface  = "Microsoft.Network/networkInterfaces"
	TypePrivateDNSZone    = "Microsoft.Network/privateDnsZones"
	TypeARecord           = "Microsoft.Network/privateDnsZones/A"
	TypeVirtualNetLink    = "Microsoft.Network/privateDnsZones/virtualNetworkLinks"
	TypeFirewall          = "Microsoft.Network/azureFirewalls"
	TypeFirewallPolicy    = "Microsoft.Network/firewallPolicies"
	TypeRuleCollGroup     = "Microsoft.Network/firewallPolicies/ruleCollectionGroups"
	TypePublicIPAddress   = "Microsoft.Network/publicIPAddresses"
	TypeNATGateway        = "Microsoft.Network/natGateways"
	TypeVirtualMachine    = "Microsoft.Compute/virtualMachines"
	TypeResourceGroup     = "Microsoft.Resources/resourceGroups"
	subscriptionScopePath = "/subscriptions/" + Subscription
)

// ID is the id of a resource in the simulation's resource group. For a child
// type ("…/registries/replications") names are given outermost first.
func ID(typ string, names ...string) string {
	provider, kinds, _ := strings.Cut(typ, "/")
	var b strings.Builder
	b.WriteString(subscriptionScopePath + "/resourceGroups/" + ResourceGroup + "/providers/" + provider)
	for i, kind := range strings.Split(kinds, "/") {
		b.WriteString("/" + kind)
		if i < len(names) {
			b.WriteString("/" + names[i])
		}
	}
	return b.String()
}

// SubnetID is the id of a subnet, which is part of its network's resource.
func SubnetID(vnet, subnet string) string {
	return ID(TypeVirtualNetwork, vnet) + "/subnets/" + subnet
}

// Key is the form of an id under which [azure.State] keeps a resource: ARM
// compares ids without regard to case.
func Key(id string) string { return strings.ToLower(strings.TrimSuffix(id, "/")) }

// Name is the last segment of an id.
func Name(id string) string { return id[strings.LastIndexByte(id, '/')+1:] }

// Parent is the id without its last type and name.
func Parent(id string) string {
	for range 2 {
		i := strings.LastIndexByte(id, '/')
		if i < 0 {
			return ""
		}
		id = id[:i]
	}
	return id
}

// SplitSubnet divides "vnet/subnet".
func SplitSubnet(s string) (vnet, subnet string, ok bool) {
	vnet, subnet, ok = strings.Cut(s, "/")
	return vnet, subnet, ok && vnet != "" && subnet != "" && !strings.Contains(subnet, "/")
}

// ClientNIC is the id of the client's network interface, present when the
// client stands in a virtual network.
func ClientNIC() string { return ID(TypeNetworkInterface, clientVM+"-nic") }

// ProxyNIC is the id of the proxy's network interface, present when the proxy
// stands in a virtual network.
func ProxyNIC() string { return ID(TypeNetworkInterface, proxyVM+"-nic") }

// DNSServerNIC is the id of the network interface of a DNS server.
func DNSServerNIC(name string) string { return ID(TypeNetworkInterface, name+"-nic") }
