package scenarios_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/fakes/dns"
	"github.com/acrlab/acrlab/fakes/registry"
	"github.com/acrlab/acrlab/harness/plan"
	"github.com/acrlab/acrlab/harness/trace"
	"github.com/acrlab/acrlab/harness/world"
)

const (
	// quiet is how long nothing may come back where silence is foretold: far
	// longer than any answer within one machine takes.
	quiet = 700 * time.Millisecond
	// patience bounds the wait for an answer that is foretold, however busy the
	// machine is.
	patience = 20 * time.Second
)

// What a client can tell apart about a connection attempt.
const (
	connected   = "connected"
	refused     = "refused"
	silence     = "silence"
	prohibited  = "ICMP: host unreachable or administratively prohibited"
	unreachable = "ICMP: network unreachable"
)

// The pictures of acrlab show and the real packets agree: what trace foretells
// about connections, TLS handshakes and lookups from the client host of every
// healthy and every broken network is what happens there.
func TestTraceForetellsWhatTheFabricDoes(t *testing.T) {
	needsNamespaces(t)
	seen := map[string]bool{} // many scenarios share a healthy network
	for _, s := range catalogue(t) {
		for _, healthy := range []bool{true, false} {
			name, topology := s.ID+"/broken", s.Broken
			if healthy {
				name, topology = s.ID+"/healthy", s.Healthy
			}
			n, err := plan.FromTopology(topology)
			require.NoError(t, err)
			key, err := json.Marshal(n)
			require.NoError(t, err)
			if seen[string(key)] {
				continue
			}
			seen[string(key)] = true
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w, err := world.Open(t.Context(), namespaces, topology)
				require.NoError(t, err)
				defer func() { require.NoError(t, w.Close()) }()
				o := &observer{T: t, w: w, n: w.Network()}
				for _, to := range destinations(o.n) {
					o.beside(func() { o.connects(to) })
				}
				for _, name := range tlsNames(o.n) {
					o.beside(func() { o.greets(name) })
				}
				for _, name := range append(tlsNames(o.n), "management.azure.com", "nobody.azurecr.io") {
					o.beside(func() { o.resolves(name) })
				}
				o.wait.Wait()
			})
		}
	}
}

// destinations are all that listens anywhere, a closed port of every address
// that a host has, and addresses that nobody has.
func destinations(n *plan.Network) []netip.AddrPort {
	var out []netip.AddrPort
	add := func(a netip.Addr, port uint16) {
		if to := netip.AddrPortFrom(a, port); !a.IsUnspecified() && !slices.Contains(out, to) {
			out = append(out, to)
		}
	}
	const discard, https, middlebox = 9, 443, 8443 // nobody discards
	for _, h := range n.Hosts {
		for _, s := range h.Services {
			for _, l := range s.Listen {
				add(l.Addr(), l.Port())
			}
		}
		for _, a := range h.Loopback {
			add(a, discard)
			add(a, https)
		}
	}
	for _, l := range n.Links {
		for _, e := range l.Ends {
			for _, p := range e.Addresses {
				add(p.Addr(), discard)
				add(p.Addr(), https)
				add(p.Addr(), middlebox)
			}
		}
	}
	for _, nobody := range []string{"192.0.2.77", "20.62.128.77", "10.0.0.77", "10.1.2.77", "10.99.0.1", "192.168.10.77", "172.16.5.5"} {
		add(netip.MustParseAddr(nobody), https)
	}
	return out
}

