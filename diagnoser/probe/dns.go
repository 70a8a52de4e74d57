package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/acrlab/acrlab/diagnoser/host"
)

// lookup asks one resolver for the A and AAAA records of a name, both at once,
// and merges what came back.
func lookup(ctx context.Context, h host.Host, name string, kind ResolverKind, resolver netip.Addr) Lookup {
	began := time.Now()
	l := Lookup{Name: name, Kind: kind, Resolver: resolver}
	six := make(chan answer, 1)
	go func() { six <- ask(ctx, h, resolver, name, dns.TypeAAAA) }()
	a4 := ask(ctx, h, resolver, name, dns.TypeA)
	a6 := <-six
	l.Took = time.Since(began)

	main := a4
	if len(a4.addrs) == 0 && len(a6.addrs) > 0 {
		main = a6
	}
	l.RCode, l.Chain, l.TTL, l.Err = main.rcode, main.chain, main.ttl, main.err
	l.Addrs = slices.Concat(a4.addrs, a6.addrs)
	if len(a4.addrs) > 0 && len(a6.addrs) > 0 {
		l.TTL = min(a4.ttl, a6.ttl)
	}
	if l.Err == "" && main.rcode == NoError && a6.rcode != NoError && a6.rcode != NoData {
		l.Err = "AAAA: " + string(a6.rcode)
	}
	return l
}

// answer is what one query gave.
type answer struct {
	rcode RCode
	chain []CNAME
	addrs []netip.Addr
	ttl   uint32
	err   string
}

// ask makes one query by UDP, sent again after dnsRetry, and by TCP if the
// answer was truncated (RFC 1035 section 4.2.1, RFC 7766 section 5).
//
// It carries no EDNS option: some forwarders still drop it, the C library does
// not send it either, and Azure's chains fit into 512 bytes.
func ask(ctx context.Context, h host.Host, resolver netip.Addr, name string, qtype uint16) answer {
	ctx, cancel := context.WithTimeout(ctx, dnsTimeout)
	defer cancel()
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), qtype)
	to := netip.AddrPortFrom(resolver, 53)

	reply, err := askUDP(ctx, h, to, q)
	if err == nil && reply.Truncated {
		reply, err = askTCP(ctx, h, to, q)
	}
	if err != nil {
		return answer{rcode: rcodeOf(err), err: fmt.Sprintf("asking %s: %s", resolver, err)}
	}
	return read(reply, name, qtype)
}

var (
	errGarbled = errors.New("what came back is not DNS")
	errSilent  = errors.New("no answer")
)

func rcodeOf(err error) RCode {
	switch {
	case errors.Is(err, errGarbled):
		return Garbled
	case host.IsRefused(err), host.IsUnreachable(err):
		return Unreachable
	}
	return Timeout
}

func askUDP(ctx context.Context, h host.Host, to netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
	packed, err := q.Pack()
	if err != nil {
		return nil, fmt.Errorf("writing the query: %w", err)
	}
	c, err := h.DialUDP(ctx, to)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	var garbled error
	for try := range 2 {
		if _, err := c.Write(packed); err != nil {
			return nil, err
		}
		end, _ := ctx.Deadline()
		if try == 0 {
			end = time.Now().Add(dnsRetry)
		}
		reply, err := awaitUDP(ctx, c, q, end)
		switch {
		case err == nil:
			return reply, nil
		case errors.Is(err, errGarbled):
			garbled = err
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return nil, err
		}
		if ctx.Err() != nil {
			break
		}
	}
	if garbled != nil {
		return nil, garbled
	}
	return nil, errSilent
}

