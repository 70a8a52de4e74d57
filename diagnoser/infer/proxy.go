package infer

import (
	"fmt"
	"strings"

	"github.com/acrlab/acrlab/diagnoser/inventory"
	"github.com/acrlab/acrlab/diagnoser/probe"
	"github.com/acrlab/acrlab/diagnosis"
)

// proxyTable: the hop through a proxy breaks before the tunnel stands, or the
// container engine goes round the proxy that is the only way.
var proxyTable = []situation{
	{
		name: "the container engine goes round the proxy", family: familyProxy,
		seen: seesDaemonDirect,
		causes: []candidate{{
			cause:     diagnosis.DaemonIgnoresProxy,
			decidedBy: "a second diagnosis once the proxy lets the shell through",
			summary: func(v *view) string {
				return fmt.Sprintf("%s has no proxy and tries to reach %s directly, which fails; the shell goes by %s.", capital(engine(v.scene)), v.host, v.r.Vantage.Shell.HTTPSProxy)
			},
			remedy: remedyDaemonProxy,
		}},
	},
	{
		name: "the proxy does not answer", family: familyProxy,
		seen: seesProxyUnreachable,
		causes: []candidate{{
			cause: diagnosis.ProxyUnreachable,
			summary: func(v *view) string {
				if set := v.setting(v.daemon); set.Malformed != "" {
					return fmt.Sprintf("The proxy setting of %s (%s) cannot be used: %s.", v.whose(), set.From, set.Malformed)
				}
				return fmt.Sprintf("The proxy %s of %s (%s) does not answer.", v.proxyURL(), v.whose(), v.setting(v.daemon).From)
			},
			remedy: remedyProxyAddress,
		}},
	},
	{
		name: "the proxy demands credentials", family: familyProxy,
		seen: seesProxyStatus(407, "the proxy wants credentials and got none that it accepts"),
		causes: []candidate{{
			cause: diagnosis.ProxyAuth407,
			summary: func(v *view) string {
				return fmt.Sprintf("The proxy %s demands credentials (407, %s) before it connects to %s.", v.proxyURL(), orNone(v.path.Proxy.Auth), v.host)
			},
			remedy: func(v *view) diagnosis.Remedy {
				hosts := v.names()
				return diagnosis.Remedy{
					Summary:  fmt.Sprintf("Let the proxy pass %s without credentials, or put credentials into the proxy URL of %s.", strings.Join(hosts, ", "), v.whose()),
					Commands: []string{"export HTTPS_PROXY=" + withCredentials(v.proxyURL())},
					Changes:  []diagnosis.Change{allow(diagnosis.Proxy, hosts)},
				}
			},
		}},
	},
	{
		name: "the proxy refuses the name", family: familyProxy,
		seen: seesProxyStatus(403, "the proxy refuses: the answer is to CONNECT, so the registry never saw the request"),
		causes: []candidate{{
			cause: diagnosis.ProxyDenied403,
			summary: func(v *view) string {
				return fmt.Sprintf("The proxy %s refuses to connect to %s (403 to CONNECT).", v.proxyURL(), v.host)
			},
			remedy: func(v *view) diagnosis.Remedy {
				hosts := v.names()
				return diagnosis.Remedy{
					Summary: "Allow " + strings.Join(hosts, ", ") + " on the proxy, port 443.",
					Changes: []diagnosis.Change{allow(diagnosis.Proxy, hosts)},
				}
			},
		}},
	},
	{
		name: "the proxy hangs up", family: familyProxy,
		seen: seesProxyEOF,
		causes: []candidate{{
			cause: diagnosis.ProxyEOF,
			summary: func(v *view) string {
				if strings.HasPrefix(v.proxyURL(), "https://") {
					return fmt.Sprintf("The proxy is addressed as %s and does not speak TLS there: it ends the connection (clients print proxyconnect tcp: EOF).", v.proxyURL())
				}
				return fmt.Sprintf("The proxy %s closes the connection instead of answering CONNECT (clients print EOF).", v.proxyURL())
			},
			remedy: remedyProxyScheme,
		}},
	},
	{
		name: "the proxy cannot reach the registry", family: familyProxy,
		seen: seesProxyGateway,
		causes: []candidate{
			{
				cause: diagnosis.FirewallDropsRest, decidedBy: "the proxy's own log for this connection",
				summary: func(v *view) string {
					return fmt.Sprintf("The proxy %s cannot reach %s: packets may be dropped behind it.", v.proxyURL(), v.host)
				},
				remedy: remedyFirewall,
			},
			{
				cause: diagnosis.FirewallRejectsRest, decidedBy: "the proxy's own log for this connection",
				summary: func(v *view) string {
					return fmt.Sprintf("The proxy %s cannot reach %s: connections may be rejected behind it.", v.proxyURL(), v.host)
				},
				remedy: remedyFirewall,
			},
		},
	},
	{
		name: "the proxy leads traffic for a private endpoint to the public one", family: familyProxy,
		seen: seesProxyForPrivate,
		causes: []candidate{{
			cause: diagnosis.ProxyUsedForPE,
			summary: func(v *view) string {
				return fmt.Sprintf("%s resolves to the private endpoint here, but requests go through the proxy %s, which resolves the name itself and comes to the public endpoint.", v.host, v.proxyURL())
			},
			remedy: func(v *view) diagnosis.Remedy { return v.bypassProxy("." + v.suffix()) },
		}},
	},
	{
		name: "the registry refuses the proxy's address", family: familyRules,
		seen: seesProxyEgress,
		causes: []candidate{
			{
				cause: diagnosis.ProxyEgressNotAllowed, azure: azureIPRule,
				decidedBy: "az acr show -n NAME --query \"{public:publicNetworkAccess,rules:networkRuleSet}\"",
				summary: func(v *view) string {
					ip, _ := v.denied()
					return fmt.Sprintf("Requests leave through the proxy %s from %s, which the registry's IP rules do not allow.", v.proxyURL(), ip)
				},
				remedy: remedyIPRule,
			},
			publicDisabled, pending,
		},
	},
}

