package infer

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/acrlab/acrlab/diagnoser/inventory"
	"github.com/acrlab/acrlab/diagnoser/probe"
)

// The world of these tests: a registry in eastus, a private endpoint in the
// virtual network "hub", a client in "spoke" or in "hub".
const (
	login   = "myregistry.azurecr.io"
	data    = "myregistry.eastus.data.azurecr.io"
	data2   = "myregistry.westeurope.data.azurecr.io"
	storage = "eusmanaged15.blob.core.windows.net"
	sub     = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/"
)

var (
	publicLogin = netip.MustParseAddr("20.62.128.38")
	publicData  = netip.MustParseAddr("20.62.130.4")
	publicBlob  = netip.MustParseAddr("20.60.1.4")
	peLogin     = netip.MustParseAddr("10.0.2.5")
	peData      = netip.MustParseAddr("10.0.2.4")
	clientIP    = netip.MustParseAddr("10.0.1.4")
	egressIP    = netip.MustParseAddr("203.0.113.10")
	corpDNS     = netip.MustParseAddr("10.0.3.4")
	publicDNS   = netip.MustParseAddr("8.8.8.8")
)

func ptr[T any](v T) *T { return &v }

func chain(name string, private bool) []probe.CNAME {
	var out []probe.CNAME
	at := name
	hop := func(to string) {
		out = append(out, probe.CNAME{Name: at, Target: to})
		at = to
	}
	if private {
		hop("myregistry" + name[len("myregistry"):len(name)-len("azurecr.io")] + "privatelink.azurecr.io")
	}
	hop("eus-1.fe.azcr.io")
	hop("r0318eus-az.eastus.cloudapp.azure.com")
	return out
}

func lookup(name string, kind probe.ResolverKind, resolver netip.Addr, code probe.RCode, c []probe.CNAME, addrs ...netip.Addr) probe.Lookup {
	return probe.Lookup{Name: name, Kind: kind, Resolver: resolver, RCode: code, Chain: c, Addrs: addrs, TTL: 10, Took: 4 * time.Millisecond}
}

// reportFor is a healthy pull from a public registry with storage redirects.
func reportFor(inVNet bool) *probe.Report {
	r := &probe.Report{
		Target:  probe.Target{Host: login, Repository: "hello-world", Reference: "latest", Suffix: "azurecr.io"},
		Vantage: probe.Vantage{Source: clientIP, InAzureVNet: ptr(inVNet), Resolvers: []netip.Addr{azureDNS}},
		Control: []probe.Path{sound("mcr.microsoft.com", probe.RoleMCR, netip.MustParseAddr("20.98.160.4"))},
	}
	if !inVNet {
		r.Vantage.Resolvers = []netip.Addr{corpDNS}
	}
	r.Lookups = []probe.Lookup{
		lookup(login, probe.Configured, r.Vantage.Resolvers[0], probe.NoError, chain(login, false), publicLogin),
		lookup(login, probe.PublicDNS, publicDNS, probe.NoError, chain(login, false), publicLogin),
		lookup("mcr.microsoft.com", probe.Configured, r.Vantage.Resolvers[0], probe.NoError, nil, netip.MustParseAddr("20.98.160.4")),
	}
	r.Paths = []probe.Path{sound(login, probe.RoleLogin, publicLogin)}
	healthyAPI(r, storage, publicBlob)
	return r
}

func healthyAPI(r *probe.Report, host string, at netip.Addr) {
	p := sound(host, roleOf(host), at)
	r.API = &probe.API{
		Challenge: &probe.Challenge{Answer: probe.ByRegistry, Scheme: "Bearer", HTTP: probe.HTTP{Method: "GET", URL: "https://" + login + "/v2/", Status: 401}},
		Token:     &probe.Token{Source: "docker-config", Granted: true},
		Manifest:  &probe.Step{OK: true, HTTP: probe.HTTP{Status: 200}},
		Blob:      &probe.Blob{Digest: "sha256:0123456789abcdef0123", Redirect: probe.HTTP{Status: 307}, Host: host, Path: &p, OK: true},
	}
}

func sound(host string, role probe.EndpointRole, at netip.Addr) probe.Path {
	return probe.Path{Host: host, Port: 443, Role: role, Via: probe.Direct, Shell: true, Daemon: true, Addr: at,
		TCP:  &probe.TCP{Outcome: probe.Connected, Took: 3 * time.Millisecond},
		TLS:  &probe.TLS{ServerName: host, Outcome: probe.Verified, Issuer: "CN=Microsoft Azure RSA TLS Issuing CA 03,O=Microsoft Corporation,C=US", IssuerOrg: "Microsoft Corporation"},
		HTTP: &probe.HTTP{Method: "GET", Status: 401}}
}

