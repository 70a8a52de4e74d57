package trace

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/acrlab/acrlab/fakes/dns"
	"github.com/acrlab/acrlab/harness/plan"
)

// Answer is what a host's resolver says about a name, as the plan has it.
type Answer struct {
	Name   string       `json:"name"`
	Server netip.Addr   `json:"server,omitzero"` // zero: the hosts file
	Path   *Path        `json:"path,omitempty"`  // of the query
	RCode  string       `json:"rcode,omitempty"` // empty: no answer came
	Chain  []string     `json:"chain,omitempty"` // alias targets in order
	Addrs  []netip.Addr `json:"addrs,omitempty"`
	// Through are the servers that the first one asked in turn.
	Through []netip.Addr `json:"through,omitempty"`
}

// maxForwards bounds a chain of forwarders that point at each other.
const maxForwards = 8

// Lookup resolves name as a program on host from would: hosts file first, then
// the first name server of resolv.conf.
func Lookup(n *plan.Network, from, name string) (Answer, error) {
	w := walker{n: n}
	h := w.host(from)
	if h == nil {
		return Answer{}, fmt.Errorf("there is no host %q", from)
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	a := Answer{Name: name}
	if addr, ok := inHosts(h.Files["/etc/hosts"], name); ok {
		a.RCode, a.Addrs = "NOERROR", []netip.Addr{addr}
		return a, nil
	}
	server, ok := nameserver(h.Files["/etc/resolv.conf"])
	if !ok {
		return a, nil
	}
	a.Server = server
	return a, ask(n, from, server, &a)
}

// ask sends the query on, from server to server.
func ask(n *plan.Network, from string, server netip.Addr, a *Answer) error {
	for range maxForwards {
		p := Follow(n, from, Flow{Protocol: "udp", Destination: server, Port: 53})
		if a.Path == nil {
			a.Path = &p
		}
		if p.Fate != Delivered {
			return nil
		}
		at := p.Hops[len(p.Hops)-1].Host
		cfg := dnsService(n, at, p.Service)
		if cfg == nil || cfg.Behaviour == dns.Silence {
			return nil
		}
		if cfg.Behaviour != dns.Answer {
			a.RCode = strings.ToUpper(string(cfg.Behaviour))
			return nil
		}
		if to, ok := forwarder(cfg.Forward, a.Name); ok {
			from, server = at, to
			a.Through = append(a.Through, to)
			continue
		}
		if cfg.OnlyViews && !seen(cfg.Views, p.Source) {
			return nil
		}
		res, err := dns.Resolve(cfg.Records, cfg.Views, p.Source, a.Name)
		if err != nil {
			return fmt.Errorf("resolving %s at %s: %w", a.Name, server, err)
		}
		a.RCode, a.Addrs = string(res.RCode), res.Addrs()
		for _, r := range res.Records {
			if r.CNAME != "" {
				a.Chain = append(a.Chain, r.CNAME)
			}
		}
		return nil
	}
	return nil
}

func dnsService(n *plan.Network, host, service string) *dns.Config {
	for _, h := range n.Hosts {
		for _, s := range h.Services {
			if h.Name == host && s.Name == service {
				return s.DNS
			}
		}
	}
	return nil
}

func forwarder(list []dns.Forward, name string) (to netip.Addr, ok bool) {
	best := -1
	for _, f := range list {
		suffix := strings.Trim(strings.ToLower(f.Suffix), ".")
		if (suffix == "" || name == suffix || strings.HasSuffix(name, "."+suffix)) && len(suffix) > best {
			best, to, ok = len(suffix), f.To.Addr(), true
		}
	}
	return to, ok
}

func seen(views []dns.View, from netip.Addr) bool {
	for _, v := range views {
		for _, p := range v.Source {
			if p.Contains(from) {
				return true
			}
		}
	}
	return false
}

// inHosts finds a name in a hosts file (hosts(5)).
func inHosts(file, name string) (netip.Addr, bool) {
	for line := range strings.Lines(file) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		for i := 1; i < len(fields); i++ {
			if strings.EqualFold(fields[i], name) {
				a, err := netip.ParseAddr(fields[0])
				return a, err == nil
			}
		}
	}
	return netip.Addr{}, false
}

// nameserver is the first of a resolv.conf(5).
func nameserver(file string) (netip.Addr, bool) {
	for line := range strings.Lines(file) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "nameserver" {
			if a, err := netip.ParseAddr(f[1]); err == nil {
				return a, true
			}
		}
	}
	return netip.Addr{}, false
}
