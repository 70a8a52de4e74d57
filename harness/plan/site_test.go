package plan_test

import (
	"encoding/base64"
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/fakes/dns"
	"github.com/acrlab/acrlab/fakes/middlebox"
	"github.com/acrlab/acrlab/harness/plan"
	"github.com/acrlab/acrlab/harness/state"
	"github.com/acrlab/acrlab/harness/topology"
	"github.com/acrlab/acrlab/harness/trace"
)

func TestProxySettingsReachShellAndDaemonSeparately(t *testing.T) {
	n := network(t, "behind-proxy", func(top *topology.Topology) {
		top.Site.Daemon = topology.ProxySettings{HTTPSProxy: "http://other:1", NoProxy: "a%b"}
	})
	h := hostOf(t, n, n.Client)
	require.Equal(t, "http://proxy.corp.example:3128", h.Env["HTTPS_PROXY"])
	require.Equal(t, h.Env["HTTPS_PROXY"], h.Env["https_proxy"])
	require.Equal(t, h.Env["NO_PROXY"], h.Env["no_proxy"])
	require.Equal(t, "http://other:1", h.Daemon["https_proxy"])
	require.Equal(t, "[Service]\nEnvironment=\"HTTPS_PROXY=http://other:1\"\nEnvironment=\"NO_PROXY=a%%b\"\n",
		h.Files["/etc/systemd/system/docker.service.d/http-proxy.conf"])

	n = network(t, "behind-proxy", func(top *topology.Topology) { top.Site.Daemon = topology.ProxySettings{} })
	h = hostOf(t, n, n.Client)
	require.Empty(t, h.Daemon)
	require.NotContains(t, h.Files, "/etc/systemd/system/docker.service.d/http-proxy.conf")
}

func TestClientFiles(t *testing.T) {
	n := network(t, "public", func(top *topology.Topology) {
		top.Site.Hosts = map[string]string{"myregistry.azurecr.io": "20.1.2.3"}
		top.Site.Image = "myregistry.azurecr.us/hello-world:latest"
	})
	h := hostOf(t, n, n.Client)
	require.True(t, h.TrustAzure)
	require.False(t, h.TrustCorp)
	require.Contains(t, h.Files["/etc/hosts"], "\n20.1.2.3 myregistry.azurecr.io\n")
	require.Equal(t, "hosts: files dns\n", h.Files["/etc/nsswitch.conf"])
	var config struct {
		Auths map[string]struct{ Auth string }
	}
	require.NoError(t, json.Unmarshal([]byte(h.Files["/root/.docker/config.json"]), &config))
	require.Len(t, config.Auths, 2)
	for _, server := range []string{"myregistry.azurecr.io", "myregistry.azurecr.us"} {
		raw, err := base64.StdEncoding.DecodeString(config.Auths[server].Auth)
		require.NoError(t, err)
		require.Equal(t, state.TokenName+":"+state.TokenPassword, string(raw))
	}
	require.Equal(t, state.TokenPassword, registryOf(t, n, "myregistry").Users[state.TokenName])
}

func TestCorporateFirewallActions(t *testing.T) {
	rule := func(r topology.FirewallRule) func(*topology.Topology) {
		return func(top *topology.Topology) {
			top.Site.Firewall = &topology.Firewall{Rules: map[string]topology.FirewallRule{"r": r}}
		}
	}
	name := []string{"myregistry.azurecr.io"}
	for _, c := range []struct {
		name   string
		change func(*topology.Topology)
		want   trace.Fate
	}{
		{"no firewall", func(top *topology.Topology) { top.Site.Firewall = nil }, trace.Delivered},
		{"drop by name", rule(topology.FirewallRule{Action: "drop", To: name}), trace.Dropped},
		{"reject", rule(topology.FirewallRule{Action: "reject", To: name}), trace.Rejected},
		{"prohibit", rule(topology.FirewallRule{Action: "prohibit", To: name}), trace.Forbidden},
		{"another name", rule(topology.FirewallRule{Action: "drop", To: []string{"mcr.microsoft.com"}}), trace.Delivered},
		{"a name that does not exist", rule(topology.FirewallRule{Action: "drop", To: []string{"gone.azurecr.io"}}), trace.Delivered},
		{"a service tag", rule(topology.FirewallRule{Action: "drop", To: []string{"AzureContainerRegistry"}}), trace.Dropped},
		{"a pattern", rule(topology.FirewallRule{Action: "drop", To: []string{"*.azurecr.io"}}), trace.Dropped},
		{"another port", rule(topology.FirewallRule{Action: "drop", To: name, Ports: []int{80}}), trace.Delivered},
		{"everything", rule(topology.FirewallRule{Action: "drop"}), trace.Dropped},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := network(t, "behind-firewall", c.change)
			consistent(t, n)
			p := tcp(n, login)
			require.Equal(t, c.want, p.Fate, p.Why)
			require.Equal(t, trace.Delivered, udp(n, "192.168.10.2").Fate, "the resolver is on the client's own network")
		})
	}
}