func seesDaemonDirect(v *view) (sighting, bool) {
	d := v.r.Vantage.Daemon
	if !v.daemon || d == nil || d.Proxy.HTTPSProxy != "" || v.proxied() || v.path == nil || v.sound() {
		return sighting{}, false
	}
	var shell *view
	for _, l := range v.lanes {
		if !l.daemon {
			shell = l.login
		}
	}
	if shell == nil || !shell.proxied() {
		return sighting{}, false
	}
	if !shell.sound() {
		// The proxy lives and turns the shell away: the engine passes it by all
		// the same, and what that is worth shows when the proxy lets both in.
		if h := shell.hop0(); h == nil || h.Status < 400 || h.Status >= 500 || v.path.TCP == nil || v.path.TCP.Outcome == probe.Connected {
			return sighting{}, false
		}
		return sighting{
			weak: "the engine's way once the proxy lets the shell through",
			evidence: []diagnosis.Evidence{
				{Probe: "daemon", Saw: fmt.Sprintf("%s has no proxy (read: %s)", engine(v.scene), strings.Join(d.Read, ", ")), Means: "the engine pulls directly"},
				pathEvidence(v.path, "the engine's own way does not lead to the registry"),
				{Probe: "proxy", Saw: proxyText(shell.path), Means: "the shell's proxy answers; nothing else leads out"},
			},
		}, true
	}
	e := []diagnosis.Evidence{
		{Probe: "daemon", Saw: fmt.Sprintf("%s has no proxy (read: %s)", engine(v.scene), strings.Join(d.Read, ", ")), Means: "the engine pulls directly"},
		pathEvidence(v.path, "the engine's own way does not lead to the registry"),
		{Probe: "proxy", Saw: fmt.Sprintf("by %s (%s) %s", v.r.Vantage.Shell.HTTPSProxy, v.r.Vantage.Shell.From, tlsText(shell.host, shell.path.TLS)), Means: "the proxy does; the shell uses it"},
	}
	return sighting{evidence: e, excluded: []diagnosis.Exclusion{
		{Cause: diagnosis.ProxyDenied403, Because: "the proxy serves the shell"},
		{Cause: diagnosis.DockerResolverDiffers, Because: "the engine's way is tried from the same host with the same resolver"},
	}}, true
}

func (v *view) hop0() *probe.ProxyHop {
	if v.path == nil || !v.proxied() {
		return nil
	}
	return v.path.Proxy
}

