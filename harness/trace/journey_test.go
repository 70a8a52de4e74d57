package trace_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/harness/plan"
	"github.com/acrlab/acrlab/harness/topology"
	"github.com/acrlab/acrlab/harness/trace"
)

// pull follows a pull over a base with a setup of its own; change may alter the plan.
func pull(t *testing.T, base, setup string, change func(*plan.Network)) []trace.Journey {
	t.Helper()
	text := "title: t\nbase: " + base + "\n"
	if setup != "" {
		text += "setup:\n  " + setup + "\n"
	}
	s, err := topology.Decode("scenario.yaml", "x", []byte(text))
	require.NoError(t, err)
	n, err := plan.FromTopology(s.Healthy)
	require.NoError(t, err)
	if change != nil {
		change(n)
	}
	list, err := trace.Pull(n, n.Client, s.Healthy.Site.Image, s.Healthy.Site.Shell.ProxyFor)
	require.NoError(t, err)
	return list
}

// A pull dies at the first thing that does not let it pass, and the death names
// stage, host and reason.
func TestAPullDiesWhereItIsStopped(t *testing.T) {
	for name, c := range map[string]struct {
		base, setup string
		change      func(*plan.Network)
		at          int // of the journeys: 0 login server, 1 layers
		stage       trace.Stage
		host, why   string
	}{
		"no name server": {"public", "", func(n *plan.Network) { client(n).Files["/etc/resolv.conf"] = "" }, 0,
			trace.AtName, "client", "client has no name server"},
		"a name server that is none": {"public", "virtualNetworks: {app: {dnsServers: [20.62.128.38]}}", nil, 0,
			trace.AtName, "client", "the query to 20.62.128.38 is lost"},
		"a silent resolver": {"behind-firewall", "site: {resolver: {behaviour: silence}}", nil, 0,
			trace.AtName, "client", "the name server 192.168.10.2 keeps silent"},
		"a refusing resolver": {"behind-firewall", "site: {resolver: {behaviour: servfail}}", nil, 0,
			trace.AtName, "client", "192.168.10.2 answers SERVFAIL for myregistry.azurecr.io"},
		"an address of another": {"public", "site: {hosts: {myregistry.azurecr.io: 20.60.0.132}}", nil, 0,
			trace.AtTLS, "internet", "the certificate there is for *.blob.core.windows.net, not for myregistry.azurecr.io"},
		"an address of nobody": {"public", "site: {hosts: {myregistry.azurecr.io: 203.0.113.99}}", nil, 0,
			trace.AtPackets, "", ""},
		"rules without the source": {"public", "registry: {networkRuleSet: {defaultAction: Deny, ipRules: [192.0.2.1]}}", nil, 0,
			trace.AtRegistry, "internet", "403 DENIED: 198.51.100.4 is in none of the registry's network rules"},
		"nobody is let in": {"public", "registry: {publicNetworkAccess: Disabled}", nil, 0,
			trace.AtRegistry, "internet", "403 DENIED: 198.51.100.4 comes from the public side, where the registry lets nobody in"},
		"rules without the proxy": {"behind-proxy", "registry: {networkRuleSet: {defaultAction: Deny, ipRules: [192.0.2.1]}}", nil, 0,
			trace.AtRegistry, "internet", "403 DENIED: 203.0.113.10 is in none"},
		"the proxy refuses layers": {"behind-proxy", "site: {proxy: {deny: ['*.blob.core.windows.net']}}", nil, 1,
			trace.AtProxy, "proxy", "it answers 403 to CONNECT: its rules refuse eusmanaged15.blob.core.windows.net"},
		"the proxy wants credentials": {"behind-proxy", "site: {proxy: {authenticate: true}}", nil, 0,
			trace.AtProxy, "proxy", "it answers 407 to CONNECT: it demands credentials for myregistry.azurecr.io"},
		"the proxy closes": {"behind-proxy", "site: {proxy: {behaviour: close}}", nil, 0,
			trace.AtProxy, "proxy", "it closes every connection after the request"},
		"the proxy is silent": {"behind-proxy", "site: {proxy: {behaviour: silence}}", nil, 0,
			trace.AtProxy, "proxy", "it never answers"},
		"nothing listens": {"behind-proxy", "site: {proxy: {behaviour: refuse}}", nil, 0,
			trace.AtPackets, "proxy", "closed, nothing listens on 192.168.20.8:3128"},
		"the proxy is addressed by TLS": {"behind-proxy", "site: {shell: {httpsProxy: 'https://proxy.corp.example:3128'}}", nil, 0,
			trace.AtProxy, "proxy", "it is addressed by TLS and speaks cleartext HTTP"},
		"the proxy cannot resolve": {"behind-proxy", "site: {image: myregistri.azurecr.io/x, proxy: {allow: ['*.azurecr.io']}}", nil, 0,
			trace.AtProxy, "proxy", "it answers 503 to CONNECT: 8.8.8.8 answers NXDOMAIN for myregistri.azurecr.io"},
		"the proxy reads TLS": {"behind-proxy", "site: {proxy: {inspect: true}}", nil, 0,
			trace.AtTLS, "proxy", "the proxy terminates TLS for myregistry.azurecr.io under an authority that the client does not trust"},
		"a firewall reads TLS": {"behind-firewall", "site: {firewall: {names: {inspect: true}}}", nil, 0,
			trace.AtTLS, "corp", "inspected, corp-names on corp terminates TLS for myregistry.azurecr.io"},
	} {
		t.Run(name, func(t *testing.T) {
			list := pull(t, c.base, c.setup, c.change)
			require.Greater(t, len(list), c.at)
			d := list[c.at].Dies
			require.NotNil(t, d)
			require.Equal(t, c.stage, d.Stage)
			if c.host != "" {
				require.Equal(t, c.host, d.Host)
			}
			require.Contains(t, d.Why, c.why)
			if c.at == 1 {
				require.Nil(t, list[0].Dies, "the login server is reached")
			}
		})
	}
}

