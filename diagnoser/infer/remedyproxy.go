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
func commandsFor(scope diagnosis.Scope, name, value string) []string {
	if scope == diagnosis.Shell {
		return []string{fmt.Sprintf("export %s=%s", name, value)}
	}
	return []string{
		"mkdir -p /etc/systemd/system/docker.service.d",
		fmt.Sprintf(`printf '[Service]\nEnvironment="%s=%s"\n' > /etc/systemd/system/docker.service.d/%s.conf`, name, value, strings.ToLower(strings.ReplaceAll(name, "_", "-"))),
		"systemctl daemon-reload && systemctl restart docker",
	}
}

func remedyDaemonProxy(v *view) diagnosis.Remedy {
	shell := v.r.Vantage.Shell
	set := map[string]string{"HTTPS_PROXY": shell.HTTPSProxy}
	commands := []string{"mkdir -p /etc/systemd/system/docker.service.d"}
	line := fmt.Sprintf(`Environment="HTTPS_PROXY=%s"`, shell.HTTPSProxy)
	if shell.NoProxy != "" {
		set["NO_PROXY"] = shell.NoProxy
		line += fmt.Sprintf(`\nEnvironment="NO_PROXY=%s"`, shell.NoProxy)
	}
	commands = append(commands,
		fmt.Sprintf(`printf '[Service]\n%s\n' > /etc/systemd/system/docker.service.d/http-proxy.conf`, line),
		"systemctl daemon-reload && systemctl restart docker")
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
		return diagnosis.Remedy{
			Summary: fmt.Sprintf("Check port and scheme of the proxy %s in %s, and let its owner say why it closes connections to %s.", now, v.setting(v.daemon).From, strings.Join(hosts, ", ")),
			Changes: []diagnosis.Change{allow(diagnosis.Proxy, hosts)},
		}
	}
	value := "http://" + plain
	out := diagnosis.Remedy{Summary: fmt.Sprintf("Write the proxy as %s: the scheme says how the proxy itself is spoken to, and TLS to the registry runs inside the tunnel either way.", value)}
	for _, s := range v.scopes() {
		out.Commands = append(out.Commands, commandsFor(s, "HTTPS_PROXY", value)...)
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
		out.Commands = append(out.Commands, commandsFor(s, "NO_PROXY", value)...)
		out.Changes = append(out.Changes, environment(s, map[string]string{"NO_PROXY": value}))
	}
	return out
}

func remedyNoProxy(v *view) diagnosis.Remedy {
	if v.proxied() {
		pattern := "." + v.suffix()
		if v.role == probe.RoleStorage {
			pattern = ".blob.core.windows.net"
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
