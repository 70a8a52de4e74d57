package dns

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/acrlab/acrlab/fakes/netio"
)

// ForwardTimeout is how long a forwarder is waited for before the asker gets
// SERVFAIL.
const ForwardTimeout = 2 * time.Second

// ask sends a question to the first of servers that answers; nil if none does.
// The answer is relayed as it is: a forwarder does not follow CNAMEs itself.
//
// The same question is asked once at a time, as resolvers do; two servers that
// forward to each other therefore fail after one timeout instead of filling
// the network.
func (s *Server) ask(ctx context.Context, servers []netip.AddrPort, q mdns.Question, cd bool) *mdns.Msg {
	key := fmt.Sprintf("%v %s %d %t", servers, canonical(q.Name), q.Qtype, cd)
	v, _, _ := s.flights.Do(key, func() (any, error) {
		for _, server := range servers {
			m := new(mdns.Msg)
			m.Id, m.RecursionDesired, m.CheckingDisabled = mdns.Id(), true, cd
			m.Question = []mdns.Question{q}
			m.SetEdns0(maxUDP, false)
			// An answer of any code counts: only silence leads to the next.
			if up, err := exchange(ctx, s.net, server, m); err == nil {
				return up, nil
			}
		}
		return (*mdns.Msg)(nil), nil
	})
	up := v.(*mdns.Msg)
	if up == nil {
		return nil
	}
	up = up.Copy() // shared with others who asked at the same time
	if up.Rcode == mdns.RcodeBadVers || up.Rcode > 0xF {
		return nil
	}
	for _, rr := range up.Answer {
		if h := rr.Header(); canonical(h.Name) == canonical(q.Name) {
			h.Name = q.Name
		}
	}
	return up
}

// exchange asks one server by UDP and, if the answer is truncated, by TCP
// (RFC 7766 section 5).
func exchange(ctx context.Context, n netio.Net, server netip.AddrPort, m *mdns.Msg) (*mdns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, ForwardTimeout)
	defer cancel()
	r, err := exchangeBy(ctx, n, "udp", server, m)
	if err == nil && r.Truncated {
		r, err = exchangeBy(ctx, n, "tcp", server, m)
	}
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", server, err)
	}
	return r, nil
}

func exchangeBy(ctx context.Context, n netio.Net, network string, server netip.AddrPort, m *mdns.Msg) (*mdns.Msg, error) {
	conn, err := n.DialContext(ctx, network, server.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	client := &mdns.Client{Net: network, UDPSize: mdns.MaxMsgSize}
	if deadline, ok := ctx.Deadline(); ok {
		client.Timeout = time.Until(deadline)
	}
	r, _, err := client.ExchangeWithConnContext(ctx, m, &mdns.Conn{Conn: conn, UDPSize: mdns.MaxMsgSize})
	if err != nil {
		return nil, err
	}
	if !r.Response || len(r.Question) > 0 && !sameQuestion(r.Question[0], m.Question[0]) {
		return nil, fmt.Errorf("the answer is to another question")
	}
	return r, nil
}

func sameQuestion(a, b mdns.Question) bool {
	return canonical(a.Name) == canonical(b.Name) && a.Qtype == b.Qtype && a.Qclass == b.Qclass
}

// Lookup asks server for the addresses of name, as a program on the host of n
// does. An rcode other than NOERROR is not an error; silence and an
// unreachable server are.
func Lookup(ctx context.Context, n netio.Net, server netip.AddrPort, name string) (Result, error) {
	if err := checkName(canonical(name)); err != nil {
		return Result{}, fmt.Errorf("looking up: %w", err)
	}
	m := new(mdns.Msg)
	m.SetQuestion(mdns.Fqdn(name), mdns.TypeA)
	m.SetEdns0(maxUDP, false)
	r, err := exchange(ctx, n, server, m)
	if err != nil {
		return Result{}, fmt.Errorf("looking up %s: %w", name, err)
	}
	out := Result{RCode: NoData}
	for _, rr := range r.Answer {
		rec := Record{Name: canonical(rr.Header().Name), TTL: rr.Header().Ttl}
		switch rr := rr.(type) {
		case *mdns.CNAME:
			rec.CNAME = canonical(rr.Target)
		case *mdns.A:
			rec.A, _ = netip.AddrFromSlice(rr.A.To4())
			out.RCode = NoError
		default:
			continue
		}
		out.Records = append(out.Records, rec)
	}
	codes := map[int]RCode{mdns.RcodeNameError: NXDomain, mdns.RcodeServerFailure: RCodeServFail, mdns.RcodeRefused: RCodeRefused}
	if code, ok := codes[r.Rcode]; ok {
		out.RCode = code
	} else if r.Rcode != mdns.RcodeSuccess {
		out.RCode = RCodeOther
	}
	out.Records = slices.Clip(out.Records)
	return out, nil
}