// What is merely unusual does not kill a pull.
func TestAPullLives(t *testing.T) {
	for name, c := range map[string]struct {
		base, setup string
		change      func(*plan.Network)
	}{
		"from an address that the rules hold":        {"public", "registry: {networkRuleSet: {defaultAction: Deny, ipRules: [198.51.100.4]}}", nil},
		"behind an endpoint, without public access":  {"private-endpoint", "", nil},
		"from a proxy's address that the rules hold": {"behind-proxy", "registry: {networkRuleSet: {defaultAction: Deny, ipRules: [203.0.113.10]}}", nil},
		"with a first name server that is dead":      {"public", "virtualNetworks: {app: {dnsServers: [10.1.9.9, 168.63.129.16]}}", nil},
		"under an authority that the client trusts": {"behind-firewall", "site: {firewall: {names: {inspect: true}}}",
			func(n *plan.Network) { client(n).TrustCorp = true }},
		"past a proxy under an authority that the client trusts": {"behind-proxy", "site: {proxy: {inspect: true}}",
			func(n *plan.Network) { client(n).TrustCorp = true }},
	} {
		t.Run(name, func(t *testing.T) {
			list := pull(t, c.base, c.setup, c.change)
			require.Len(t, list, 2)
			for _, j := range list {
				require.Nil(t, j.Dies, "%s: %+v", j.Name, j.Dies)
			}
		})
	}
}

// The second name server answers when the first does not, as resolv.conf(5) has it.
func TestLookupAsksTheNextServerWhenOneDoesNotAnswer(t *testing.T) {
	j := pull(t, "public", "virtualNetworks: {app: {dnsServers: [10.1.9.9, 168.63.129.16]}}", nil)[0]
	require.Equal(t, "168.63.129.16", j.Lookup.Server.String())
	require.Equal(t, "10.1.9.9", j.Lookup.Unanswered[0].String())
	require.Equal(t, "20.62.128.38", j.Lookup.Addrs[0].String())
}

// Layers are fetched from the replica to which the login server's name leads.
func TestLayersComeFromTheReplicaThatAnswers(t *testing.T) {
	list := pull(t, "geo-replicated", "", nil)
	require.Len(t, list, 2)
	region, _, _ := strings.Cut(strings.TrimPrefix(list[1].Name, "myregistry."), ".")
	require.Contains(t, list[0].Connection.Service, region)
}

func TestAProxyWithoutAPortHasThatOfItsScheme(t *testing.T) {
	s, err := topology.Decode("scenario.yaml", "x", []byte("title: t\nbase: behind-proxy\n"))
	require.NoError(t, err)
	n, err := plan.FromTopology(s.Healthy)
	require.NoError(t, err)
	for text, want := range map[string]string{
		"http://proxy.corp.example":       "proxy.corp.example:80",
		"https://proxy.corp.example":      "proxy.corp.example:443",
		"http://proxy.corp.example:3128/": "proxy.corp.example:3128",
	} {
		u, err := url.Parse(text)
		require.NoError(t, err)
		j, err := trace.Travel(n, n.Client, "myregistry.azurecr.io", u)
		require.NoError(t, err)
		require.Equal(t, want, j.Via)
	}
	_, err = trace.Travel(n, n.Client, "myregistry.azurecr.io", &url.URL{Scheme: "gopher", Host: "x"})
	require.ErrorContains(t, err, "the proxy gopher://x has no host or port")
}

func client(n *plan.Network) *plan.Host {
	for i := range n.Hosts {
		if n.Hosts[i].Name == n.Client {
			return &n.Hosts[i]
		}
	}
	return nil
}
