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
	Why    string       `json:"why,omitempty"`   // what kept the answer away
	Chain  []string     `json:"chain,omitempty"` // alias targets in order
	Addrs  []netip.Addr `json:"addrs,omitempty"`
	// Through are the servers that Server asked in turn.
	Through []netip.Addr `json:"through,omitempty"`
	// Unanswered are the servers that were asked before Server, in vain.
	Unanswered []netip.Addr `json:"unanswered,omitempty"`
}

// maxForwards bounds a chain of forwarders that point at each other.
const maxForwards = 8

// Lookup resolves name as a program on host from would: hosts file first, then
// the name servers of resolv.conf in their order, the next when one gives no
// answer. When none does, the answer is the first one's.
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
	servers := nameservers(h.Files["/etc/resolv.conf"])
	if len(servers) == 0 {
		a.Why = from + " has no name server"
		return a, nil
	}
	var first *Answer
	for i, server := range servers {
		a := Answer{Name: name, Server: server, Unanswered: servers[:i]}
		if err := ask(n, from, server, &a); err != nil {
			return a, err
		}
		if a.usable() {
			return a, nil
		}
		if first == nil {
			first = &a
		}
	}
	return *first, nil
}

// usable says that a resolver takes the answer and does not ask the next server.
func (a Answer) usable() bool {
	return a.RCode != "" && a.RCode != string(dns.RCodeServFail) && a.RCode != string(dns.RCodeRefused)
}

// LookupAt resolves name on host from with one server, without a hosts file.
func LookupAt(n *plan.Network, from, name string, server netip.Addr) (Answer, error) {
	a := Answer{Name: strings.ToLower(strings.TrimSuffix(name, ".")), Server: server}
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
			a.Why = fmt.Sprintf("the query to %s is lost: %s at %s, %s", server, p.Fate, p.End(), p.Why)
			return nil
		}
		at := p.Hops[len(p.Hops)-1].Host
		cfg := dnsService(n, at, p.Service)
		if cfg == nil {
			a.Why = fmt.Sprintf("%s is no name server", server)
			return nil
		}
		if cfg.Behaviour == dns.Silence {
			a.Why = fmt.Sprintf("the name server %s keeps silent", server)
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
			a.Why = fmt.Sprintf("%s answers virtual networks alone, not %s", server, p.Source)
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
	a.Why = "the name servers forward in a circle"
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

// nameservers are those of a resolv.conf(5).
func nameservers(file string) []netip.Addr {
	var out []netip.Addr
	for line := range strings.Lines(file) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "nameserver" {
			if a, err := netip.ParseAddr(f[1]); err == nil {
				out = append(out, a)
			}
		}
	}
	return out
}
