package infer

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/acrlab/acrlab/diagnoser/probe"
	"github.com/acrlab/acrlab/diagnosis"
)

// scopes are those whose traffic takes the path.
func (v *view) scopes() []diagnosis.Scope {
	var out []diagnosis.Scope
	if v.path == nil || v.path.Shell || !v.daemon && !v.path.Daemon {
		out = append(out, diagnosis.Shell)
	}
	if v.path != nil && v.path.Daemon || v.daemon {
		out = append(out, diagnosis.Daemon)
	}
	return out
}

func environment(scope diagnosis.Scope, set map[string]string) diagnosis.Change {
	return diagnosis.Change{Environment: &diagnosis.Environment{Scope: scope, Set: set}}
}

// commandsFor set a variable in a scope.
func (v *view) commandsFor(scope diagnosis.Scope, name, value string) []string {
	if scope == diagnosis.Shell {
		return []string{fmt.Sprintf("export %s=%s", name, value)}
	}
	dir, unit := v.dropIns()
	return []string{
		"mkdir -p " + dir,
		fmt.Sprintf(`printf '[Service]\nEnvironment="%s=%s"\n' > %s/%s.conf`, name, value, dir, strings.ToLower(strings.ReplaceAll(name, "_", "-"))),
		"systemctl daemon-reload && systemctl restart " + unit,
	}
}

// dropIns is the folder of the engine's systemd unit, and the unit.
func (v *view) dropIns() (dir, unit string) {
	unit = "docker"
	if d := v.r.Vantage.Daemon; d != nil && d.Engine != "" {
		unit = d.Engine
	}
	return "/etc/systemd/system/" + unit + ".service.d", unit
}

func remedyDaemonProxy(v *view) diagnosis.Remedy {
	shell := v.r.Vantage.Shell
	set := map[string]string{"HTTPS_PROXY": shell.HTTPSProxy}
	dir, unit := v.dropIns()
	commands := []string{"mkdir -p " + dir}
	line := fmt.Sprintf(`Environment="HTTPS_PROXY=%s"`, shell.HTTPSProxy)
	if shell.NoProxy != "" {
		set["NO_PROXY"] = shell.NoProxy
		line += fmt.Sprintf(`\nEnvironment="NO_PROXY=%s"`, shell.NoProxy)
	}
	commands = append(commands,
		fmt.Sprintf(`printf '[Service]\n%s\n' > %s/http-proxy.conf`, line, dir),
		"systemctl daemon-reload && systemctl restart "+unit)
	return diagnosis.Remedy{
		Summary:  fmt.Sprintf("Give the container engine the proxy %s and restart it; it does not read the shell's environment.", shell.HTTPSProxy),
		Commands: commands,
		Changes:  []diagnosis.Change{environment(diagnosis.Daemon, set)},
	}
}

func remedyProxyScheme(v *view) diagnosis.Remedy {
	now := v.proxyURL()
	plain, isHTTPS := strings.CutPrefix(now, "https://")
	if !isHTTPS {
		hosts := v.names()
		out := diagnosis.Remedy{Summary: fmt.Sprintf("Check port and scheme of the proxy %s in %s, and let its owner say why it closes connections to %s.", now, v.setting(v.daemon).From, strings.Join(hosts, ", "))}
		if _, fine := v.controls(); fine > 0 {
			// It serves other names: it is these that it hangs up on.
			out.Changes = []diagnosis.Change{allow(diagnosis.Proxy, hosts)}
		} else {
			out.Summary = fmt.Sprintf("Check port and scheme of the proxy %s in %s, and let its owner say why it closes every connection; it serves no other name either.", now, v.setting(v.daemon).From)
		}
		return out
	}
	value := "http://" + plain
	out := diagnosis.Remedy{Summary: fmt.Sprintf("Write the proxy as %s: the scheme says how the proxy itself is spoken to, and TLS to the registry runs inside the tunnel either way.", value)}
	for _, s := range v.scopes() {
		out.Commands = append(out.Commands, v.commandsFor(s, "HTTPS_PROXY", value)...)
		out.Changes = append(out.Changes, environment(s, map[string]string{"HTTPS_PROXY": value}))
	}
	return out
}

// bypassProxy exempts names from the proxy.
func (v *view) bypassProxy(pattern string) diagnosis.Remedy {
	value := pattern
	if now := v.setting(v.daemon).NoProxy; now != "" {
		value = strings.TrimRight(now, ",") + "," + pattern
	}
	return v.noProxy(value, fmt.Sprintf("Exempt %s from the proxy: NO_PROXY=%s.", pattern, value))
}

