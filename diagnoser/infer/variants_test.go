package infer

import (
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/diagnoser/inventory"
	"github.com/acrlab/acrlab/diagnoser/probe"
	"github.com/acrlab/acrlab/diagnosis"
)

func TestARegionalTagCountsForItsRegionAlone(t *testing.T) {
	cut := func() *probe.Report { return loginCut(true, probe.Silence) }
	own := withGroup(publicAzure(), 0, denyRule("Outbound", "AzureContainerRegistry.EastUS"))
	require.Equal(t, one(diagnosis.NSGOutboundDeny), named(Judge(cut(), own)))
	other := withGroup(publicAzure(), 0, denyRule("Outbound", "AzureContainerRegistry.WestUS"))
	require.Equal(t, one(diagnosis.FirewallDropsRest), named(Judge(cut(), other)), "the rule is of another region")
}

func TestADisconnectedEndpointIsNotApproved(t *testing.T) {
	inv := azure()
	inv.Endpoints[0].Status, inv.Registry.Connections[0].Status = "Disconnected", "Disconnected"
	j := Judge(privateCut(), inv)
	require.Equal(t, one(diagnosis.PENotApproved), named(j), explain(j))
}

func privateCut() *probe.Report {
	r := privateReport()
	r.Paths = []probe.Path{broken(sound(login, probe.RoleLogin, peLogin), probe.Silence)}
	noAPI(r)
	return r
}

func TestADenyRuleOfAzureFirewallIsTakenOut(t *testing.T) {
	inv := withFirewall(publicAzure(), "mcr.microsoft.com")
	c := &inv.Firewalls[0].Collections[0]
	c.Action, c.Rules[0].TargetFQDNs = "Deny", []string{"*.azurecr.io"}
	j := Judge(nameFilter(probe.TLSClosed, false), inv)
	require.Equal(t, one(diagnosis.SNIBlocked), named(j), explain(j))
	require.Equal(t, "Azure Firewall fw on the route denies "+login+" by rule app/acr.", j.Findings[0].Summary)
	change := j.Findings[0].Remedy.Changes
	require.Len(t, change, 1)
	var body struct {
		Properties struct {
			RuleCollections []any `json:"ruleCollections"`
		} `json:"properties"`
	}
	require.NoError(t, json.Unmarshal(change[0].ARM.Body, &body))
	require.Empty(t, body.Properties.RuleCollections, "a collection without rules is no collection")
	require.Contains(t, j.Findings[0].Remedy.Commands[0], "rule remove")
}

func behindProxy(status int) *probe.Report {
	r := nameWrong()
	r.Paths = []probe.Path{proxied(sound(r.Target.Host, probe.RoleLogin, netip.Addr{}), status, "answered")}
	r.Vantage.Shell = probe.ProxySettings{HTTPSProxy: proxyURL, From: "environment HTTPS_PROXY"}
	return r
}

func TestAProxysRefusalOfANameThatDoesNotExist(t *testing.T) {
	r := behindProxy(403)
	require.Equal(t, one(diagnosis.ProxyDenied403), named(Judge(r, nil)), "a resolver that knows no name of the internet is no witness")
	r.Lookups = append(r.Lookups, lookup("mcr.microsoft.com", probe.Configured, r.Vantage.Resolvers[0], probe.NoError, nil, netip.MustParseAddr("20.98.160.4")))
	j := Judge(r, nil)
	require.Equal(t, one(diagnosis.DNSNameWrong), named(j), explain(j))
	require.Equal(t, one(diagnosis.ProxyAuth407), named(Judge(behindProxy(407), nil)))
}

func TestAConnectionToTheProxyAloneIsNoWayOut(t *testing.T) {
	r := reportFor(false)
	r.Control = []probe.Path{proxied(sound("mcr.microsoft.com", probe.RoleMCR, netip.Addr{}), 0, "closed")}
	tried, fine := newScene(r, nil).controls()
	require.Equal(t, 1, tried)
	require.Zero(t, fine)
}

func TestAProxyThatClosesEverythingIsNotAskedToAllowOneName(t *testing.T) {
	r := behindProxy(0)
	r.Target.Host = login
	r.Lookups = nil
	r.Paths[0] = proxied(sound(login, probe.RoleLogin, netip.Addr{}), 0, "closed")
	r.Control = []probe.Path{proxied(sound("mcr.microsoft.com", probe.RoleMCR, netip.Addr{}), 0, "closed")}
	require.Empty(t, changesOf(t, r, nil))
	r.Control[0] = sound("mcr.microsoft.com", probe.RoleMCR, netip.Addr{})
	require.Len(t, changesOf(t, r, nil), 1)
}

func TestAMalformedProxyIsRespelt(t *testing.T) {
	for raw, want := range map[string]string{
		`http:\\proxy.corp.example:3128`:   "http://proxy.corp.example:3128",
		`"http://proxy.corp.example:3128"`: "http://proxy.corp.example:3128",
		"http:/proxy.corp.example:3128":    "http://proxy.corp.example:3128",
		"https//proxy.corp.example":        "https://proxy.corp.example",
		"proxy.corp.example:3128":          "proxy.corp.example:3128",
		"http://":                          "http://",
		"":                                 "",
	} {
		require.Equal(t, want, respell(raw), raw)
	}
}

func TestAnEngineWithoutProxyShowsBesideAProxyThatRefuses(t *testing.T) {
	r := daemonDirect()
	for i := range r.Paths {
		if p := &r.Paths[i]; p.Shell && p.Role == probe.RoleLogin {
			*p = proxied(*p, 407, "answered")
		}
	}
	noAPI(r)
	j := Judge(r, nil)
	require.Equal(t, causes{diagnosis.ProxyAuth407, diagnosis.DaemonIgnoresProxy}, named(j), explain(j))
	require.Equal(t, diagnosis.Probable, j.Findings[1].Certainty)
	require.Contains(t, j.Findings[1].Remedy.Commands[0], "docker.service.d")
}

