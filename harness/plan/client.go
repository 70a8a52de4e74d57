package plan

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/acrlab/acrlab/harness/state"
	"github.com/acrlab/acrlab/harness/topology"
)

// buildClient writes the client's files and environment.
func (b *builder) buildClient() error {
	h, s := b.hosts[clientHost], b.in.Site
	h.TrustAzure = true
	h.Env, h.Daemon = proxyEnvironment(s.Shell), proxyEnvironment(s.Daemon)
	config, err := b.dockerConfig()
	if err != nil {
		return err
	}
	h.Files = map[string]string{
		"/etc/resolv.conf":          b.resolvConf(),
		"/etc/hosts":                b.hostsFile(),
		"/etc/nsswitch.conf":        "hosts: files dns\n",
		"/root/.docker/config.json": config,
		// An engine without settings of its own, whatever the machine that the
		// simulation runs on has installed.
		"/etc/docker/daemon.json": "{}\n",
		"/etc/default/docker":     "",
	}
	if s.Daemon != (topology.ProxySettings{}) {
		h.Files["/etc/systemd/system/docker.service.d/http-proxy.conf"] = dropIn(s.Daemon)
	}
	return nil
}

// proxyEnvironment has both spellings: Go and Docker read either, curl and
// Python prefer the lower case.
func proxyEnvironment(p topology.ProxySettings) map[string]string {
	env := map[string]string{}
	set := func(name, value string) {
		if value != "" {
			env[name], env[strings.ToLower(name)] = value, value
		}
	}
	set("HTTPS_PROXY", p.HTTPSProxy)
	set("NO_PROXY", p.NoProxy)
	return env
}

// dropIn is the unit file with which the Docker documentation sets proxies.
// https://docs.docker.com/engine/daemon/proxy/#systemd-unit-file
func dropIn(p topology.ProxySettings) string {
	var out strings.Builder
	out.WriteString("[Service]\n")
	set := func(name, value string) {
		if value != "" {
			// systemd expands % and needs quotes and backslashes escaped (systemd.exec(5)).
			value = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%").Replace(value)
			fmt.Fprintf(&out, "Environment=\"%s=%s\"\n", name, value)
		}
	}
	set("HTTPS_PROXY", p.HTTPSProxy)
	set("NO_PROXY", p.NoProxy)
	return out.String()
}

func (b *builder) resolvConf() string {
	var out strings.Builder
	for _, a := range b.site.dns {
		fmt.Fprintf(&out, "nameserver %s\n", a)
	}
	return out.String()
}

func (b *builder) hostsFile() string {
	var out strings.Builder
	out.WriteString("127.0.0.1 localhost\n127.0.1.1 client\n")
	for _, name := range keys(b.in.Site.Hosts) {
		fmt.Fprintf(&out, "%s %s\n", b.in.Site.Hosts[name], name)
	}
	// The proxy has a name that only the site's own resolver knows.
	if p := b.site.proxy; p != nil && !b.resolverKnowsProxy() && b.in.Site.Hosts[p.name] == "" {
		fmt.Fprintf(&out, "%s %s\n", p.address, p.name)
	}
	return out.String()
}

func (b *builder) resolverKnowsProxy() bool {
	if !b.site.ownResolver {
		return false
	}
	if b.in.Site.Resolver == nil {
		return true
	}
	for suffix := range b.in.Site.Resolver.Forwarders {
		suffix = strings.Trim(strings.ToLower(suffix), ".")
		if suffix == "" || b.site.proxy.name == suffix || strings.HasSuffix(b.site.proxy.name, "."+suffix) {
			return false
		}
	}
	return true
}

// dockerConfig holds the registry token for every login server that the client
// may use, the one it was told of included.
func (b *builder) dockerConfig() (string, error) {
	var names []string
	for _, a := range b.registries {
		names = append(names, a.login)
	}
	if server, _, ok := strings.Cut(b.in.Site.Image, "/"); ok && strings.ContainsAny(server, ".:") {
		names = append(names, server)
	}
	slices.Sort(names)
	auth := base64.StdEncoding.EncodeToString([]byte(state.TokenName + ":" + state.TokenPassword))
	auths := map[string]map[string]string{}
	for _, n := range names {
		auths[n] = map[string]string{"auth": auth}
	}
	raw, err := json.MarshalIndent(map[string]any{"auths": auths}, "", "\t")
	if err != nil {
		return "", fmt.Errorf("encoding the client's Docker configuration: %w", err)
	}
	return string(raw) + "\n", nil
}