func TestNameFilterSeesOnlyWhatPacketRulesLetPass(t *testing.T) {
	n := network(t, "behind-firewall", func(top *topology.Topology) {
		top.Site.Firewall.Names = &topology.NameFilter{Block: []string{"*.azurecr.io"}, Action: "close", Inspect: true}
	})
	consistent(t, n)
	require.Equal(t, "corp", tcp(n, login).NameFilter)
	require.Empty(t, tcp(n, storage).NameFilter)
	require.Equal(t, trace.Dropped, tcp(n, storage).Fate)
	h := hostOf(t, n, "corp")
	require.True(t, h.TrustAzure)
	c := serviceOf(t, h, "names").Middlebox
	require.Equal(t, middlebox.Close, c.Action)
	require.Equal(t, []string{"*.azurecr.io"}, c.Block)
}

func TestProxyLeavesFromItsOwnAddress(t *testing.T) {
	n := network(t, "behind-proxy", func(top *topology.Topology) { top.Site.Proxy.PublicIPAddress = "203.0.113.77" })
	consistent(t, n)
	require.Equal(t, trace.Delivered, trace.Follow(n, "client", trace.Flow{Protocol: "tcp", Destination: netip.MustParseAddr("192.168.20.8"), Port: 3128}).Fate)
	p := trace.Follow(n, "proxy", trace.Flow{Protocol: "tcp", Destination: netip.MustParseAddr(login), Port: 443})
	require.Equal(t, trace.Delivered, p.Fate, p.Why)
	require.Contains(t, notes(p), "leaves as 203.0.113.77")
	require.Equal(t, trace.Dropped, tcp(n, login).Fate)
	records := serviceOf(t, hostOf(t, n, "resolver"), "dns").DNS.Records
	require.Contains(t, records, dns.Record{Name: "proxy.corp.example", TTL: 300, A: netip.MustParseAddr("192.168.20.8")})
}

func notes(p trace.Path) []string {
	var out []string
	for _, h := range p.Hops {
		out = append(out, h.Notes...)
	}
	return out
}

func TestProxyBesideAVirtualNetwork(t *testing.T) {
	for where, address := range map[string]string{"by a private line": "", "as a virtual machine": "10.0.1.20"} {
		t.Run(where, func(t *testing.T) {
			n := network(t, "private-endpoint", func(top *topology.Topology) {
				top.Site.Proxy = &topology.Proxy{Address: address, PublicIPAddress: "203.0.113.77"}
			})
			consistent(t, n)
			if address == "" {
				address = "192.168.20.8"
			}
			p := trace.Follow(n, "client", trace.Flow{Protocol: "tcp", Destination: netip.MustParseAddr(address), Port: 3128})
			require.Equal(t, trace.Delivered, p.Fate, p.Why)
			p = trace.Follow(n, "proxy", trace.Flow{Protocol: "tcp", Destination: netip.MustParseAddr(login), Port: 443})
			require.Equal(t, trace.Delivered, p.Fate, p.Why)
			require.Contains(t, notes(p), "leaves as 203.0.113.77")
			require.Contains(t, hostOf(t, n, "client").Files["/etc/hosts"], address+" proxy.corp.example\n")
		})
	}
}

func TestResolverBehaviours(t *testing.T) {
	for behaviour, want := range map[string]dns.Behaviour{"answer": dns.Answer, "silence": dns.Silence, "servfail": dns.ServFail, "refused": dns.Refused} {
		n := network(t, "behind-firewall", func(top *topology.Topology) { top.Site.Resolver = &topology.Resolver{Behaviour: behaviour} })
		require.Equal(t, want, serviceOf(t, hostOf(t, n, "resolver"), "dns").DNS.Behaviour)
	}
	n := network(t, "behind-firewall", func(top *topology.Topology) { top.Site.Resolver = &topology.Resolver{Behaviour: "closed"} })
	require.Equal(t, trace.Closed, udp(n, "192.168.10.2").Fate)
	n = network(t, "behind-firewall", func(top *topology.Topology) { top.Site.Resolver = &topology.Resolver{Address: "8.8.8.8"} })
	require.Equal(t, "nameserver 8.8.8.8\n", hostOf(t, n, "client").Files["/etc/resolv.conf"])
	for _, h := range n.Hosts {
		require.NotEqual(t, "resolver", h.Name, "8.8.8.8 is on the internet")
	}
}