func TestTheUnitOfTheEngineIsMended(t *testing.T) {
	r := daemonDirect()
	r.Vantage.Daemon.Engine = "containerd"
	j := Judge(r, nil)
	for _, c := range j.Findings[0].Remedy.Commands {
		require.NotContains(t, c, "docker")
	}
}

func TestADeadResolverHidesNoFirewall(t *testing.T) {
	r := deadResolver()
	r.Vantage.InAzureVNet = ptr(false)
	r.Lookups = append(r.Lookups[:2], lookup(login, probe.PublicDNS, publicDNS, probe.NoError, chain(login, false), publicLogin))
	p := broken(sound(login, probe.RoleLogin, publicLogin), probe.Silence)
	p.Shell, p.Daemon, p.Resolved = false, false, probe.PublicDNS
	r.Paths = append(r.Paths, p)
	j := Judge(r, nil)
	require.Equal(t, causes{diagnosis.DNSResolverUnreachable, diagnosis.FirewallDropsRest}, named(j), explain(j))
}

func TestAForwarderThatFailsForTheRegistryAlone(t *testing.T) {
	r := reportFor(false)
	r.Lookups[0] = lookup(login, probe.Configured, corpDNS, probe.ServFail, nil)
	r.Lookups[1] = lookup(login, probe.PublicDNS, publicDNS, probe.NoError, chain(login, true), publicLogin)
	r.Paths = []probe.Path{{Host: login, Port: 443, Role: probe.RoleLogin, Via: probe.Direct, Shell: true, TCP: &probe.TCP{Outcome: probe.NoAddress}}}
	noAPI(r)
	j := Judge(r, nil)
	require.Equal(t, one(diagnosis.DNSOnPremNoForwarder), named(j), explain(j))
	require.Equal(t, diagnosis.Probable, j.Findings[0].Certainty)
}

func TestAnEndpointThatAnswersFromOutsideProvesTheWay(t *testing.T) {
	r := publicByMistake()
	r.Vantage.InAzureVNet = ptr(false)
	r.Vantage.Source = netip.MustParseAddr("192.168.10.10")
	require.Equal(t, one(diagnosis.PublicAccessDisabled), named(Judge(r, azure())))
	r.Endpoints = []probe.Path{{Host: login, Port: 443, Addr: peLogin, TCP: &probe.TCP{Outcome: probe.Connected}}}
	j := Judge(r, azure())
	require.Equal(t, one(diagnosis.DNSOnPremNoForwarder), named(j), explain(j))
}

func TestAMissingRecordHidesNoRule(t *testing.T) {
	inv := withGroup(azure(), 0, denyRule("Outbound", peData.String()+"/32"))
	delete(inv.Zones[0].Records, "myregistry.eastus.data")
	j := Judge(dataRecordMissing(), inv)
	require.Equal(t, causes{diagnosis.DNSZoneMissingDataRecord, diagnosis.NSGOutboundDeny}, named(j), explain(j))
}

func TestWhatIsUnusualAboutNamesIsObserved(t *testing.T) {
	r := reportFor(true)
	r.Vantage.Search, r.Vantage.NDots = []string{"corp.example"}, 5
	six := netip.MustParseAddr("2001:db8::1")
	r.Lookups[0].Addrs = append(r.Lookups[0].Addrs, six)
	r.Lookups = append(r.Lookups, lookup(login+".corp.example", probe.Configured, azureDNS, probe.NoError, nil, netip.MustParseAddr("10.9.9.9")))
	r.Paths = append(r.Paths, broken(sound(data2, probe.RoleData, netip.MustParseAddr("20.62.131.4")), probe.Silence))
	r.API.Push = &probe.Step{HTTP: probe.HTTP{Method: "POST", URL: "https://" + login + "/v2/a/blobs/uploads/", Status: 403}}
	j := Judge(r, nil)
	require.True(t, j.Works, explain(j))
	var all string
	for _, o := range j.Observations {
		all += o.Saw + "\n"
	}
	require.Contains(t, all, login+".corp.example first and are given 10.9.9.9")
	require.Contains(t, all, "IPv6 addresses: "+six.String())
	require.Contains(t, all, data2+" of another replica is out of reach")
	require.Contains(t, all, "images cannot be pushed: POST")
}

func TestAzureNamesEveryReplicaAndEndpoint(t *testing.T) {
	inv := azure()
	inv.Registry.DataEndpointHosts = []string{data, data2}
	n := Named(inv, probe.Target{Host: login})
	require.Equal(t, []string{data, data2}, n.DataHosts)
	require.Equal(t, map[netip.Addr]string{peLogin: login}, n.Endpoints)
	inv.Registry.DataEndpointEnabled = false
	require.Empty(t, Named(inv, probe.Target{Host: login}).DataHosts, "they exist only when enabled")
	require.Empty(t, Named(&inventory.Inventory{}, probe.Target{Host: login}).Endpoints)
}

func TestEveryCloudHasItsOwnStorageNames(t *testing.T) {
	for suffix, want := range map[string]string{
		"azurecr.io": "*.blob.core.windows.net", "azurecr.us": "*.blob.core.usgovcloudapi.net", "azurecr.cn": "*.blob.core.chinacloudapi.cn",
	} {
		r := loginCut(false, probe.Silence)
		r.Target.Suffix = suffix
		v := newScene(r, nil).lanes[0].login
		r.API, v.scene.r.Lookups = nil, nil
		require.Contains(t, v.names(), want)
	}
}