func (v *view) noProxy(value, summary string) diagnosis.Remedy {
	out := diagnosis.Remedy{Summary: summary}
	for _, s := range v.scopes() {
		out.Commands = append(out.Commands, v.commandsFor(s, "NO_PROXY", value)...)
		out.Changes = append(out.Changes, environment(s, map[string]string{"NO_PROXY": value}))
	}
	return out
}

func remedyNoProxy(v *view) diagnosis.Remedy {
	if v.proxied() {
		pattern := "." + v.suffix()
		if v.role == probe.RoleStorage {
			pattern = v.blobSuffix()
		}
		return v.bypassProxy(pattern)
	}
	// The reverse: the exemption that covers the layers' endpoint must go.
	var keep []string
	for _, e := range strings.Split(v.setting(v.daemon).NoProxy, ",") {
		if e = strings.TrimSpace(e); e != "" && !exempts(e, v.host) {
			keep = append(keep, e)
		}
	}
	value := strings.Join(keep, ",")
	return v.noProxy(value, fmt.Sprintf("Take %s out of NO_PROXY, so that layers go by the proxy like everything else: NO_PROXY=%s.", v.host, orNone(value)))
}

// exempts: an entry of NO_PROXY covers a host, as clients written in Go read it
// (golang.org/x/net/http/httpproxy).
func exempts(entry, host string) bool {
	entry, host = strings.ToLower(entry), strings.ToLower(host)
	if entry == "*" {
		return true
	}
	entry = strings.TrimPrefix(entry, "*")
	entry, _, _ = strings.Cut(entry, ":")
	bare := strings.TrimPrefix(entry, ".")
	return bare != "" && (host == bare || strings.HasSuffix(host, "."+bare))
}

// withCredentials shows where credentials stand in a proxy URL.
func withCredentials(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "http://USER:PASSWORD@PROXY:PORT"
	}
	return u.Scheme + "://USER:PASSWORD@" + u.Host
}

// remedyProxyAddress corrects what is plainly mistyped, or takes the proxy over
// that the other side of this host gets through by; who runs the proxy must do
// the rest.
func remedyProxyAddress(v *view) diagnosis.Remedy {
	set := v.setting(v.daemon)
	value, why := "", ""
	if other, ok := v.workingProxy(); ok {
		value, why = other, "which gets through from here"
	} else if fixed := respell(set.HTTPSProxy); set.Malformed != "" && fixed != set.HTTPSProxy {
		value, why = fixed, "which is well formed"
	}
	if value == "" {
		return diagnosis.Remedy{Summary: fmt.Sprintf("Correct the proxy address in %s, or start the proxy; if %s may be reached directly, exempt it with NO_PROXY.", set.From, v.host)}
	}
	out := diagnosis.Remedy{Summary: fmt.Sprintf("Write the proxy in %s as %s, %s.", set.From, value, why)}
	for _, s := range v.scopes() {
		out.Commands = append(out.Commands, v.commandsFor(s, "HTTPS_PROXY", value)...)
		out.Changes = append(out.Changes, environment(s, map[string]string{"HTTPS_PROXY": value}))
	}
	return out
}

// workingProxy is the proxy of the other lane, if the registry is reached by it.
func (v *view) workingProxy() (string, bool) {
	for i := range v.r.Paths {
		p := &v.r.Paths[i]
		other := p.Shell
		if !v.daemon {
			other = p.Daemon && !p.Shell
		}
		if other && p.Role == probe.RoleLogin && p.Proxy != nil && p.TLS != nil && p.TLS.Outcome == probe.Verified {
			return v.setting(!v.daemon).HTTPSProxy, true
		}
	}
	return "", false
}

// respell mends the slips that make a proxy URL unreadable: backslashes,
// quotation marks, a lost colon or slash after the scheme.
func respell(raw string) string {
	s := strings.Trim(strings.ReplaceAll(raw, `\`, "/"), " \t\"'")
	for _, scheme := range []string{"https", "http"} {
		rest, ok := strings.CutPrefix(s, scheme)
		if !ok {
			continue
		}
		s = scheme + "://" + strings.TrimLeft(rest, ":/")
		break
	}
	if u, err := url.Parse(s); err != nil || u.Hostname() == "" || u.Scheme == "" {
		return raw
	}
	return s
}