// broken cuts a path at TCP.
func broken(p probe.Path, o probe.TCPOutcome) probe.Path {
	p.TCP, p.TLS, p.HTTP = &probe.TCP{Outcome: o, Retransmissions: 2, Took: 3 * time.Second}, nil, nil
	return p
}

// privateReport is a healthy pull by the private endpoint.
func privateReport() *probe.Report {
	r := reportFor(true)
	r.Lookups = []probe.Lookup{
		lookup(login, probe.Configured, azureDNS, probe.NoError, chain(login, true)[:1], peLogin),
		lookup(login, probe.PublicDNS, publicDNS, probe.NoError, chain(login, true), publicLogin),
		lookup(data, probe.Configured, azureDNS, probe.NoError, chain(data, true)[:1], peData),
		lookup(data, probe.PublicDNS, publicDNS, probe.NoError, chain(data, true), publicData),
	}
	r.Paths = []probe.Path{sound(login, probe.RoleLogin, peLogin), sound(data, probe.RoleData, peData)}
	healthyAPI(r, data, peData)
	return r
}

// noAPI is what a client sees that cannot get through.
func noAPI(r *probe.Report) {
	r.API = &probe.API{Challenge: &probe.Challenge{Answer: probe.NotAnswering}}
}

// denied is the registry's 403.
func denied(r *probe.Report, ip netip.Addr) {
	r.API = &probe.API{Challenge: &probe.Challenge{Answer: probe.ByRegistry, Denied: true, DeniedIP: ip, HTTP: probe.HTTP{Status: 403}}}
}

// publicByMistake: the registry has a private endpoint, names lead to the
// public one, which refuses.
func publicByMistake() *probe.Report {
	r := privateReport()
	r.Lookups = []probe.Lookup{
		lookup(login, probe.Configured, azureDNS, probe.NoError, chain(login, true), publicLogin),
		lookup(login, probe.PublicDNS, publicDNS, probe.NoError, chain(login, true), publicLogin),
		lookup(data, probe.Configured, azureDNS, probe.NoError, chain(data, true), publicData),
	}
	r.Paths = []probe.Path{sound(login, probe.RoleLogin, publicLogin), sound(data, probe.RoleData, publicData)}
	denied(r, egressIP)
	return r
}

func known() map[inventory.Part]inventory.Status {
	out := map[inventory.Part]inventory.Status{}
	for _, p := range inventory.Parts() {
		out[p] = inventory.Status{Known: true}
	}
	return out
}

func prefix(s string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(s)} }

// azure is a whole inventory: one network with the client and the private
// endpoint, a linked zone, nothing in the way.
func azure() *inventory.Inventory {
	net := sub + "Microsoft.Network/virtualNetworks/hub"
	inv := &inventory.Inventory{
		Status: known(), Subscriptions: []string{"00000000-0000-0000-0000-000000000001"},
		Registry: &inventory.Registry{ID: sub + "Microsoft.ContainerRegistry/registries/myregistry", Name: "myregistry", LoginServer: login,
			PublicNetworkAccess: "Disabled", DefaultAction: "Deny", DataEndpointEnabled: true, DataEndpointHosts: []string{data},
			Connections: []inventory.Connection{{ID: sub + "Microsoft.ContainerRegistry/registries/myregistry/privateEndpointConnections/c1", Name: "c1", PrivateEndpointID: sub + "Microsoft.Network/privateEndpoints/pe", Status: "Approved"}}},
		Endpoints: []inventory.PrivateEndpoint{{ID: sub + "Microsoft.Network/privateEndpoints/pe", Name: "pe", Exists: true, Status: "Approved", SubnetID: net + "/subnets/pe",
			Members: []inventory.Member{{Name: "registry_data_eastus", Address: peData, FQDNs: []string{data}}, {Name: "registry", Address: peLogin, FQDNs: []string{login}}}}},
		Zones: []inventory.PrivateZone{{ID: sub + "Microsoft.Network/privateDnsZones/privatelink.azurecr.io", Name: "privatelink.azurecr.io",
			Links:   []inventory.ZoneLink{{ID: sub + "Microsoft.Network/privateDnsZones/privatelink.azurecr.io/virtualNetworkLinks/hub", Name: "hub", NetworkID: net, State: "Completed"}},
			Records: map[string][]netip.Addr{"myregistry": {peLogin}, "myregistry.eastus.data": {peData}}}},
		Networks: []inventory.VirtualNetwork{{ID: net, Name: "hub", Prefixes: prefix("10.0.0.0/16"), Raw: json.RawMessage(`{"id":"` + net + `","etag":"W/1","properties":{"dhcpOptions":{"dnsServers":["10.0.3.4"]},"subnets":[{"name":"clients","properties":{"addressPrefix":"10.0.1.0/24"}}]}}`),
			Subnets: []inventory.Subnet{
				{ID: net + "/subnets/clients", Name: "clients", Prefixes: prefix("10.0.1.0/24")},
				{ID: net + "/subnets/pe", Name: "pe", Prefixes: prefix("10.0.2.0/24"), PrivateEndpointPolicies: "Disabled"},
				{ID: net + "/subnets/dns", Name: "dns", Prefixes: prefix("10.0.3.0/24")},
			}}},
	}
	return inv
}

