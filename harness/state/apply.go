package state

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/acrlab/acrlab/diagnosis"
	"github.com/acrlab/acrlab/harness/topology"
)

// Apply carries out one step of a remedy on the client's side and returns the
// changed site; the given one stays as it is. Changes to Azure are requests to
// its store and are refused here.
//
// An error says why a step cannot be carried out, which includes steps that
// would change nothing that is there: asking a firewall that the site does not
// have, setting the resolver that is already set.
func Apply(site topology.Site, c diagnosis.Change) (topology.Site, error) {
	steps := 0
	for _, set := range []bool{c.ARM != nil, c.Allow != nil, c.Environment != nil, c.Resolver != nil, c.Hosts != nil, c.UseRegistry != ""} {
		if set {
			steps++
		}
	}
	if steps != 1 {
		return site, fmt.Errorf("a change must be exactly one step, this one is %d", steps)
	}
	switch {
	case c.Allow != nil:
		return allow(site, *c.Allow)
	case c.Environment != nil:
		return setEnvironment(site, *c.Environment)
	case c.Resolver != nil:
		return setResolver(site, *c.Resolver)
	case c.Hosts != nil:
		return removeHosts(site, c.Hosts.Remove)
	case c.UseRegistry != "":
		return useRegistry(site, c.UseRegistry)
	}
	return site, fmt.Errorf("a request to Azure Resource Manager (%s %s) does not change the site", c.ARM.Method, c.ARM.ID)
}

func allow(site topology.Site, a diagnosis.Allow) (topology.Site, error) {
	if len(a.Hosts) == 0 {
		return site, fmt.Errorf("allowing at the %s: no hosts are named", a.Device)
	}
	names := make([]string, 0, len(a.Hosts))
	for _, h := range a.Hosts {
		names = append(names, strings.ToLower(strings.TrimSuffix(h, ".")))
	}
	if a.Port < 0 || a.Port > 65535 {
		return site, fmt.Errorf("allowing at the %s: %d is not a port", a.Device, a.Port)
	}
	switch a.Device {
	case diagnosis.Firewall:
		return allowFirewall(site, names, a.Port)
	case diagnosis.Proxy:
		return allowProxy(site, names)
	case diagnosis.Inspection:
		return exempt(site, names)
	}
	return site, fmt.Errorf("allowing at the %q: no such kind of device", a.Device)
}

func allowFirewall(site topology.Site, names []string, port int) (topology.Site, error) {
	if site.Firewall == nil {
		return site, fmt.Errorf("allowing at the firewall: the site has none")
	}
	f := *site.Firewall
	rule := topology.FirewallRule{Priority: 99, Action: "allow", To: names}
	if port != 0 {
		rule.Ports = []int{port}
	}
	for _, r := range f.Rules {
		rule.Priority = min(rule.Priority, r.Priority-1)
	}
	if rule.Priority == 0 {
		rule.Priority = -1 // zero would mean: not given
	}
	f.Rules = maps.Clone(f.Rules)
	if f.Rules == nil {
		f.Rules = map[string]topology.FirewallRule{}
	}
	name := "allow-" + strings.ReplaceAll(strings.ReplaceAll(names[0], "*", "any"), ".", "-")
	for n := 2; ; n++ {
		if _, taken := f.Rules[name]; !taken {
			break
		}
		name = strings.TrimSuffix(name, "-"+strconv.Itoa(n-1)) + "-" + strconv.Itoa(n)
	}
	f.Rules[name] = rule
	if f.Names != nil && (port == 0 || port == 443) {
		filter := *f.Names
		filter.Block = without(filter.Block, names)
		if len(filter.Allow) > 0 {
			filter.Allow = with(filter.Allow, names)
		}
		f.Names = &filter
	}
	site.Firewall = &f
	return site, nil
}

func allowProxy(site topology.Site, names []string) (topology.Site, error) {
	if site.Proxy == nil {
		return site, fmt.Errorf("allowing at the proxy: the site has none")
	}
	p := *site.Proxy
	if len(p.Allow) > 0 {
		p.Allow = with(p.Allow, names)
	}
	p.Deny = without(p.Deny, names)
	if p.Authenticate {
		p.Anonymous = with(p.Anonymous, names)
	}
	site.Proxy = &p
	return site, nil
}

