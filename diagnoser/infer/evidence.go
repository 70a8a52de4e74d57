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

type addr = netip.Addr

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func milliseconds(d time.Duration) string {
	if d >= time.Second {
		return seconds(d)
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}

func addrList(as []netip.Addr) string {
	var out []string
	for _, a := range as {
		out = append(out, a.String())
	}
	if len(out) == 0 {
		return "no address"
	}
	return strings.Join(out, ", ")
}

func resolverList(ls []*probe.Lookup) string {
	var out []string
	for _, l := range ls {
		out = append(out, l.Resolver.String())
	}
	return strings.Join(out, ", ")
}

// outcomeText is what an answer comes to, in a sentence.
func outcomeText(s *scene, l *probe.Lookup) string {
	switch s.class(l) {
	case absent, failed, unasked:
		return string(l.RCode)
	case public:
		return "the public address " + addrList(l.Addrs)
	}
	return addrList(l.Addrs)
}

// tcpText says what became of a connect.
func tcpText(p *probe.Path) string {
	to := p.Host
	if p.Addr.IsValid() {
		to = netip.AddrPortFrom(p.Addr, uint16(p.Port)).String()
		if p.Host != "" && p.Via == probe.Direct {
			to = p.Host + " at " + to
		}
	}
	t := p.TCP
	if t == nil {
		return "no connection to " + to + " was tried"
	}
	switch t.Outcome {
	case probe.Connected:
		return fmt.Sprintf("TCP to %s connects in %s", to, milliseconds(t.Took))
	case probe.Silence:
		return fmt.Sprintf("TCP to %s: the SYN and %d retransmissions stay unanswered for %s", to, t.Retransmissions, seconds(t.Took))
	case probe.Reset:
		return fmt.Sprintf("TCP to %s: RST to the SYN after %s", to, milliseconds(t.Took))
	case probe.HostUnreach:
		return fmt.Sprintf("TCP to %s: ICMP host unreachable or prohibited after %s", to, milliseconds(t.Took))
	case probe.NetUnreach:
		return fmt.Sprintf("TCP to %s: ICMP network unreachable after %s", to, milliseconds(t.Took))
	case probe.NoRoute:
		return fmt.Sprintf("TCP to %s: this host has no route, no packet left", to)
	case probe.NoAddress:
		return "no connection to " + p.Host + " was possible: the name has no address"
	}
	return fmt.Sprintf("TCP to %s: %s", to, t.Err)
}

func pathEvidence(p *probe.Path, means string) diagnosis.Evidence {
	switch {
	case p.Proxy != nil && p.Proxy.Status/100 != 2:
		return diagnosis.Evidence{Probe: "proxy", Saw: proxyText(p), Means: means}
	case p.TLS != nil && p.TLS.Outcome != probe.Verified:
		return tlsEvidence(p, means)
	}
	return diagnosis.Evidence{Probe: "tcp", Saw: tcpText(p), Means: means}
}

func tlsText(name string, t *probe.TLS) string {
	if t == nil {
		return "TLS with server name " + name + ": not tried"
	}
	switch t.Outcome {
	case probe.Verified:
		return fmt.Sprintf("TLS with server name %s: verified, issued by %s", name, issuer(t))
	case probe.UnknownCA:
		return fmt.Sprintf("TLS with server name %s: certificate issued by %s, which is not in the trust store", name, issuer(t))
	case probe.WrongName:
		return fmt.Sprintf("TLS with server name %s: certificate is for %s", name, strings.Join(t.Names, ", "))
	case probe.OutOfTime:
		return fmt.Sprintf("TLS with server name %s: certificate is valid from %s to %s", name, t.NotBefore.UTC().Format(time.RFC3339), t.NotAfter.UTC().Format(time.RFC3339))
	case probe.TLSReset:
		return fmt.Sprintf("TLS with server name %s: RST after the ClientHello, %s", name, milliseconds(t.Took))
	case probe.TLSClosed:
		return fmt.Sprintf("TLS with server name %s: connection closed after the ClientHello, %s", name, milliseconds(t.Took))
	case probe.TLSSilence:
		return fmt.Sprintf("TLS with server name %s: no answer to the ClientHello in %s", name, seconds(t.Took))
	case probe.NotTLS:
		return fmt.Sprintf("TLS with server name %s: the answer is not TLS", name)
	}
	return fmt.Sprintf("TLS with server name %s: %s", name, t.Err)
}

func issuer(t *probe.TLS) string {
	if t.Issuer != "" {
		return t.Issuer
	}
	if t.IssuerOrg != "" {
		return t.IssuerOrg
	}
	return "an unnamed authority"
}

func tlsEvidence(p *probe.Path, means string) diagnosis.Evidence {
	n := p.TLS.ServerName
	if n == "" {
		n = p.Host
	}
	return diagnosis.Evidence{Probe: "tls", Saw: tlsText(n, p.TLS), Means: means}
}

func proxyText(p *probe.Path) string {
	h := p.Proxy
	who := "proxy " + h.URL
	switch {
	case h.Resolve != nil && len(h.Resolve.Addrs) == 0:
		return who + ": its name does not resolve (" + string(h.Resolve.RCode) + ")"
	case p.TCP != nil && p.TCP.Outcome != probe.Connected:
		return who + ": " + tcpText(p)
	case h.Status != 0:
		line := h.StatusLine
		if line == "" {
			line = fmt.Sprint(h.Status)
		}
		return fmt.Sprintf("%s: CONNECT %s:%d answered %s", who, p.Host, p.Port, line)
	case h.Outcome != "":
		t := fmt.Sprintf("%s: CONNECT %s:%d: %s", who, p.Host, p.Port, h.Outcome)
		if h.Err != "" {
			t += " (" + h.Err + ")"
		}
		return t
	}
	return fmt.Sprintf("%s: CONNECT %s:%d: %s", who, p.Host, p.Port, h.Err)
}

func deniedText(ip netip.Addr) string {
	if !ip.IsValid() {
		return "403 with code DENIED from the registry's network rules"
	}
	return fmt.Sprintf("403 with code DENIED: client with IP '%s' is not allowed access", ip)
}

func (s *scene) controlEvidence() []diagnosis.Evidence {
	tried, fine := s.controls()
	if tried == 0 {
		return nil
	}
	var ok, bad []string
	for i := range s.r.Control {
		p := &s.r.Control[i]
		if stands(p) {
			ok = append(ok, p.Host)
		} else {
			bad = append(bad, p.Host)
		}
	}
	if fine > 0 {
		return []diagnosis.Evidence{{Probe: "tcp", Saw: "connections to " + strings.Join(ok, ", ") + " stand", Means: "the way to the internet works; what fails is particular to this endpoint"}}
	}
	return []diagnosis.Evidence{{Probe: "tcp", Saw: "connections to " + strings.Join(bad, ", ") + " fail too", Means: "more than the registry is out of reach from here"}}
}

func ruleText(r inventory.Ruling) string {
	if r.Rule == nil {
		return "network security group " + r.Group.Name + ": no rule matches"
	}
	return fmt.Sprintf("rule %s (priority %d) of network security group %s: %s %s", r.Rule.Name, r.Rule.Priority, r.Group.Name, r.Rule.Access, strings.ToLower(r.Rule.Direction))
}
