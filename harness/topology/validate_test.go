package topology

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAzureWouldRefuse(t *testing.T) {
	many := make([]string, 201)
	for i := range many {
		many[i] = fmt.Sprintf("20.0.%d.%d", i/250, i%250)
	}
	for name, c := range map[string]struct{ base, setup, want string }{
		"overlapping networks": {"public", "virtualNetworks: {other: {addressPrefixes: [10.1.128.0/17]}}",
			`virtualNetworks.other.addressPrefixes[0]: 10.1.128.0/17 overlaps virtual network app (10.1.0.0/16)`},
		"network over the on-premises one": {"behind-firewall", "virtualNetworks: {v: {addressPrefixes: [192.168.0.0/16]}}",
			`192.168.0.0/16 overlaps the on-premises network (192.168.10.0/24)`},
		"network over the proxy's": {"behind-proxy", "virtualNetworks: {v: {addressPrefixes: [192.168.20.0/24]}}",
			`192.168.20.0/24 overlaps the proxy's network`},
		"overlapping subnets": {"public", "virtualNetworks: {app: {subnets: {z: {addressPrefix: 10.1.1.128/25}}}}",
			`10.1.1.128/25 overlaps subnet clients (10.1.1.0/24)`},
		"subnet outside": {"public", "virtualNetworks: {app: {subnets: {z: {addressPrefix: 10.2.1.0/24}}}}",
			`virtualNetworks.app.subnets.z.addressPrefix: 10.2.1.0/24 lies outside its virtual network (10.1.0.0/16)`},
		"subnet too small":        {"public", "virtualNetworks: {app: {subnets: {z: {addressPrefix: 10.1.2.0/30}}}}", `10.1.2.0/30 is too small`},
		"prefix with host bits":   {"public", "virtualNetworks: {app: {subnets: {z: {addressPrefix: 10.1.2.1/24}}}}", `10.1.2.1/24 has bits beyond its mask; write 10.1.2.0/24`},
		"no prefix":               {"public", "virtualNetworks: {v: {}}", `virtual network v has no addressPrefixes`},
		"client nowhere":          {"public", "site: {at: null}", `the client stands nowhere`},
		"client in no network":    {"public", "site: {at: ap/clients}", `site.at: there is no virtual network "ap", did you mean "app"?`},
		"client in no subnet":     {"public", "site: {at: app/client}", `virtual network app has no subnet "client", did you mean "clients"?`},
		"client without a slash":  {"public", "site: {at: premises}", `"premises" is no subnet; write it as network/subnet`},
		"client outside":          {"public", "site: {address: 10.1.2.4}", `site.address: 10.1.2.4 lies outside subnet app/clients (10.1.1.0/24)`},
		"reserved first":          {"public", "site: {address: 10.1.1.3}", `Azure reserves 10.1.1.3`},
		"reserved last":           {"public", "site: {address: 10.1.1.255}", `Azure reserves 10.1.1.255`},
		"the same address twice":  {"custom-dns", "site: {at: hub/dns, address: 10.0.3.4}", `10.0.3.4 is the address of DNS server dns1 as well`},
		"missing security group":  {"public", "virtualNetworks: {app: {subnets: {clients: {networkSecurityGroup: nsg}}}}", `there is no network security group "nsg"; there is none`},
		"missing route table":     {"azure-firewall", "virtualNetworks: {hub: {subnets: {clients: {routeTable: trough-firewall}}}}", `did you mean "through-firewall"?`},
		"missing peer":            {"public", "virtualNetworks: {app: {peerings: {hub: {}}}}", `virtualNetworks.app.peerings.hub: there is no virtual network "hub"`},
		"link to nothing":         {"private-endpoint", "privateDnsZones: {privatelink.azurecr.io: {links: [hbu]}}", `privateDnsZones."privatelink.azurecr.io".links[0]: there is no virtual network "hbu", did you mean "hub"?`},
		"record that is not":      {"private-endpoint", "privateDnsZones: {privatelink.azurecr.io: {withoutRecords: [myregistri]}}", `did you mean "myregistry"?`},
		"rule for no subnet":      {"service-endpoint", "registry: {networkRuleSet: {virtualNetworkRules: [app/none]}}", `virtual network app has no subnet "none"`},
		"endpoint member":         {"private-endpoint", "privateEndpoints: {pe-registry: {addresses: {registry_data_westus: 10.0.2.9}}}", `the registry has no member "registry_data_westus"`},
		"endpoint address":        {"private-endpoint", "privateEndpoints: {pe-registry: {addresses: {registry: 10.0.1.9}}}", `10.0.1.9 lies outside subnet hub/endpoints`},
		"endpoint subnet full":    {"private-endpoint", "virtualNetworks: {hub: {subnets: {endpoints: {addressPrefix: 10.0.2.0/29}}}}\n  registry: {replications: {westus: {}, westeurope: {}}}", `subnet hub/endpoints has no free address for member registry`},
		"endpoint without subnet": {"public", "privateEndpoints: {pe: {}}", `subnet is missing`},
		"registry name":           {"public", "registry: {name: my-registry}", `registry.name: "my-registry" is no registry name; it is 5 to 50 letters and digits`},
		"registry region":         {"public", "registry: {location: East US}", `"East US" is no region`},
		"replica at home":         {"public", "registry: {replications: {eastus: {}}}", `eastus is the registry's own region`},
		"tag":                     {"public", "registry: {repositories: {hello-world: [-]}}", `"-" is no tag`},
		"repository":              {"public", "registry: {repositories: {Hello: [latest]}}", `"Hello" is no repository name`},
		"201 rules":               {"public", "registry: {networkRuleSet: {ipRules: [" + strings.Join(many, ", ") + "]}}", `201 IP rules; a registry takes 200`},
		"rule of no address":      {"public", "registry: {networkRuleSet: {ipRules: [home]}}", `"home" is no address or prefix`},
		"rules without Premium":   {"public", "registry: {sku: Basic, networkRuleSet: {defaultAction: Deny}}", `network rules need SKU Premium, the registry is Basic`},
		"replica without Premium": {"geo-replicated", "registry: {sku: Standard}", `replicas need SKU Premium`},
		"priority twice":          {"public", "networkSecurityGroups: {n: {securityRules: {a: {priority: 100, direction: Inbound, access: Deny}, b: {priority: 100, direction: Inbound, access: Allow}}}}", `rule a has priority 100 as well`},
		"priority too low":        {"public", "networkSecurityGroups: {n: {securityRules: {a: {priority: 99, direction: Inbound, access: Deny}}}}", `priority is 99; Azure takes 100 to 4096`},
		"rule without direction":  {"public", "networkSecurityGroups: {n: {securityRules: {a: {priority: 100, access: Deny}}}}", `direction is missing`},
		"odd ports":               {"public", "networkSecurityGroups: {n: {securityRules: {a: {priority: 100, direction: Inbound, access: Deny, destinationPortRange: 9-1}}}}", `"9-1" is no port range`},
		"odd destination":         {"public", "networkSecurityGroups: {n: {securityRules: {a: {priority: 100, direction: Inbound, access: Deny, destinationAddressPrefix: a b}}}}", `"a b" is no address, prefix or service tag`},
		"route without hop":       {"azure-firewall", "routeTables: {through-firewall: {routes: {default: {nextHopIpAddress: null}}}}", `routeTables.through-firewall.routes.default.nextHopIpAddress: "" is no IPv4 address`},
		"hop of the internet":     {"azure-firewall", "routeTables: {through-firewall: {routes: {default: {nextHopType: Internet}}}}", `only a next hop of type VirtualAppliance has an address`},
		"firewall elsewhere":      {"azure-firewall", "azureFirewalls: {fw: {subnet: hub/clients, privateIPAddress: 10.0.1.9}}", `AzureFirewallSubnet alone`},
		"resolver in Azure":       {"public", "site: {resolver: {address: 1.1.1.1}}", `a client in a virtual network asks that network's dnsServers; set virtualNetworks.app.dnsServers`},
		"firewall in Azure":       {"public", "site: {firewall: {default: drop}}", `only a client on-premises stands behind a corporate firewall`},
		"identity outside":        {"behind-firewall", "site: {identity: system}", `only a client in a virtual network has a managed identity`},
		"identity's name":         {"public", "site: {identity: a/b}", `"a/b" is no identity; write system, or a name of 3 to 128 letters`},
		"VPN to nothing":          {"behind-firewall", "site: {vpn: hub}", `site.vpn: there is no virtual network "hub"`},
		"bare address":            {"behind-firewall", "site: {firewall: {rules: {x: {to: [10.0.0.1]}}}}", `write the address 10.0.0.1 as 10.0.0.1/32`},
		"port":                    {"behind-firewall", "site: {firewall: {rules: {x: {ports: [70000]}}}}", `70000 is no port`},
		"proxy elsewhere":         {"behind-proxy", "site: {proxy: {address: 10.0.0.1}}", `10.0.0.1 is no host's address in 192.168.20.0/24 or 192.168.10.0/24`},
		"proxy on the resolver":   {"behind-proxy", "site: {proxy: {address: 192.168.10.2}}", `192.168.10.2 is the address of the resolver as well`},
		"proxy in a subnet":       {"public", "site: {address: 10.1.1.4, proxy: {address: 10.1.1.4}}", `10.1.1.4 is the address of the client as well`},
		"exempt from nothing":     {"behind-proxy", "site: {proxy: {exempt: [a.example]}}", `inspect is not set`},
		"image":                   {"public", "site: {image: hello-world}", `"hello-world" is no image`},
		"hosts":                   {"public", "site: {hosts: {myregistry.azurecr.io: somewhere}}", `"somewhere" is no IPv4 address`},
		"forwarder":               {"custom-dns", "dnsServers: {dns1: {forwarders: {azurecr.io: azure}}}", `"azure" is no IPv4 address`},
		"private public address":  {"public", "virtualNetworks: {app: {publicIPAddress: 10.0.0.1}}", `10.0.0.1 is no public address`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode("scenarios/x/scenario.yaml", "x", []byte("title: t\nbase: "+c.base+"\nsetup:\n  "+c.setup+"\n"))
			require.ErrorContains(t, err, c.want)
			require.Regexp(t, `^scenarios/x/scenario.yaml:[2-9]:\d+: `, err.Error(), "it has a place")
		})
	}
}

