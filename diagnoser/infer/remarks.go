package infer

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/acrlab/acrlab/diagnoser/inventory"
	"github.com/acrlab/acrlab/diagnoser/probe"
	"github.com/acrlab/acrlab/diagnosis"
)

// works says that the evidence shows a path to pull by, whichever client pulls.
func (s *scene) works() bool {
	if b := s.blob(); b != nil {
		if !b.OK {
			return false
		}
	}
	for _, l := range s.lanes {
		if l.login == nil || l.login.failing() {
			return false
		}
		if !l.daemon && s.blob() != nil {
			continue // its layers came
		}
		fine := 0
		for _, d := range l.data {
			switch {
			case d.path == nil && !d.dns.hasEndpoint():
			case d.failing():
				return false
			default:
				fine++
			}
		}
		// The engine shares what the shell has shown, except for the way.
		if fine == 0 && (s.blob() == nil || !s.blob().OK) {
			return false
		}
	}
	return len(s.lanes) > 0
}

func (s *scene) observations() []diagnosis.Observation {
	out := []diagnosis.Observation{}
	add := func(probe, format string, args ...any) {
		out = append(out, diagnosis.Observation{Probe: probe, Saw: fmt.Sprintf(format, args...)})
	}
	v := s.r.Vantage
	if v.Source.IsValid() {
		where := ""
		if s.subnet != nil {
			where = fmt.Sprintf(" (subnet %s/%s)", s.network.Name, s.subnet.Name)
		}
		add("egress", "packets leave this host from %s%s", v.Source, where)
	}
	if eg := v.Egress; eg.IsValid() && eg != v.Source {
		add("egress", "the %s sees this place as %s", orText(v.EgressFrom, "far side"), eg)
	}
	if len(v.Resolvers) > 0 {
		add("dns", "configured resolvers: %s", addrList(v.Resolvers))
	}
	if v.InAzureVNet != nil {
		if *v.InAzureVNet {
			add("dns", "168.63.129.16 answers: this host is in an Azure virtual network")
		} else {
			add("dns", "168.63.129.16 does not answer: this host is not in an Azure virtual network")
		}
	}
	if p := v.Shell; p.HTTPSProxy != "" {
		add("proxy", "the shell's proxy is %s (%s), NO_PROXY %s", p.HTTPSProxy, p.From, orNone(p.NoProxy))
	}
	if d := v.Daemon; d != nil {
		add("daemon", "%s: proxy %s, NO_PROXY %s (read: %s)", engine(s), orNone(d.Proxy.HTTPSProxy), orNone(d.Proxy.NoProxy), strings.Join(d.Read, ", "))
	}
	for _, l := range s.lanes {
		if l.login != nil && l.login.path != nil && l.login.path.TLS != nil {
			if t := l.login.path.TLS; t.Outcome == probe.Verified && !genuine(t) && (t.Issuer != "" || t.IssuerOrg != "") {
				add("tls", "TLS to %s is terminated on the way by %s, which this host trusts", l.login.host, issuer(t))
			}
		}
	}
	if len(s.lanes) > 0 && s.lanes[0].login != nil {
		l := s.lanes[0].login
		if l.dns.hasEndpoint() && s.class(l.dns.effective) == public && !l.failing() && !l.proxied() {
			add("dns", "the registry has a private endpoint; this host uses the public one and is let in")
		}
	}
	s.observeNames(add)
	if a := s.r.API; a != nil && a.Push != nil {
		switch p := a.Push; {
		case p.OK:
			add("push", "an upload was opened, written to and cancelled: images can be pushed")
		case p.HTTP.Status != 0:
			add("push", "images cannot be pushed: %s %s answered %d", p.HTTP.Method, p.HTTP.URL, p.HTTP.Status)
		default:
			add("push", "images cannot be pushed: %s", p.HTTP.Err)
		}
	}
	if b := s.blob(); b != nil && b.OK {
		for i := range s.r.Paths {
			p := &s.r.Paths[i]
			if p.Role == probe.RoleData && p.Shell && !strings.EqualFold(p.Host, b.Host) && (p.TLS == nil || p.TLS.Outcome != probe.Verified) {
				add("layer", "layers come, but the data endpoint %s of another replica is out of reach: %s", p.Host, pathEvidence(p, "").Saw)
			}
		}
	}
	if v.HasSkew && v.ClockSkew.Abs() >= time.Minute {
		add("clock", "this host's clock is %s off", v.ClockSkew.Abs().Round(time.Second))
	}
	for i := range s.r.Control {
		p := &s.r.Control[i]
		if p.TCP == nil && p.TLS == nil && p.Proxy == nil {
			continue
		}
		if stands(p) {
			continue
		}
		add("tcp", "%s", pathEvidence(p, "").Saw)
	}
	return out
}

