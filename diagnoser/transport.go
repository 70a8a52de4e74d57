package diagnoser

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/http/httpproxy"

	"github.com/acrlab/acrlab/diagnoser/host"
	"github.com/acrlab/acrlab/diagnoser/probe"
)

// transport reaches Azure's management from the place of the diagnosis, also
// where that place is broken: names are asked of every resolver that may
// answer, and the way without the proxy is tried when the proxy fails.
type transport struct {
	h               host.Host
	resolvers       []netip.Addr
	hosts           map[string][]netip.Addr
	proxied, direct *http.Transport // proxied is nil without a proxy
}

// Resolvers that are asked when the configured ones fail: Azure's own and two
// of the internet.
var fallbackResolvers = []netip.Addr{
	netip.MustParseAddr("168.63.129.16"), netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("1.1.1.1"),
}

const lookupTimeout = 2 * time.Second

func newTransport(h host.Host) (*transport, error) {
	roots, err := h.Roots()
	if err != nil {
		return nil, fmt.Errorf("reading the trust store: %w", err)
	}
	t := &transport{h: h}
	if b, err := h.ReadFile("/etc/resolv.conf"); err == nil {
		t.resolvers = probe.ParseResolvConf(b)
	}
	for _, a := range fallbackResolvers {
		if !slices.Contains(t.resolvers, a) {
			t.resolvers = append(t.resolvers, a)
		}
	}
	if b, err := h.ReadFile("/etc/hosts"); err == nil {
		t.hosts = probe.ParseHosts(b)
	}
	env := map[string]string{}
	for _, kv := range h.Environ() {
		if k, v, ok := strings.Cut(kv, "="); ok {
			env[k] = v
		}
	}
	first := func(names ...string) string {
		for _, n := range names {
			if env[n] != "" {
				return env[n]
			}
		}
		return ""
	}
	conf := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	base := func() *http.Transport {
		return &http.Transport{DialContext: t.dial, TLSClientConfig: conf.Clone(), TLSHandshakeTimeout: 4 * time.Second,
			ResponseHeaderTimeout: 8 * time.Second, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 8, IdleConnTimeout: 10 * time.Second}
	}
	t.direct = base()
	if proxy := first("HTTPS_PROXY", "https_proxy"); proxy != "" {
		choose := (&httpproxy.Config{HTTPSProxy: proxy, NoProxy: first("NO_PROXY", "no_proxy")}).ProxyFunc()
		t.proxied = base()
		t.proxied.Proxy = func(r *http.Request) (*url.URL, error) { return choose(r.URL) }
	}
	return t, nil
}

// maxAnswer bounds what is read of one answer, decompressed. The longest that
// Azure gives are pages of a few hundred resources.
const maxAnswer = 8 << 20

// bounded is a body that fails beyond maxAnswer.
type bounded struct {
	io.ReadCloser
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("the answer is longer than %d MiB", maxAnswer>>20)
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.roundTrip(r)
	if err == nil {
		resp.Body = &bounded{resp.Body, maxAnswer}
	}
	return resp, err
}

func (t *transport) roundTrip(r *http.Request) (*http.Response, error) {
	if t.proxied == nil || r.URL.Scheme != "https" {
		return t.direct.RoundTrip(r)
	}
	resp, err := t.proxied.RoundTrip(r)
	if err == nil || r.Context().Err() != nil {
		return resp, err
	}
	again := r.Clone(r.Context())
	if r.Body != nil && r.Body != http.NoBody {
		if r.GetBody == nil {
			return nil, err
		}
		body, err2 := r.GetBody()
		if err2 != nil {
			return nil, errors.Join(err, err2)
		}
		again.Body = body
	}
	resp, err2 := t.direct.RoundTrip(again)
	if err2 != nil {
		return nil, err // the proxy's failure is the one that the user set up
	}
	return resp, nil
}

// Close ends idle connections.
func (t *transport) Close() {
	t.direct.CloseIdleConnections()
	if t.proxied != nil {
		t.proxied.CloseIdleConnections()
	}
}

func (t *transport) dial(ctx context.Context, _, address string) (net.Conn, error) {
	name, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := net.LookupPort("tcp", portText)
	if err != nil {
		return nil, err
	}
	addrs, err := t.lookup(ctx, name)
	if err != nil {
		return nil, err
	}
	var failures []string
	for _, a := range addrs[:min(len(addrs), 3)] {
		conn, how := t.h.Connect(ctx, netip.AddrPortFrom(a, uint16(port)), host.ConnectOptions{})
		if conn != nil {
			return conn, nil
		}
		failures = append(failures, fmt.Sprintf("%s: %s", a, how.Outcome))
	}
	return nil, fmt.Errorf("connecting to %s port %d: %s", name, port, strings.Join(failures, ", "))
}

// lookup asks all resolvers at once and takes the answer of the first in order
// that has one, so that a private answer wins over a public one.
func (t *transport) lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{a}, nil
	}
	if as := t.hosts[strings.ToLower(name)]; len(as) > 0 {
		return as, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	answers := make([]chan []netip.Addr, len(t.resolvers))
	for i, server := range t.resolvers {
		answers[i] = make(chan []netip.Addr, 1)
		go func() { answers[i] <- t.ask(ctx, server, name) }()
	}
	for _, c := range answers {
		if as := <-c; len(as) > 0 {
			return as, nil
		}
	}
	return nil, fmt.Errorf("resolving %s: no resolver gave an address", name)
}

func (t *transport) ask(ctx context.Context, server netip.Addr, name string) []netip.Addr {
	conn, err := t.h.DialUDP(ctx, netip.AddrPortFrom(server, 53))
	if err != nil {
		return nil
	}
	defer conn.Close()
	if d, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(d) // a socket that takes no deadline is closed by the context below
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), dns.TypeA)
	wire, err := q.Pack()
	if err != nil {
		return nil
	}
	if _, err := conn.Write(wire); err != nil {
		return nil
	}
	buf := make([]byte, 4096)
	n, err := conn.Read(buf)
	in := new(dns.Msg)
	if err != nil || in.Unpack(buf[:n]) != nil || in.Id != q.Id {
		return nil
	}
	var out []netip.Addr
	for _, rr := range in.Answer {
		if a, ok := rr.(*dns.A); ok {
			if ip, ok := netip.AddrFromSlice(a.A); ok {
				out = append(out, ip.Unmap())
			}
		}
	}
	return out
}