func TestValidateOfATopologyFromCodeChecksWords(t *testing.T) {
	b, err := Base("public")
	require.NoError(t, err)
	b.Registry.SKU = "premium"
	require.ErrorContains(t, b.Validate(), `registry.sku: unknown value "premium"; want Premium, Standard or Basic`)
	b.Registry.SKU = "Premium"
	b.NetworkSecurityGroups["../x"] = NetworkSecurityGroup{}
	require.ErrorContains(t, b.Validate(), `"../x" is no valid Azure name`)
}

func TestValidateOfAnythingDoesNotPanic(t *testing.T) {
	require.Error(t, new(Topology).Validate())
	odd := Topology{
		Registry:              &Registry{},
		NetworkSecurityGroups: map[string]NetworkSecurityGroup{"n": {SecurityRules: map[string]SecurityRule{"r": {}}}},
		AzureFirewalls:        map[string]AzureFirewall{"f": {NetworkRules: map[string]FirewallNetworkRule{"r": {DestinationAddresses: []string{""}}}}},
		PrivateEndpoints:      map[string]PrivateEndpoint{"p": {}},
		Site:                  &Site{At: "/", Proxy: &Proxy{}, Firewall: &Firewall{Rules: map[string]FirewallRule{"r": {To: []string{""}}}}, Resolver: &Resolver{}},
	}
	require.Error(t, odd.Validate())
	filled := odd.WithDefaults()
	require.Error(t, filled.Validate())
}