// observeNames says what is unusual about the answers that clients go by.
func (s *scene) observeNames(add func(probe, format string, args ...any)) {
	for _, d := range s.r.Vantage.Search {
		for i := range s.r.Lookups {
			if l := &s.r.Lookups[i]; strings.EqualFold(l.Name, s.r.Target.Host+"."+d) && len(l.Addrs) > 0 {
				add("dns", "search domain %s with ndots:%d: programs here ask %s first and are given %s", d, s.r.Vantage.NDots, l.Name, addrList(l.Addrs))
			}
		}
	}
	seen := map[string]bool{}
	for i := range s.r.Paths {
		h := s.r.Paths[i].Host
		if seen[h] {
			continue
		}
		seen[h] = true
		n := s.name(h)
		if n.hosts != nil {
			add("dns", "the hosts file gives %s the address %s", h, addrList(n.hosts.Addrs))
		}
		if l := n.effective; l != nil {
			var six []netip.Addr
			for _, a := range l.Addrs {
				if a.Is6() {
					six = append(six, a)
				}
			}
			if len(six) > 0 {
				add("dns", "%s has IPv6 addresses: %s", h, addrList(six))
			}
		}
	}
}

func orText(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func (s *scene) notChecked(j Judgement) []diagnosis.Omission {
	var out []diagnosis.Omission
	for _, o := range s.r.Omitted {
		out = append(out, diagnosis.Omission{Check: o.Probe, Because: o.Because})
	}
	if s.inv != nil {
		for _, p := range s.inv.Missing() {
			because := s.inv.Status[p].Err
			if because == "" {
				because = "not read"
			}
			out = append(out, diagnosis.Omission{Check: string(p), Because: because})
		}
		if s.network == nil && s.inv.Known(inventory.Networks) && !s.outside() && s.r.Vantage.Source.IsValid() {
			because := fmt.Sprintf("no visible virtual network holds this host's address %s", s.r.Vantage.Source)
			if _, _, ambiguous := s.inv.Holding(s.r.Vantage.Source); ambiguous {
				because = fmt.Sprintf("more than one visible virtual network holds this host's address %s", s.r.Vantage.Source)
			}
			out = append(out, diagnosis.Omission{Check: "security rules and routes of this host's subnet", Because: because})
		}
	}
	if len(j.Findings) == 0 && !j.Works {
		if t := s.token(); t != nil && !t.Granted {
			out = append(out, diagnosis.Omission{Check: "manifest and layers", Because: fmt.Sprintf("no token to pull with (%s)", orText(t.Err, "source: "+orNone(t.Source)))})
		} else if s.blob() == nil {
			out = append(out, diagnosis.Omission{Check: "layers", Because: "no layer was read, so the endpoint that layers come from is not known to work"})
		} else {
			out = append(out, diagnosis.Omission{Check: "cause", Because: "what was seen fits no cause that is known: " + orText(s.blob().Err, "a layer did not come")})
		}
	}
	return out
}

func (s *scene) token() *probe.Token {
	if s.r.API == nil {
		return nil
	}
	return s.r.API.Token
}
