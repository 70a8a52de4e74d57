package prove

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/acrlab/acrlab/harness/prove/sentence"
)

// lookup is what one question for A records brought.
type lookup struct {
	// by names who answered: an address, or "/etc/hosts".
	by        string
	rcode     int
	chain     []string // CNAME targets, in order, lower case
	addresses []netip.Addr
	// silent: nobody answered; why holds the last error.
	silent bool
	why    error
}

// String says it in a few words.
func (l lookup) String() string {
	switch {
	case l.silent:
		return fmt.Sprintf("no answer from %s (%v)", l.by, l.why)
	case l.rcode != dns.RcodeSuccess:
		return fmt.Sprintf("%s from %s", dns.RcodeToString[l.rcode], l.by)
	case len(l.addresses) == 0:
		return "NODATA from " + l.by
	}
	list := make([]string, len(l.addresses))
	for i, a := range l.addresses {
		list[i] = a.String()
	}
	return fmt.Sprintf("%s from %s", strings.Join(list, ", "), l.by)
}

func (e eye) resolves(ctx context.Context, s sentence.Sentence) error {
	l, err := e.ask(ctx, s.Resolver, s.Name, patience)
	if err != nil {
		return err
	}
	got := fmt.Errorf("%s got %s for %s", e.host.Name, l, s.Name)
	if len(l.addresses) == 0 {
		return got
	}
	switch s.Outcome {
	case sentence.ToAddress:
		if slices.Contains(l.addresses, s.Address) {
			return nil
		}
	case sentence.Public:
		if !slices.ContainsFunc(l.addresses, private) {
			return nil
		}
	case sentence.Private:
		if !slices.ContainsFunc(l.addresses, func(a netip.Addr) bool { return !private(a) }) {
			return nil
		}
	}
	return got
}

func (e eye) looksUp(ctx context.Context, s sentence.Sentence) error {
	wait := patience
	if s.Outcome == sentence.NoAnswer {
		wait = lookupSilence
	}
	l, err := e.ask(ctx, s.Resolver, s.Name, wait)
	if err != nil {
		return err
	}
	holds := false
	switch s.Outcome {
	case sentence.NoAnswer:
		holds = l.silent
	case sentence.NXDomain:
		holds = !l.silent && l.rcode == dns.RcodeNameError
	case sentence.ServFail:
		holds = !l.silent && l.rcode == dns.RcodeServerFailure
	case sentence.Refused:
		holds = !l.silent && l.rcode == dns.RcodeRefused
	case sentence.NoData:
		holds = !l.silent && l.rcode == dns.RcodeSuccess && len(l.addresses) == 0
	}
	if !holds {
		return fmt.Errorf("%s got %s for %s", e.host.Name, l, s.Name)
	}
	return nil
}

func (e eye) chain(ctx context.Context, s sentence.Sentence) error {
	l, err := e.ask(ctx, s.Resolver, s.Name, patience)
	if err != nil {
		return err
	}
	if l.silent {
		return fmt.Errorf("%s got %s for %s", e.host.Name, l, s.Name)
	}
	if !slices.Contains(l.chain, strings.TrimSuffix(s.Through, ".")) {
		return fmt.Errorf("the chain of %s is %s", s.Name, strings.Join(append([]string{s.Name}, l.chain...), " -> "))
	}
	return nil
}

// ask looks a name up as a program on the host would: the hosts file first, then
// the resolvers of resolv.conf in order. With a resolver given it asks that alone.
func (e eye) ask(ctx context.Context, resolver netip.Addr, name string, wait time.Duration) (lookup, error) {
	var servers []netip.Addr
	if resolver.IsValid() {
		servers = []netip.Addr{resolver}
	} else {
		if a := hostsFile(e.host.Files["/etc/hosts"], name); len(a) > 0 {
			return lookup{by: "/etc/hosts", addresses: a}, nil
		}
		var err error
		if servers, err = resolvers(e.host.Files["/etc/resolv.conf"]); err != nil {
			return lookup{}, fmt.Errorf("reading /etc/resolv.conf of %s: %w", e.host.Name, err)
		}
	}
	// A server that says nothing must not use up the time of the next one.
	wait /= time.Duration(len(servers))
	var l lookup
	for _, server := range servers {
		l = e.askOne(ctx, server, name, wait)
		if !l.silent {
			return l, nil
		}
		if err := ctx.Err(); err != nil {
			return lookup{}, fmt.Errorf("asking %s for %s: %w", server, name, err)
		}
	}
	return l, nil
}

func (e eye) askOne(ctx context.Context, server netip.Addr, name string, wait time.Duration) lookup {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), dns.TypeA)
	q.SetEdns0(1232, false) // DNS flag day 2020
	r, err := e.exchange(ctx, "udp", server, q)
	if err == nil && r.Truncated {
		r, err = e.exchange(ctx, "tcp", server, q)
	}
	if err != nil {
		return lookup{by: server.String(), silent: true, why: err}
	}
	l := lookup{by: server.String(), rcode: r.Rcode}
	for _, rr := range r.Answer {
		switch rr := rr.(type) {
		case *dns.CNAME:
			l.chain = append(l.chain, strings.ToLower(strings.TrimSuffix(rr.Target, ".")))
		case *dns.A:
			if a, ok := netip.AddrFromSlice(rr.A); ok {
				l.addresses = append(l.addresses, a.Unmap())
			}
		}
	}
	return l
}

// exchange sends the question, over UDP again every 0.7 s, until ctx ends.
func (e eye) exchange(ctx context.Context, network string, server netip.Addr, q *dns.Msg) (*dns.Msg, error) {
	const again = 700 * time.Millisecond
	raw, err := e.world.Dial(ctx, e.host.Name, network, netip.AddrPortFrom(server, 53).String())
	if err != nil {
		return nil, err
	}
	conn := &dns.Conn{Conn: raw, UDPSize: 1232}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		if err := conn.WriteMsg(q); err != nil {
			return nil, err
		}
		if network == "udp" {
			_ = raw.SetReadDeadline(time.Now().Add(again))
		}
		if err := ctx.Err(); err != nil { // the deadline may just have been moved
			return nil, err
		}
		r, err := conn.ReadMsg()
		switch {
		case err == nil && r.Id == q.Id:
			return r, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err == nil, network == "udp" && errors.Is(err, os.ErrDeadlineExceeded):
			continue // another message, or silence so far
		default:
			return nil, err
		}
	}
}

// resolvers are the name servers of a resolv.conf.
func resolvers(content string) ([]netip.Addr, error) {
	conf, err := dns.ClientConfigFromReader(strings.NewReader(content))
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, s := range conf.Servers {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return nil, fmt.Errorf("nameserver %q: %w", s, err)
		}
		out = append(out, a)
	}
	if len(out) == 0 {
		return nil, errors.New("it names no nameserver")
	}
	return out, nil
}

// hostsFile are the addresses of a name in a hosts file (hosts(5)).
func hostsFile(content, name string) []netip.Addr {
	var out []netip.Addr
	for line := range strings.Lines(content) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) < 2 || !slices.ContainsFunc(words[1:], func(w string) bool { return strings.EqualFold(w, name) }) {
			continue
		}
		if a, err := netip.ParseAddr(words[0]); err == nil && a.Is4() {
			out = append(out, a)
		}
	}
	return out
}

// private says that an address is not of the public internet: RFC 1918, RFC
// 6598, loopback, link-local.
func private(a netip.Addr) bool {
	shared := netip.MustParsePrefix("100.64.0.0/10")
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified() || shared.Contains(a)
}