// onPremises puts a client behind a VPN to the network with the private endpoint.
func onVPN(top *topology.Topology) {
	top.DNSServers = map[string]topology.DNSServer{"dns1": {Subnet: "hub/clients", Address: "10.0.1.10", Forwarders: map[string]string{".": "168.63.129.16"}}}
	top.Site = &topology.Site{At: "on-premises", VPN: "hub", Resolver: &topology.Resolver{Forwarders: map[string]string{"azurecr.io": "10.0.1.10"}}}
}

func TestVPNLeadsToPrivateEndpoints(t *testing.T) {
	n := network(t, "private-endpoint", onVPN)
	consistent(t, n)
	require.Equal(t, trace.Delivered, tcp(n, "10.0.2.5").Fate)
	require.Equal(t, trace.Delivered, tcp(n, login).Fate)
	p := trace.Follow(n, "resolver", trace.Flow{Protocol: "udp", Destination: netip.MustParseAddr("10.0.1.10"), Port: 53})
	require.Equal(t, trace.Delivered, p.Fate, p.Why)
	p = trace.Follow(n, "dns-dns1", trace.Flow{Protocol: "udp", Source: netip.MustParseAddr("10.0.1.10"), Destination: netip.MustParseAddr("192.168.10.2"), Port: 53})
	require.Equal(t, trace.Delivered, p.Fate, p.Why)
	forward := serviceOf(t, hostOf(t, n, "resolver"), "dns").DNS.Forward
	require.Equal(t, []dns.Forward{{Suffix: "azurecr.io", To: netip.MustParseAddrPort("10.0.1.10:53")}}, forward)

	without := network(t, "private-endpoint", func(top *topology.Topology) { onVPN(top); top.Site.VPN = "" })
	require.Equal(t, trace.Dropped, tcp(without, "10.0.2.5").Fate)
}

func TestClientOnTheInternet(t *testing.T) {
	n := network(t, "public", func(top *topology.Topology) { top.Site = &topology.Site{At: "internet"} })
	consistent(t, n)
	require.Equal(t, trace.Delivered, tcp(n, login).Fate)
	require.Equal(t, trace.Delivered, udp(n, "203.0.113.53").Fate)
	require.Equal(t, trace.Dropped, udp(n, "168.63.129.16").Fate)
}

func TestAzureFirewallRules(t *testing.T) {
	network443 := func(action string, to ...string) func(*topology.Topology) {
		return func(top *topology.Topology) {
			f := top.AzureFirewalls["fw"]
			f.NetworkRules = map[string]topology.FirewallNetworkRule{"n": {Action: action, DestinationAddresses: to, DestinationPorts: []string{"443"}, IPProtocols: []string{"TCP"}}}
			top.AzureFirewalls["fw"] = f
		}
	}
	for _, c := range []struct {
		name   string
		change func(*topology.Topology)
		want   trace.Fate
		filter string
	}{
		{"HTTPS is decided by name", nil, trace.Delivered, "firewall-fw"},
		{"a network rule that allows comes before names", network443("Allow", "AzureContainerRegistry"), trace.Delivered, ""},
		{"one that denies, too", network443("Deny", "AzureContainerRegistry"), trace.Dropped, ""},
		{"one for other addresses does not", network443("Allow", "Storage"), trace.Delivered, "firewall-fw"},
		{"one for everything leaves no name to decide", network443("Allow", "*"), trace.Delivered, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := network(t, "azure-firewall", c.change)
			consistent(t, n)
			p := tcp(n, login)
			require.Equal(t, c.want, p.Fate, p.Why)
			require.Equal(t, c.filter, p.NameFilter)
		})
	}
	n := network(t, "azure-firewall", nil)
	require.Equal(t, trace.Dropped, udp(n, google).Fate)
	require.Equal(t, "rule fw-fw-default (no rule matched: denied)", udp(n, google).Why)
	c := serviceOf(t, hostOf(t, n, "firewall-fw"), "application-rules").Middlebox
	require.Equal(t, middlebox.Close, c.Action)
	require.Equal(t, 470, c.PlainHTTP.Status)
	require.Contains(t, c.Allow, "myregistry.azurecr.io")

	for _, c := range []struct {
		deny, allow int
		want        []string
	}{{100, 200, []string{"*.azurecr.io"}}, {300, 200, nil}} {
		n := network(t, "azure-firewall", func(top *topology.Topology) {
			f := top.AzureFirewalls["fw"]
			f.ApplicationRules = map[string]topology.FirewallApplicationRule{
				"deny":  {Priority: c.deny, Action: "Deny", TargetFQDNs: []string{"*.azurecr.io"}},
				"allow": {Priority: c.allow, TargetFQDNs: []string{"myregistry.azurecr.io"}},
			}
			top.AzureFirewalls["fw"] = f
		})
		require.Equal(t, c.want, serviceOf(t, hostOf(t, n, "firewall-fw"), "application-rules").Middlebox.Block)
	}

	empty := network(t, "azure-firewall", func(top *topology.Topology) {
		f := top.AzureFirewalls["fw"]
		f.ApplicationRules = nil
		top.AzureFirewalls["fw"] = f
	})
	require.True(t, serviceOf(t, hostOf(t, empty, "firewall-fw"), "application-rules").Middlebox.AllowNone)
}