func (v *view) proxyURL() string {
	if h := v.hop0(); h != nil && h.URL != "" {
		return h.URL
	}
	return v.setting(v.daemon).HTTPSProxy
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func (v *view) whose() string {
	if v.daemon {
		return engine(v.scene)
	}
	return "the shell"
}

func engine(s *scene) string {
	if d := s.r.Vantage.Daemon; d != nil && d.Engine != "" {
		return "the container engine " + d.Engine
	}
	return "the container engine"
}

func (v *view) proxyEvidence(means string) []diagnosis.Evidence {
	set := v.setting(v.daemon)
	var e []diagnosis.Evidence
	if set.HTTPSProxy != "" {
		e = append(e, diagnosis.Evidence{Probe: "proxy", Saw: fmt.Sprintf("%s uses the proxy %s (%s); NO_PROXY does not cover %s", v.whose(), set.HTTPSProxy, set.From, v.host), Means: "requests for this host go to the proxy"})
	}
	return append(e, diagnosis.Evidence{Probe: "proxy", Saw: proxyText(v.path), Means: means})
}

func seesProxyUnreachable(v *view) (sighting, bool) {
	h := v.hop0()
	if h == nil || h.Status != 0 {
		return sighting{}, false
	}
	set := v.setting(v.daemon)
	dead := h.Resolve != nil && len(h.Resolve.Addrs) == 0 ||
		v.path.TCP != nil && v.path.TCP.Outcome != probe.Connected ||
		h.Outcome == "silence"
	if !dead {
		return sighting{}, false
	}
	out := sighting{evidence: v.proxyEvidence("the proxy itself cannot be used; nothing reached the registry")}
	if set.Malformed != "" {
		// Nothing was sent anywhere, so there is nothing to say of the proxy.
		out.evidence = append(out.evidence[:len(out.evidence)-1], diagnosis.Evidence{Probe: "proxy", Saw: set.From + ": " + set.Malformed, Means: "clients read this value in different ways"})
	}
	out.excluded = []diagnosis.Exclusion{{Cause: diagnosis.FirewallDropsRest, Because: "no packet to the registry was sent: the proxy is the hop that fails"}}
	return out, true
}

func seesProxyStatus(status int, means string) func(*view) (sighting, bool) {
	return func(v *view) (sighting, bool) {
		h := v.hop0()
		if h == nil || h.Status != status {
			return sighting{}, false
		}
		out := sighting{evidence: v.proxyEvidence(means)}
		if status == 403 {
			out.excluded = []diagnosis.Exclusion{
				{Cause: diagnosis.RegistryIPRule, Because: "the 403 answers CONNECT and carries no registry error"},
				{Cause: diagnosis.ProxyEgressNotAllowed, Because: "no tunnel was opened, so the registry did not answer"},
			}
		} else {
			out.excluded = []diagnosis.Exclusion{{Cause: diagnosis.ProxyDenied403, Because: "the status is 407, not 403"}}
		}
		return out, true
	}
}

func seesProxyEOF(v *view) (sighting, bool) {
	h := v.hop0()
	if h == nil || h.Status != 0 {
		return sighting{}, false
	}
	switch h.Outcome {
	case "closed", "reset", "not-tls", "tls-failed":
	default:
		return sighting{}, false
	}
	out := sighting{evidence: v.proxyEvidence("the proxy ends the connection before it answers CONNECT")}
	if h.PlainWorks {
		out.evidence = append(out.evidence, diagnosis.Evidence{Probe: "proxy", Saw: "the same proxy answers CONNECT in cleartext", Means: "the scheme https:// in the proxy's URL is wrong: it says how to talk to the proxy, not what is fetched"})
	}
	out.excluded = []diagnosis.Exclusion{{Cause: diagnosis.SNIBlocked, Because: "the connection ends before a ClientHello for the registry is sent"}}
	return out, true
}

func seesProxyGateway(v *view) (sighting, bool) {
	h := v.hop0()
	if h == nil || h.Status < 500 {
		return sighting{}, false
	}
	return sighting{evidence: v.proxyEvidence("the proxy answers and cannot open the connection itself")}, true
}

func seesProxyForPrivate(v *view) (sighting, bool) {
	if v.hop0() == nil || v.class(v.dns.effective) != private || !v.failing() {
		return sighting{}, false
	}
	ip, denied := v.denied()
	if !denied && v.hop0().Status < 500 {
		return sighting{}, false
	}
	e := []diagnosis.Evidence{dnsEvidence(v.dns.effective, "this host would go to the private endpoint")}
	e = append(e, v.proxyEvidence("CONNECT carries the name; the proxy resolves it")...)
	if denied {
		e = append(e, diagnosis.Evidence{Probe: "challenge", Saw: deniedText(ip), Means: "the proxy came to the public endpoint"})
	}
	return sighting{evidence: e, excluded: []diagnosis.Exclusion{
		{Cause: diagnosis.PublicAccessDisabled, Because: "this client has a private way, which it does not take"},
	}}, true
}

func seesProxyEgress(v *view) (sighting, bool) {
	ip, denied := v.denied()
	if v.hop0() == nil || !denied {
		return sighting{}, false
	}
	return sighting{
		evidence: append(v.proxyEvidence("the proxy opens the tunnel"), diagnosis.Evidence{Probe: "challenge", Saw: deniedText(ip), Means: "the registry itself answers, and refuses the address that the proxy leaves from"}),
		excluded: []diagnosis.Exclusion{{Cause: diagnosis.ProxyDenied403, Because: "the proxy opened the tunnel; the 403 has the registry's error code"}},
	}, true
}

// dataProxyTable: the login server and the layers' endpoint take different ways.
var dataProxyTable = []situation{{
	name: "the exemption from the proxy covers one endpoint only", family: familyProxy,
	seen: seesSplitProxy,
	causes: []candidate{{
		cause: diagnosis.NoProxyMissesData,
		summary: func(v *view) string {
			if v.proxied() {
				return fmt.Sprintf("NO_PROXY covers the login server %s but not %s, so layers go to the proxy %s, where they fail.", v.login.host, v.host, v.proxyURL())
			}
			return fmt.Sprintf("NO_PROXY covers %s, so layers are fetched directly, which fails, while the login server %s is reached by the proxy.", v.host, v.login.host)
		},
		remedy: remedyNoProxy,
	}},
}}

func seesSplitProxy(v *view) (sighting, bool) {
	if v.path == nil || v.login == nil || v.login.path == nil || v.proxied() == v.login.proxied() || !v.failing() || v.login.failing() {
		return sighting{}, false
	}
	set := v.setting(v.daemon)
	e := []diagnosis.Evidence{
		{Probe: "proxy", Saw: fmt.Sprintf("HTTPS_PROXY=%s, NO_PROXY=%s (%s)", set.HTTPSProxy, orNone(set.NoProxy), set.From), Means: fmt.Sprintf("%s and %s take different ways", v.login.host, v.host)},
		{Probe: "tls", Saw: wayText(v.login), Means: "the login server is reached"},
		pathEvidence(v.path, "the layers' endpoint is not"),
	}
	return sighting{evidence: e, excluded: []diagnosis.Exclusion{
		{Cause: diagnosis.FirewallDropsData, Because: "the endpoint is tried by another way than the login server"},
	}}, true
}

func wayText(v *view) string {
	way := "directly"
	if v.proxied() {
		way = "by the proxy " + v.proxyURL()
	}
	return way + ": " + tlsText(v.host, v.path.TLS)
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// azureIPRule: the registry is open to listed addresses and does not list this one.
func azureIPRule(v *view) ruling {
	ip, denied := v.denied()
	if !denied || !v.inv.Known(inventory.Registries) || v.inv.Registry == nil {
		return unread
	}
	reg := v.inv.Registry
	if strings.EqualFold(reg.PublicNetworkAccess, "Disabled") {
		return exclude("publicNetworkAccess is Disabled: IP rules are not looked at")
	}
	if rule, ok := covering(reg.IPRules, ip); ok {
		return exclude(fmt.Sprintf("ipRules allow %s by %s", ip, rule))
	}
	return confirm(fmt.Sprintf("publicNetworkAccess is %s, defaultAction %s, and ipRules (%s) do not hold %s", reg.PublicNetworkAccess, reg.DefaultAction, listOr(reg.IPRules, "empty"), ip))
}

func listOr(s []string, empty string) string {
	if len(s) == 0 {
		return empty
	}
	return strings.Join(s, ", ")
}
