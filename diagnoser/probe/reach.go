package probe

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"net/url"
	"time"

	"github.com/acrlab/acrlab/diagnoser/host"
)

// endpoint is a server to reach at port 443.
type endpoint struct {
	host    string
	role    EndpointRole
	get     string // path of the request that shows life, e.g. "/v2/"
	guessed bool
	// everywhere asks all resolvers for the name, not the configured ones alone.
	everywhere bool
	// once tries one address only.
	once bool
	// fetch, if set, is made instead of GET get.
	fetch func(context.Context, *client) *answered
}

// attempt is one walk along a way, up to an answer to endpoint.get.
type attempt struct {
	path   *Path
	client *client // nil unless TLS was verified
	head   *answered
}

// approach makes all attempts of a way at the same time and gives each as it
// ends; the channel is closed after the last.
func (r *run) approach(ctx context.Context, ep endpoint, w way) <-chan *attempt {
	out := make(chan *attempt, 2)
	go func() {
		defer close(out)
		if w.via != Direct {
			out <- r.walk(ctx, ep, w, netip.Addr{}, "")
			return
		}
		found, failed := r.direct(ctx, ep, w)
		if failed != nil {
			out <- failed
			return
		}
		each := make(chan *attempt)
		for _, a := range found.Addrs {
			go func() { each <- r.walk(ctx, ep, w, a, found.Kind) }()
		}
		for range found.Addrs {
			out <- <-each
		}
	}()
	return out
}

// direct finds the addresses to connect to. If there are none it gives an
// attempt that says so, and has looked elsewhere.
func (r *run) direct(ctx context.Context, ep endpoint, w way) (Lookup, *attempt) {
	late := time.AfterFunc(2*slow, func() { r.behind(ep, w) })
	found := r.own(ctx, ep.host, ep.everywhere)
	early := late.Stop()
	if len(found.Addrs) == 0 {
		if early {
			r.behind(ep, w)
		}
		p := r.newPath(ep, w)
		p.TCP, p.Resolved = noAddress(found), found.Kind
		return found, &attempt{path: p}
	}
	addrs := r.try(ctx, found.Addrs)
	if len(addrs) == 0 { // IPv6 alone, and no route for it
		addrs = found.Addrs[:1]
	}
	if ep.once {
		addrs = addrs[:1]
	}
	found.Addrs = addrs
	return found, nil
}

// behind looks past a failed or slow lookup: it walks to the address that
// another resolver gives.
func (r *run) behind(ep endpoint, w way) {
	if !ep.everywhere {
		return
	}
	r.optional.start(func(ctx context.Context) {
		found, ok := r.elsewhere(ctx, ep.host)
		if !ok {
			return
		}
		// Nobody here gets this address, unless the own lookup was merely slow.
		w.shell, w.daemon = false, false
		for _, a := range first(r.try(ctx, found.Addrs)) {
			at := r.walk(ctx, ep, w, a, found.Kind)
			at.close()
			if ctx.Err() == nil {
				r.addPath(at.path)
			}
		}
	})
}

func first(addrs []netip.Addr) []netip.Addr { return addrs[:min(1, len(addrs))] }

func (a *attempt) close() {
	if a.client != nil {
		a.client.close()
	}
}

func (r *run) newPath(ep endpoint, w way) *Path {
	return &Path{Host: ep.host, Port: 443, Role: ep.role, Via: w.via, Shell: w.shell, Daemon: w.daemon, Guessed: ep.guessed}
}

// walk goes through the stages one by one: TCP, proxy, TLS, HTTP.
func (r *run) walk(ctx context.Context, ep endpoint, w way, addr netip.Addr, kind ResolverKind) *attempt {
	p := r.newPath(ep, w)
	p.Addr, p.Resolved = addr, kind
	at := &attempt{path: p}
	raw := r.raw(ctx, p, w, host.ConnectOptions{})
	if raw == nil {
		return at
	}
	conn := r.secure(ctx, p, w, raw)
	if conn == nil {
		if p.TLS.Outcome == OutOfTime {
			r.askTime(ctx, ep, w, *p)
		}
		return at
	}
	again := *p // for further connections by the same way
	at.client = newClient(conn, func(ctx context.Context) (net.Conn, error) { return r.redial(ctx, again, w) })
	if ep.fetch != nil {
		at.head = ep.fetch(ctx, at.client)
	} else {
		at.head = r.exchange(ctx, at.client, request{method: "GET", url: "https://" + ep.host + ep.get})
	}
	p.HTTP = &at.head.HTTP
	return at
}