func TestForwardedTrafficNeedsThePeeringsConsent(t *testing.T) {
	// The client's network reaches the endpoint in another spoke through a firewall in the hub.
	spokes := func(forwarded bool) func(*topology.Topology) {
		return func(top *topology.Topology) {
			top.VirtualNetworks["hub"].Subnets["AzureFirewallSubnet"] = topology.Subnet{AddressPrefix: "10.0.4.0/24"}
			top.VirtualNetworks["hub"].Peerings["far"] = topology.Peering{}
			top.VirtualNetworks["far"] = topology.VirtualNetwork{
				AddressPrefixes: []string{"10.2.0.0/16"}, Subnets: map[string]topology.Subnet{"endpoints": {AddressPrefix: "10.2.2.0/24"}},
				Peerings: map[string]topology.Peering{"hub": {AllowForwardedTraffic: forwarded}},
			}
			top.PrivateEndpoints = map[string]topology.PrivateEndpoint{"pe": {Subnet: "far/endpoints"}}
			top.AzureFirewalls = map[string]topology.AzureFirewall{"fw": {Subnet: "hub/AzureFirewallSubnet", PrivateIPAddress: "10.0.4.4",
				NetworkRules: map[string]topology.FirewallNetworkRule{"all": {}}}}
			withRoutes("spoke", map[string]topology.Route{"far": {AddressPrefix: "10.2.0.0/16", NextHopType: "VirtualAppliance", NextHopIPAddress: "10.0.4.4"}})(top)
		}
	}
	p := tcp(network(t, "private-endpoint-peered", spokes(true)), "10.2.2.5")
	require.Equal(t, trace.Delivered, p.Fate, p.Why)
	p = tcp(network(t, "private-endpoint-peered", spokes(false)), "10.2.2.5")
	require.Equal(t, trace.Dropped, p.Fate)
	require.Contains(t, p.Why, "peering-far-hub-forwarded")
}

func TestSiteErrorsNameThePart(t *testing.T) {
	for want, change := range map[string]func(*topology.Site){
		"the client's address":                              func(s *topology.Site) { s.Address = "x" },
		"the site's public address":                         func(s *topology.Site) { s.PublicIPAddress = "x" },
		"the resolver's address":                            func(s *topology.Site) { s.Resolver = &topology.Resolver{Address: "x"} },
		`there is no virtual network "gone"`:                func(s *topology.Site) { s.VPN = "gone" },
		`the proxy: unknown behaviour "sulk"`:               func(s *topology.Site) { s.Proxy = &topology.Proxy{Behaviour: "sulk"} },
		"the proxy's port 70000 is not a port":              func(s *topology.Site) { s.Proxy = &topology.Proxy{Port: 70000} },
		`corporate firewall: rule r: unknown action "burn"`: func(s *topology.Site) { s.Firewall.Rules["r"] = topology.FirewallRule{Action: "burn"} },
		`forwarder for "."`:                                 func(s *topology.Site) { s.Resolver = &topology.Resolver{Forwarders: map[string]string{".": "x"}} },
	} {
		top := base(t, "behind-firewall", nil)
		change(top.Site)
		_, err := plan.FromTopology(top)
		require.ErrorContains(t, err, want)
	}
}
