package dns

import (
	"context"
	"net"
	"net/netip"

	mdns "github.com/miekg/dns"
)

// maxUDP is the largest datagram taken and sent (RFC 9715 recommends 1400 and
// less; 1232 is what resolvers agreed on in 2020).
const maxUDP = 1232

// reply answers one query, nil for silence.
func (s *Server) reply(ctx context.Context, from netip.Addr, q *mdns.Msg, stream bool) *mdns.Msg {
	t := s.table.Load()
	if t.cfg.Behaviour == Silence {
		return nil
	}
	if _, ok := t.viewOf(from); !ok && t.cfg.OnlyViews {
		return nil
	}
	r := new(mdns.Msg)
	r.SetReply(q) // keeps id, opcode, RD and the question as it was spelt
	r.RecursionAvailable, r.Compress = true, true
	size := mdns.MinMsgSize
	if opt := q.IsEdns0(); opt != nil {
		size = min(max(int(opt.UDPSize()), mdns.MinMsgSize), maxUDP)
		r.SetEdns0(maxUDP, opt.Do())
		if opt.Version() != 0 {
			r.Rcode = mdns.RcodeBadVers // RFC 6891 section 6.1.3
			return r
		}
	}
	if stream {
		size = mdns.MaxMsgSize
	}
	switch {
	case len(q.Question) != 1:
		r.Rcode = mdns.RcodeFormatError
	case t.cfg.Behaviour == ServFail:
		r.Rcode = mdns.RcodeServerFailure
	case t.cfg.Behaviour == Refused:
		r.Rcode = mdns.RcodeRefused
	case q.Opcode != mdns.OpcodeQuery:
		r.Rcode = mdns.RcodeNotImplemented
	case q.Question[0].Qclass != mdns.ClassINET,
		q.Question[0].Qtype == mdns.TypeAXFR, q.Question[0].Qtype == mdns.TypeIXFR:
		r.Rcode = mdns.RcodeRefused
	default:
		s.resolve(ctx, t, from, q.Question[0], q.CheckingDisabled, r)
	}
	r.Truncate(size)
	return r
}

// resolve fills r for one question.
func (s *Server) resolve(ctx context.Context, t *table, from netip.Addr, q mdns.Question, cd bool, r *mdns.Msg) {
	want := func(rec Record) bool {
		switch q.Qtype {
		case mdns.TypeA:
			return rec.A.IsValid()
		case mdns.TypeCNAME:
			return rec.CNAME != ""
		case mdns.TypeANY: // RFC 8482 section 4.1: one set is enough
			return true
		}
		return false
	}
	w := t.walk(from, q.Name, want, q.Qtype != mdns.TypeCNAME && q.Qtype != mdns.TypeANY)
	owner := q.Name // the first owner is spelt as it was asked for
	for _, rec := range w.records {
		if canonical(owner) != rec.Name {
			owner = mdns.Fqdn(rec.Name)
		}
		r.Answer = append(r.Answer, toRR(owner, rec))
	}
	if len(w.ask) > 0 {
		name := mdns.Fqdn(w.name)
		if len(w.records) == 0 {
			name = q.Name
		}
		up := s.ask(ctx, w.ask, mdns.Question{Name: name, Qtype: q.Qtype, Qclass: q.Qclass}, cd)
		if up == nil {
			r.Rcode, r.Answer = mdns.RcodeServerFailure, nil
			return
		}
		r.Rcode = up.Rcode
		r.Answer = append(r.Answer, up.Answer...)
		r.Ns = up.Ns
		return
	}
	switch w.rcode {
	case NXDomain:
		r.Rcode = mdns.RcodeNameError
	case RCodeServFail:
		r.Rcode = mdns.RcodeServerFailure
		return
	}
	if w.rcode != NoError {
		r.Ns = append(r.Ns, soa(w))
	}
}

func toRR(owner string, rec Record) mdns.RR {
	if rec.CNAME != "" {
		return &mdns.CNAME{Hdr: header(owner, mdns.TypeCNAME, rec.TTL), Target: mdns.Fqdn(rec.CNAME)}
	}
	a := rec.A.Unmap().As4()
	return &mdns.A{Hdr: header(owner, mdns.TypeA, rec.TTL), A: net.IP(a[:])}
}

// soa tells how long a negative answer may be kept (RFC 2308 section 5).
func soa(w walked) mdns.RR {
	zone, server, mail, ttl := w.authority()
	return &mdns.SOA{Hdr: header(mdns.Fqdn(zone), mdns.TypeSOA, ttl), Ns: mdns.Fqdn(server), Mbox: mdns.Fqdn(mail),
		Serial: 1, Refresh: 3600, Retry: 300, Expire: 2419200, Minttl: ttl}
}

func header(name string, kind uint16, ttl uint32) mdns.RR_Header {
	return mdns.RR_Header{Name: name, Rrtype: kind, Class: mdns.ClassINET, Ttl: ttl}
}