// raw makes the connection that TLS runs on: TCP to the endpoint, or TCP to the
// proxy and a tunnel. It fills p.TCP and p.Proxy.
func (r *run) raw(ctx context.Context, p *Path, w way, o host.ConnectOptions) net.Conn {
	if w.via != Direct {
		return r.tunnel(ctx, p, w.proxy, o)
	}
	conn, t := r.connect(ctx, netip.AddrPortFrom(p.Addr, uint16(p.Port)), o)
	p.TCP = t
	return conn
}

// secure is the TLS stage with its comparisons. They begin when the handshake
// fails in a way that a filter can cause, or when it takes long.
func (r *run) secure(ctx context.Context, p *Path, w way, raw net.Conn) *tls.Conn {
	type result struct {
		conn *tls.Conn
		tls  *TLS
	}
	done := make(chan result, 1)
	go func() {
		conn, t := r.handshake(ctx, raw, p.Host, false)
		done <- result{conn, t}
	}()
	var got result
	var compared <-chan comparison
	comparing, cancel := context.WithCancel(ctx)
	defer cancel()
	late := time.NewTimer(2 * slow)
	defer late.Stop()
	select {
	case got = <-done:
	case <-late.C:
		compared = r.compare(comparing, *p, w)
		got = <-done
	}
	p.TLS = got.tls
	if !suspicious(got.tls.Outcome) || ctx.Err() != nil {
		cancel()
		if compared != nil {
			<-compared
		}
		return got.conn
	}
	if compared == nil {
		compared = r.compare(comparing, *p, w)
	}
	c := <-compared
	p.OtherName, p.NoName = c.other, c.none
	if got.tls.Outcome == TLSSilence {
		p.SmallSegments = c.small
	}
	return got.conn
}

// comparison are handshakes on the same way as one that failed.
type comparison struct{ other, none, small *TLS }

// smallMSS keeps segments within the 576 bytes that every IPv4 host must
// accept (RFC 879, RFC 9293 section 3.7.1).
const smallMSS = 536

func (r *run) compare(ctx context.Context, p Path, w way) <-chan comparison {
	try := func(name string, o host.ConnectOptions) <-chan *TLS {
		out := make(chan *TLS, 1)
		go func() {
			scratch := p
			raw := r.raw(ctx, &scratch, w, o)
			if raw == nil {
				out <- nil
				return
			}
			conn, t := r.handshake(ctx, raw, name, false)
			if conn != nil {
				conn.Close()
			}
			out <- t
		}()
		return out
	}
	var others []<-chan *TLS
	for _, name := range r.innocents(p.Host) {
		others = append(others, try(name, host.ConnectOptions{}))
	}
	none, small := try("", host.ConnectOptions{}), try(p.Host, host.ConnectOptions{MSS: smallMSS})
	done := make(chan comparison, 1)
	go func() {
		var c comparison
		for _, other := range others {
			if t := <-other; c.other == nil || suspicious(c.other.Outcome) && t != nil && !suspicious(t.Outcome) {
				c.other = t
			}
		}
		c.none, c.small = <-none, <-small
		done <- c
	}()
	return done
}

// innocents are server names that a filter for registries has no reason to
// stop: one that everybody knows and, for filters that let only listed names
// pass, those that Azure's clients need anyway. The first that passes counts.
func (r *run) innocents(but string) []string {
	names := []string{innocent}
	for _, c := range controlHosts(r.t.Suffix) {
		if c.host != but {
			names = append(names, c.host)
		}
	}
	return names
}

// redial makes another connection by the way of p, for a client whose first
// one the server closed.
func (r *run) redial(ctx context.Context, p Path, w way) (net.Conn, error) {
	raw := r.raw(ctx, &p, w, host.ConnectOptions{})
	if raw == nil {
		return nil, stageError(p)
	}
	conn, t := r.handshake(ctx, raw, p.Host, false)
	if conn == nil {
		p.TLS = t
		return nil, stageError(p)
	}
	return conn, nil
}

func stageError(p Path) error {
	err := &url.Error{Op: "connecting again to", URL: p.Host}
	switch {
	case p.TCP != nil && p.TCP.Outcome != Connected:
		err.Err = textError(p.TCP.Err)
	case p.Proxy != nil && p.Proxy.Err != "":
		err.Err = textError(p.Proxy.Err)
	case p.TLS != nil:
		err.Err = textError(p.TLS.Err)
	default:
		err.Err = textError("no connection")
	}
	return err
}

type textError string

func (e textError) Error() string { return string(e) }
