package probe

import (
	"context"
	"iter"
	"net/netip"
	"slices"
)

// resolution is one name asked of all resolvers at once. It is shared by all
// that need the name.
type resolution struct {
	name  string
	hosts []netip.Addr // of the hosts file, which clients believe first
	own   []*query     // configured resolvers, in order
	other []*query     // the rest
}

// query is one resolver's answer to come.
type query struct {
	done   chan struct{}
	lookup Lookup
	asked  bool // the answer, or its absence, was observed and not cut short
}

// resolve starts the lookups of a name, or finds them started. With everywhere
// it asks, besides the configured resolvers, Azure's and public ones.
func (r *run) resolve(name string, everywhere bool) *resolution {
	r.mu.Lock()
	defer r.mu.Unlock()
	res := r.names[name]
	if res == nil {
		res = &resolution{name: name, hosts: r.report.Vantage.Hosts[name]}
		r.names[name] = res
		if len(res.hosts) > 0 {
			r.report.Lookups = append(r.report.Lookups, Lookup{Name: name, Kind: HostsFile, RCode: NoError, Addrs: res.hosts})
		}
		for _, a := range r.report.Vantage.Resolvers {
			// The proxy and the container engine may use other addresses than
			// the hosts file's, so the resolvers are asked all the same.
			res.own = append(res.own, r.query(r.required, name, Configured, a))
		}
	}
	if !everywhere || res.other != nil {
		return res
	}
	res.other = []*query{}
	if !slices.Contains(r.report.Vantage.Resolvers, azureDNS) {
		res.other = append(res.other, r.query(r.optional, name, AzureDNS, azureDNS))
	}
	for _, a := range r.o.PublicResolvers {
		if !slices.Contains(r.report.Vantage.Resolvers, a) {
			res.other = append(res.other, r.query(r.optional, name, PublicDNS, a))
		}
	}
	return res
}

func (r *run) query(g *group, name string, kind ResolverKind, resolver netip.Addr) *query {
	q := &query{done: make(chan struct{})}
	g.start(func(ctx context.Context) {
		defer close(q.done)
		q.lookup = lookup(ctx, r.h, name, kind, resolver)
		if ctx.Err() != nil && q.lookup.RCode == Timeout {
			return // cut short: says nothing about the resolver
		}
		q.asked = true
		r.mu.Lock()
		defer r.mu.Unlock()
		r.report.Lookups = append(r.report.Lookups, q.lookup)
	})
	return q
}

// own gives what programs here get for the name: the hosts file's addresses,
// else the first configured resolver's that decides. As in the C library, a
// resolver that is silent, unreachable, failing or refusing passes the question
// on to the next; NXDOMAIN and an empty answer decide.
func (r *run) own(ctx context.Context, name string, everywhere bool) Lookup {
	res := r.resolve(name, everywhere)
	if len(res.hosts) > 0 {
		return Lookup{Name: name, Kind: HostsFile, RCode: NoError, Addrs: res.hosts}
	}
	last := Lookup{Name: name, Kind: Configured, RCode: Timeout, Err: errSilent.Error()}
	for _, q := range res.own {
		select {
		case <-q.done:
		case <-ctx.Done():
			return last
		}
		last = q.lookup
		switch last.RCode {
		case NoError, NoData, NXDomain:
			return last
		}
	}
	return last
}

// elsewhere gives the first answer with addresses of another resolver than the
// configured ones, Azure's before public ones.
func (r *run) elsewhere(ctx context.Context, name string) (Lookup, bool) {
	for _, q := range r.resolve(name, true).other {
		select {
		case <-q.done:
		case <-ctx.Done():
			return Lookup{}, false
		}
		if len(q.lookup.Addrs) > 0 {
			return q.lookup, true
		}
	}
	return Lookup{}, false
}

// each gives every lookup of a name as it is answered, until ctx ends.
func (r *run) each(ctx context.Context, name string) iter.Seq[Lookup] {
	res := r.resolve(name, true)
	all := slices.Concat(res.own, res.other)
	answers := make(chan *query, len(all))
	for _, q := range all {
		go func() {
			<-q.done // every query ends within dnsTimeout
			answers <- q
		}()
	}
	return func(yield func(Lookup) bool) {
		for range all {
			select {
			case q := <-answers:
				if q.asked && !yield(q.lookup) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

// try picks the addresses worth connecting to: the first two, of both families
// if there are both. An IPv6 address without an IPv6 route here is left out,
// as clients do (RFC 6724 section 6, rule 1).
func (r *run) try(ctx context.Context, addrs []netip.Addr) []netip.Addr {
	var four, six []netip.Addr
	for _, a := range addrs {
		switch {
		case a.Is4():
			four = append(four, a)
		case r.reachable(ctx, a):
			six = append(six, a)
		default:
			r.omitOnce("tcp", "the IPv6 address "+a.String()+" was not tried: this host has no IPv6 route")
		}
	}
	if len(six) == 0 {
		return four[:min(2, len(four))]
	}
	if len(four) == 0 {
		return six[:min(2, len(six))]
	}
	return []netip.Addr{four[0], six[0]}
}

func (r *run) reachable(ctx context.Context, a netip.Addr) bool {
	c, err := r.h.DialUDP(ctx, netip.AddrPortFrom(a, 443))
	if err != nil {
		return false
	}
	c.Close()
	return true
}