// awaitUDP reads datagrams until one answers q. Others are late or forged and
// are passed over (RFC 5452 section 9.1).
func awaitUDP(ctx context.Context, c net.Conn, q *dns.Msg, end time.Time) (*dns.Msg, error) {
	c.SetReadDeadline(end)
	if ctx.Err() != nil {
		c.SetReadDeadline(time.Unix(1, 0)) // the AfterFunc may have been overwritten
	}
	var garbled error
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			if garbled != nil && errors.Is(err, os.ErrDeadlineExceeded) {
				err = garbled
			}
			return nil, err
		}
		reply := new(dns.Msg)
		if err := reply.Unpack(buf[:n]); err != nil {
			garbled = fmt.Errorf("%w: %w", errGarbled, err)
			continue
		}
		if answers(reply, q) {
			return reply, nil
		}
	}
}

func answers(reply, q *dns.Msg) bool {
	if reply.Id != q.Id || !reply.Response {
		return false
	}
	if len(reply.Question) == 0 { // some servers leave it out of an error
		return reply.Rcode != dns.RcodeSuccess
	}
	got, asked := reply.Question[0], q.Question[0]
	return got.Qtype == asked.Qtype && strings.EqualFold(got.Name, asked.Name)
}

func askTCP(ctx context.Context, h host.Host, to netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
	conn, facts := h.Connect(ctx, to, host.ConnectOptions{})
	if conn == nil {
		return nil, fmt.Errorf("the answer was truncated and TCP failed: %s", facts.Err)
	}
	defer conn.Close()
	end, _ := ctx.Deadline()
	conn.SetDeadline(end)
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	c := &dns.Conn{Conn: conn}
	if err := c.WriteMsg(q); err != nil {
		return nil, fmt.Errorf("asking by TCP: %w", err)
	}
	reply, err := c.ReadMsg()
	if err != nil {
		var dnsErr *dns.Error
		if errors.As(err, &dnsErr) {
			return nil, fmt.Errorf("%w: %w", errGarbled, err)
		}
		return nil, fmt.Errorf("reading the answer by TCP: %w", err)
	}
	if !answers(reply, q) {
		return nil, fmt.Errorf("%w: an answer to another question", errGarbled)
	}
	return reply, nil
}

// read follows the alias chain from the name that was asked for through the
// answer section, whatever the order of its records.
func read(reply *dns.Msg, name string, qtype uint16) answer {
	a := answer{rcode: rcodes[reply.Rcode]}
	if a.rcode == "" {
		a.rcode, a.err = OtherCode, "the resolver answered "+dns.RcodeToString[reply.Rcode]
	}
	at := dns.Fqdn(name)
	for range len(reply.Answer) + 1 { // bounds loops of aliases
		i := slices.IndexFunc(reply.Answer, func(rr dns.RR) bool {
			_, alias := rr.(*dns.CNAME)
			return alias && strings.EqualFold(rr.Header().Name, at)
		})
		if i < 0 {
			break
		}
		c := reply.Answer[i].(*dns.CNAME)
		hop := CNAME{Name: plain(at), Target: plain(c.Target), TTL: c.Hdr.Ttl}
		if slices.Contains(a.chain, hop) {
			a.err = "the aliases lead in a circle"
			break
		}
		a.chain = append(a.chain, hop)
		at = c.Target
	}
	for _, rr := range reply.Answer {
		if !strings.EqualFold(rr.Header().Name, at) || rr.Header().Rrtype != qtype {
			continue
		}
		var ip net.IP
		switch rr := rr.(type) {
		case *dns.A:
			ip = rr.A
		case *dns.AAAA:
			ip = rr.AAAA
		}
		addr, ok := netip.AddrFromSlice(ip)
		if !ok {
			continue
		}
		if len(a.addrs) == 0 || rr.Header().Ttl < a.ttl {
			a.ttl = rr.Header().Ttl
		}
		a.addrs = append(a.addrs, addr.Unmap())
	}
	if a.rcode == NoError && len(a.addrs) == 0 {
		a.rcode = NoData
	}
	return a
}

var rcodes = map[int]RCode{
	dns.RcodeSuccess: NoError, dns.RcodeNameError: NXDomain,
	dns.RcodeServerFailure: ServFail, dns.RcodeRefused: Refused,
}

// plain is a name as people write it: lower case, no final dot.
func plain(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") }