func exempt(site topology.Site, names []string) (topology.Site, error) {
	done := false
	if f := site.Firewall; f != nil && f.Names != nil && f.Names.Inspect {
		firewall, filter := *f, *f.Names
		filter.Exempt = with(filter.Exempt, names)
		firewall.Names, site.Firewall, done = &filter, &firewall, true
	}
	if p := site.Proxy; p != nil && p.Inspect {
		proxy := *p
		proxy.Exempt = with(proxy.Exempt, names)
		site.Proxy, done = &proxy, true
	}
	if !done {
		return site, fmt.Errorf("exempting from inspection: nothing at the site inspects TLS")
	}
	return site, nil
}

// with adds names that are missing.
func with(list, names []string) []string {
	out := slices.Clone(list)
	for _, n := range names {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// without takes names out, and patterns that cover one of them: a device that
// blocks "*.azurecr.io" and shall let one registry pass must give up the pattern.
func without(list, names []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(entry string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return covers(strings.ToLower(entry), n) || covers(n, strings.ToLower(entry)) })
	})
}

// covers says whether a name, or a pattern that begins with "*.", holds another.
func covers(pattern, name string) bool {
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok && strings.HasPrefix(suffix, ".") {
		return strings.HasSuffix(name, suffix)
	}
	return pattern == name
}

// setEnvironment sets the proxy variables of a scope. Either spelling of a
// variable counts; an empty value unsets it.
func setEnvironment(site topology.Site, e diagnosis.Environment) (topology.Site, error) {
	settings := &site.Shell // of the copy
	switch e.Scope {
	case diagnosis.Shell:
	case diagnosis.Daemon:
		settings = &site.Daemon
	default:
		return site, fmt.Errorf("setting the environment of %q: no such scope", e.Scope)
	}
	if len(e.Set) == 0 {
		return site, fmt.Errorf("setting the environment of the %s: no variables are named", e.Scope)
	}
	for _, name := range keys(e.Set) {
		switch strings.ToUpper(name) {
		case "HTTPS_PROXY":
			settings.HTTPSProxy = e.Set[name]
		case "NO_PROXY":
			settings.NoProxy = e.Set[name]
		case "HTTP_PROXY":
			// Often set along with the others; no registry speaks cleartext HTTP.
		default:
			return site, fmt.Errorf("setting the environment of the %s: %s has no effect here, only HTTPS_PROXY and NO_PROXY do", e.Scope, name)
		}
	}
	return site, nil
}

// setResolver points the client at another name server.
func setResolver(site topology.Site, r diagnosis.Resolver) (topology.Site, error) {
	if site.At != topology.OnPremises && site.At != topology.Internet {
		return site, fmt.Errorf("setting the resolver: a client in a virtual network has the network's; change its dhcpOptions")
	}
	if len(r.Servers) == 0 {
		return site, fmt.Errorf("setting the resolver: no server is named")
	}
	for _, s := range r.Servers {
		if a, err := netip.ParseAddr(s); err != nil || !a.Is4() {
			return site, fmt.Errorf("setting the resolver: %q is not an IPv4 address", s)
		}
	}
	if site.Resolver != nil && site.Resolver.Address == r.Servers[0] {
		return site, fmt.Errorf("setting the resolver: it is %s already", r.Servers[0])
	}
	site.Resolver = &topology.Resolver{Address: r.Servers[0], Behaviour: "answer"}
	return site, nil
}

// removeHosts takes names out of the client's hosts file.
func removeHosts(site topology.Site, names []string) (topology.Site, error) {
	hosts := maps.Clone(site.Hosts)
	for _, n := range names {
		if _, ok := hosts[strings.ToLower(n)]; !ok {
			return site, fmt.Errorf("removing %s from the hosts file: it is not there", n)
		}
		delete(hosts, strings.ToLower(n))
	}
	site.Hosts = hosts
	return site, nil
}

// useRegistry changes the login server in the name of the image.
func useRegistry(site topology.Site, server string) (topology.Site, error) {
	_, rest, ok := strings.Cut(site.Image, "/")
	if !ok {
		return site, fmt.Errorf("using the registry %s: the client's image %q names no registry", server, site.Image)
	}
	if server != strings.ToLower(server) || strings.ContainsAny(server, "/ @") || !strings.Contains(server, ".") {
		return site, fmt.Errorf("using the registry %q: not a login server name", server)
	}
	site.Image = server + "/" + rest
	return site, nil
}