// publicAzure is a registry without private endpoint whose client is in a
// virtual network.
func publicAzure() *inventory.Inventory {
	inv := azure()
	inv.Registry.PublicNetworkAccess, inv.Registry.DefaultAction, inv.Registry.Connections = "Enabled", "Allow", nil
	inv.Registry.DataEndpointEnabled, inv.Registry.DataEndpointHosts = false, nil
	inv.Endpoints, inv.Zones = nil, nil
	return inv
}

func withGroup(inv *inventory.Inventory, subnet int, rules ...inventory.SecurityRule) *inventory.Inventory {
	id := sub + "Microsoft.Network/networkSecurityGroups/nsg"
	inv.SecurityGroups = []inventory.SecurityGroup{{ID: id, Name: "nsg", Rules: rules}}
	inv.Networks[0].Subnets[subnet].SecurityGroupID = id
	return inv
}

func denyRule(direction, to string) inventory.SecurityRule {
	return inventory.SecurityRule{Name: "deny", Priority: 200, Direction: direction, Access: "Deny", Protocol: "*", Sources: []string{"*"}, Destinations: []string{to}, DestinationPorts: []string{"443"}}
}

func withRoute(inv *inventory.Inventory, prefix, hop string, ip netip.Addr) *inventory.Inventory {
	id := sub + "Microsoft.Network/routeTables/rt"
	inv.RouteTables = []inventory.RouteTable{{ID: id, Name: "rt", Routes: []inventory.Route{{ID: id + "/routes/r", Name: "r", Prefix: prefix, NextHop: hop, NextHopIP: ip}}}}
	inv.Networks[0].Subnets[0].RouteTableID = id
	return inv
}

// spoke moves the private endpoint into a network of its own.
func spoke(inv *inventory.Inventory, peered bool) *inventory.Inventory {
	id := sub + "Microsoft.Network/virtualNetworks/other"
	inv.Networks = append(inv.Networks, inventory.VirtualNetwork{ID: id, Name: "other", Prefixes: prefix("10.9.0.0/16"),
		Subnets: []inventory.Subnet{{ID: id + "/subnets/pe", Name: "pe", Prefixes: prefix("10.9.2.0/24")}}})
	inv.Endpoints[0].SubnetID = id + "/subnets/pe"
	for i, a := range []string{"10.9.2.4", "10.9.2.5"} {
		inv.Endpoints[0].Members[i].Address = netip.MustParseAddr(a)
	}
	if peered {
		hub := &inv.Networks[0]
		hub.Peerings = []inventory.Peering{{Name: "a", RemoteID: id, State: "Connected", AllowAccess: true}}
		inv.Networks[1].Peerings = []inventory.Peering{{Name: "b", RemoteID: hub.ID, State: "Connected", AllowAccess: true}}
	}
	return inv
}

func withFirewall(inv *inventory.Inventory, fqdns ...string) *inventory.Inventory {
	ip := netip.MustParseAddr("10.0.4.4")
	withRoute(inv, "0.0.0.0/0", "VirtualAppliance", ip)
	policy := sub + "Microsoft.Network/firewallPolicies/fwp"
	raw, _ := json.Marshal(map[string]any{"id": policy + "/ruleCollectionGroups/g", "properties": map[string]any{"priority": 200, "ruleCollections": []any{
		map[string]any{"name": "app", "priority": 300, "action": map[string]any{"type": "Allow"}, "rules": []any{map[string]any{"name": "acr", "ruleType": "ApplicationRule", "targetFqdns": fqdns}}}}}})
	inv.Firewalls = []inventory.Firewall{{ID: sub + "Microsoft.Network/azureFirewalls/fw", Name: "fw", PrivateIP: ip, PolicyID: policy,
		Collections: []inventory.RuleCollection{{Name: "app", Priority: 200*100000 + 300, Action: "Allow", GroupID: policy + "/ruleCollectionGroups/g", GroupRaw: raw,
			Rules: []inventory.FirewallRule{{Name: "acr", Type: "ApplicationRule", TargetFQDNs: fqdns}}}}}}
	return inv
}

func proxied(p probe.Path, status int, outcome string) probe.Path {
	p.Via = probe.Proxied
	p.Addr = netip.MustParseAddr("10.0.1.9")
	p.Proxy = &probe.ProxyHop{URL: "http://proxy.corp.example:3128", Scheme: "http", Status: status, StatusLine: fmt.Sprint(status), Outcome: outcome}
	if status/100 != 2 {
		p.TLS, p.HTTP = nil, nil
	}
	return p
}
