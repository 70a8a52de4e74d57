package state_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/diagnosis"
	"github.com/acrlab/acrlab/harness/state"
	"github.com/acrlab/acrlab/harness/topology"
)

func TestApplyChangesTheSite(t *testing.T) {
	full := func() topology.Site {
		return topology.Site{
			At: topology.OnPremises, Image: "myregistri.azurecr.io/hello-world:latest",
			Firewall: &topology.Firewall{Default: "drop",
				Rules: map[string]topology.FirewallRule{"deny": {Priority: 50, Action: "drop", To: []string{"myregistry.azurecr.io"}}},
				Names: &topology.NameFilter{Block: []string{"*.azurecr.io"}, Allow: []string{"example.com"}, Inspect: true, Exempt: []string{"a"}}},
			Proxy:    &topology.Proxy{Allow: []string{"mcr.microsoft.com"}, Deny: []string{"myregistry.azurecr.io"}, Authenticate: true, Inspect: true},
			Resolver: &topology.Resolver{Address: "192.168.10.2", Behaviour: "silence", Forwarders: map[string]string{".": "10.0.0.4"}},
			Shell:    topology.ProxySettings{HTTPSProxy: "http://p:1"}, Daemon: topology.ProxySettings{NoProxy: "x"},
			Hosts: map[string]string{"myregistry.azurecr.io": "192.0.2.1", "other.example": "192.0.2.2"},
		}
	}
	host := []string{"myregistry.azurecr.io"}
	for _, c := range []struct {
		name   string
		change diagnosis.Change
		check  func(*testing.T, topology.Site)
	}{
		{"a firewall lets names pass before every other rule", diagnosis.Change{Allow: &diagnosis.Allow{Device: diagnosis.Firewall, Hosts: host, Port: 443}}, func(t *testing.T, s topology.Site) {
			require.Equal(t, topology.FirewallRule{Priority: 49, Action: "allow", To: host, Ports: []int{443}}, s.Firewall.Rules["allow-myregistry-azurecr-io"])
			require.Empty(t, s.Firewall.Names.Block)
			require.Equal(t, []string{"example.com", "myregistry.azurecr.io"}, s.Firewall.Names.Allow)
		}},
		{"a firewall's name filter is not concerned by another port", diagnosis.Change{Allow: &diagnosis.Allow{Device: diagnosis.Firewall, Hosts: host, Port: 53}}, func(t *testing.T, s topology.Site) {
			require.Equal(t, []string{"*.azurecr.io"}, s.Firewall.Names.Block)
		}},
		{"a proxy serves the name without credentials", diagnosis.Change{Allow: &diagnosis.Allow{Device: diagnosis.Proxy, Hosts: host, Port: 443}}, func(t *testing.T, s topology.Site) {
			require.Equal(t, []string{"mcr.microsoft.com", "myregistry.azurecr.io"}, s.Proxy.Allow)
			require.Empty(t, s.Proxy.Deny)
			require.Equal(t, host, s.Proxy.Anonymous)
		}},
		{"inspection exempts at every device that inspects", diagnosis.Change{Allow: &diagnosis.Allow{Device: diagnosis.Inspection, Hosts: host, Port: 443}}, func(t *testing.T, s topology.Site) {
			require.Equal(t, []string{"a", "myregistry.azurecr.io"}, s.Firewall.Names.Exempt)
			require.Equal(t, host, s.Proxy.Exempt)
		}},
		{"the shell's proxy is unset", diagnosis.Change{Environment: &diagnosis.Environment{Scope: diagnosis.Shell, Set: map[string]string{"HTTPS_PROXY": ""}}}, func(t *testing.T, s topology.Site) {
			require.Equal(t, topology.ProxySettings{}, s.Shell)
		}},
		{"the daemon's proxy is set, in either spelling", diagnosis.Change{Environment: &diagnosis.Environment{Scope: diagnosis.Daemon, Set: map[string]string{"https_proxy": "http://q:2", "NO_PROXY": "y"}}}, func(t *testing.T, s topology.Site) {
			require.Equal(t, topology.ProxySettings{HTTPSProxy: "http://q:2", NoProxy: "y"}, s.Daemon)
		}},
		{"another resolver has none of the old one's faults and forwarders", diagnosis.Change{Resolver: &diagnosis.Resolver{Servers: []string{"8.8.8.8"}}}, func(t *testing.T, s topology.Site) {
			require.Equal(t, &topology.Resolver{Address: "8.8.8.8", Behaviour: "answer"}, s.Resolver)
		}},
		{"a line of the hosts file goes", diagnosis.Change{Hosts: &diagnosis.Hosts{Remove: []string{"myregistry.azurecr.io"}}}, func(t *testing.T, s topology.Site) {
			require.Equal(t, map[string]string{"other.example": "192.0.2.2"}, s.Hosts)
		}},
		{"another registry keeps repository and tag", diagnosis.Change{UseRegistry: "myregistry.azurecr.io"}, func(t *testing.T, s topology.Site) {
			require.Equal(t, "myregistry.azurecr.io/hello-world:latest", s.Image)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := full()
			after, err := state.Apply(before, c.change)
			require.NoError(t, err)
			c.check(t, after)
			require.Equal(t, full(), before, "the given site was changed")
		})
	}
}

func TestApplySaysWhatCannotBeDone(t *testing.T) {
	bare := topology.Site{At: "hub/clients", Image: "hello-world"}
	allow := func(d diagnosis.Device, hosts ...string) diagnosis.Change {
		return diagnosis.Change{Allow: &diagnosis.Allow{Device: d, Hosts: hosts, Port: 443}}
	}
	for want, c := range map[string]diagnosis.Change{
		"this one is 0":                        {},
		"this one is 2":                        {UseRegistry: "a.b", Resolver: &diagnosis.Resolver{}},
		"does not change the site":             {ARM: &diagnosis.ARMRequest{Method: "PUT", ID: "/x"}},
		"firewall: the site has none":          allow(diagnosis.Firewall, "a"),
		"proxy: the site has none":             allow(diagnosis.Proxy, "a"),
		"nothing at the site inspects TLS":     allow(diagnosis.Inspection, "a"),
		"no hosts are named":                   allow(diagnosis.Firewall),
		"no such kind of device":               allow("router", "a"),
		"in a virtual network has the network": {Resolver: &diagnosis.Resolver{Servers: []string{"8.8.8.8"}}},
		"no such scope":                        {Environment: &diagnosis.Environment{Scope: "pod", Set: map[string]string{"NO_PROXY": ""}}},
		"PATH has no effect here":              {Environment: &diagnosis.Environment{Scope: diagnosis.Shell, Set: map[string]string{"PATH": ""}}},
		"names no registry":                    {UseRegistry: "a.b"},
	} {
		_, err := state.Apply(bare, c)
		require.ErrorContains(t, err, want)
	}
	site := topology.Site{At: topology.OnPremises, Resolver: &topology.Resolver{Address: "192.168.10.2"}}
	_, err := state.Apply(site, diagnosis.Change{Resolver: &diagnosis.Resolver{Servers: []string{"192.168.10.2"}}})
	require.ErrorContains(t, err, "it is 192.168.10.2 already")
}