// tlsNames are all names that registries answer to, mcr's included.
func tlsNames(n *plan.Network) []string {
	var out []string
	for _, h := range n.Hosts {
		for _, s := range h.Services {
			if s.Registry == nil {
				continue
			}
			for name, role := range s.Registry.Roles {
				if (role == registry.Login || role == registry.Data || role == registry.Storage) && !slices.Contains(out, name) {
					out = append(out, name)
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

type observer struct {
	*testing.T
	w    *world.World
	n    *plan.Network
	wait sync.WaitGroup
}

// beside does one comparison beside the others.
func (o *observer) beside(f func()) { o.wait.Go(f) }

// expectation of a TCP connection that takes a path.
func expectation(p trace.Path) string {
	if p.NameFilter != "" {
		return connected // by the filter, whatever lies behind it
	}
	switch p.Fate {
	case trace.Delivered:
		return connected
	case trace.Closed, trace.Rejected:
		return refused
	case trace.Dropped:
		return silence
	case trace.Forbidden:
		return prohibited
	case trace.NoRoute:
		return unreachable
	case trace.NameRefused, trace.Inspected:
		return connected
	}
	return "no such fate: " + string(p.Fate)
}

func (o *observer) connects(to netip.AddrPort) {
	p := trace.Follow(o.n, o.n.Client, trace.Flow{Protocol: "tcp", Destination: to.Addr(), Port: to.Port()})
	want := expectation(p)
	wait := patience
	if want == silence {
		wait = quiet
	}
	ctx, cancel := context.WithTimeout(o.Context(), wait)
	defer cancel()
	c, err := o.w.Dial(ctx, o.n.Client, "tcp", to.String())
	if err == nil {
		_ = c.Close()
	}
	if got := outcome(err); got != want {
		o.Errorf("tcp %s: trace foretells %s (%s: %s), the client sees %s\n%s", to, want, p.Fate, p.Why, got, way(p))
	}
}

func outcome(err error) string {
	switch {
	case err == nil, errors.Is(err, syscall.ECONNRESET): // reset after the handshake; before it is a refusal
		return connected
	case errors.Is(err, syscall.ECONNREFUSED):
		return refused
	case errors.Is(err, syscall.EHOSTUNREACH):
		return prohibited
	case errors.Is(err, syscall.ENETUNREACH):
		return unreachable
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return silence
	}
	return err.Error()
}

// What a client can tell apart about a TLS handshake.
const (
	trusted     = "a certificate that the client trusts"
	untrusted   = "a certificate of an authority that the client does not trust"
	noHandshake = "no handshake"
)

// greets sends the name in a ClientHello to the addresses that the client
// finds for it, and looks at the certificate.
func (o *observer) greets(name string) {
	a, err := trace.Lookup(o.n, o.n.Client, name)
	if err != nil {
		o.Errorf("looking up %s: %v", name, err)
		return
	}
	for _, addr := range a.Addrs {
		to := netip.AddrPortFrom(addr, 443)
		p := trace.Follow(o.n, o.n.Client, trace.Flow{Protocol: "tcp", Destination: addr, Port: 443, ServerName: name})
		want, wait := noHandshake, quiet
		switch p.Fate {
		case trace.Delivered:
			want, wait = trusted, patience
		case trace.Inspected:
			want, wait = untrusted, patience
		}
		if got := o.handshake(to, name, wait); got != want {
			o.Errorf("tls %s at %s: trace foretells %s (%s: %s), the client sees %s\n%s", name, to, want, p.Fate, p.Why, got, way(p))
		}
	}
}

func (o *observer) handshake(to netip.AddrPort, name string, wait time.Duration) string {
	ctx, cancel := context.WithTimeout(o.Context(), wait)
	defer cancel()
	c, err := o.w.Dial(ctx, o.n.Client, "tcp", to.String())
	if err != nil {
		return noHandshake
	}
	defer c.Close()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(o.w.Trust(o.n.Client))
	err = tls.Client(c, &tls.Config{ServerName: name, RootCAs: roots}).HandshakeContext(ctx)
	var unknown x509.UnknownAuthorityError
	switch {
	case err == nil:
		return trusted
	case errors.As(err, &unknown):
		return untrusted
	}
	return noHandshake
}

// resolves asks the client's resolver by UDP.
func (o *observer) resolves(name string) {
	a, err := trace.Lookup(o.n, o.n.Client, name)
	if err != nil {
		o.Errorf("looking up %s: %v", name, err)
		return
	}
	if !a.Server.IsValid() {
		return // the hosts file, which asks nobody
	}
	want, wait := "no answer", quiet
	if a.RCode != "" {
		want, wait = fmt.Sprint(a.RCode, a.Addrs), patience
	}
	ctx, cancel := context.WithTimeout(o.Context(), wait)
	defer cancel()
	if got := o.ask(ctx, a.Server, name); got != want {
		o.Errorf("udp %s:53 %s: trace foretells %s, the client sees %s", a.Server, name, want, got)
	}
}

func (o *observer) ask(ctx context.Context, server netip.Addr, name string) string {
	c, err := o.w.Dial(ctx, o.n.Client, "udp", netip.AddrPortFrom(server, 53).String())
	if err != nil {
		return "no answer"
	}
	defer c.Close()
	deadline, _ := ctx.Deadline()
	_ = c.SetDeadline(deadline)
	conn := &mdns.Conn{Conn: c}
	if err := conn.WriteMsg(new(mdns.Msg).SetQuestion(mdns.Fqdn(name), mdns.TypeA)); err != nil {
		return "no answer"
	}
	reply, err := conn.ReadMsg()
	if err != nil {
		return "no answer"
	}
	var addrs []netip.Addr
	for _, r := range reply.Answer {
		if a, ok := r.(*mdns.A); ok {
			addr, _ := netip.AddrFromSlice(a.A.To4())
			addrs = append(addrs, addr)
		}
	}
	code := mdns.RcodeToString[reply.Rcode]
	if reply.Rcode == mdns.RcodeSuccess && len(addrs) == 0 {
		code = string(dns.NoData)
	}
	return fmt.Sprint(code, addrs)
}

// way prints a path for a message.
func way(p trace.Path) string {
	out := ""
	for _, h := range p.Hops {
		out += fmt.Sprintf("    %s %q\n", h.Host, h.Notes)
	}
	return out
}
