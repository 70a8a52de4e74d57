package prove

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"testing"

	mdns "github.com/miekg/dns"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/acrlab/acrlab/fakes/pki"
	"github.com/acrlab/acrlab/fakes/proxy"
	"github.com/acrlab/acrlab/harness/fabric"
	"github.com/acrlab/acrlab/harness/plan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testWorld is a network of addresses that lead to servers on loopback, or
// fail as a network fails.
type testWorld struct {
	t        *testing.T
	tcp      map[string]string // "20.0.0.1:443" to a loopback address, or the name of a failure
	udp      map[string]string
	counters map[string]uint64
	trust    []byte
	running  sync.WaitGroup
}

var _ fabric.World = (*testWorld)(nil)

func (w *testWorld) Dial(ctx context.Context, host, network, addr string) (net.Conn, error) {
	table := w.tcp
	if network == "udp" {
		table = w.udp
	}
	if _, err := netip.ParseAddrPort(addr); err != nil {
		return nil, fmt.Errorf("dialled %q, which is no literal address", addr)
	}
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	switch to := table[addr]; to {
	case "", "silence":
		<-ctx.Done()
		return fail(ctx.Err())
	case "refused":
		return fail(syscall.ECONNREFUSED)
	case "unreachable":
		return fail(syscall.EHOSTUNREACH)
	default:
		return new(net.Dialer).DialContext(ctx, network, to)
	}
}

func (w *testWorld) Counter(_ context.Context, host, rule string) (uint64, error) {
	n, ok := w.counters[host+"/"+rule]
	if !ok {
		return 0, errors.New("no such rule")
	}
	return n, nil
}

func (w *testWorld) Trust(string) []byte                                { return w.trust }
func (w *testWorld) Reconcile(context.Context, *plan.Network) error     { return errors.ErrUnsupported }
func (w *testWorld) Run(context.Context, string, *fabric.Command) error { return errors.ErrUnsupported }
func (w *testWorld) Close() error                                       { return nil }
func (w *testWorld) Capture(context.Context, string, io.Writer) (func() error, error) {
	return nil, errors.ErrUnsupported
}

// serve hands every connection to addr to handle.
func (w *testWorld) serve(addr string, handle func(net.Conn)) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(w.t, err)
	w.tcp[addr] = l.Addr().String()
	w.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w.running.Go(func() {
				defer c.Close()
				handle(c)
			})
		}
	})
	w.t.Cleanup(func() { _ = l.Close() })
}

// https serves /v2/ with a certificate.
func (w *testWorld) https(addr string, ca *pki.Authority, status int, body string, names ...string) {
	leaf, err := ca.Leaf(names...)
	require.NoError(w.t, err)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{*leaf}})
	require.NoError(w.t, err)
	w.tcp[addr] = l.Addr().String()
	server := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.WriteHeader(status)
		_, _ = io.WriteString(rw, body)
	}), ErrorLog: nil}
	w.running.Go(func() { _ = server.Serve(l) })
	w.t.Cleanup(func() { _ = server.Close() })
}

// dns serves records at addr over UDP and TCP; names that it does not have get
// the rcode of fail, or silence when that is negative.
func (w *testWorld) dns(addr string, fail int, records ...string) {
	var rrs []mdns.RR
	for _, r := range records {
		rr, err := mdns.NewRR(r)
		require.NoError(w.t, err)
		rrs = append(rrs, rr)
	}
	answer := func(rw mdns.ResponseWriter, q *mdns.Msg) {
		r := new(mdns.Msg).SetReply(q)
		name := q.Question[0].Name
		for range rrs {
			for _, rr := range rrs {
				if rr.Header().Name != name {
					continue
				}
				r.Answer = append(r.Answer, rr)
				if c, ok := rr.(*mdns.CNAME); ok {
					name = c.Target
				} else {
					name = ""
				}
				break
			}
		}
		if len(r.Answer) == 0 {
			if fail < 0 {
				return
			}
			r.Rcode = fail
		}
		if _, udp := rw.LocalAddr().(*net.UDPAddr); udp && q.Question[0].Name == "large.example." {
			r.Answer, r.Truncated = nil, true
		}
		_ = rw.WriteMsg(r)
	}
	p, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(w.t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(w.t, err)
	w.udp[addr], w.tcp[addr] = p.LocalAddr().String(), l.Addr().String()
	for _, s := range []*mdns.Server{{PacketConn: p, Handler: mdns.HandlerFunc(answer)}, {Listener: l, Handler: mdns.HandlerFunc(answer)}} {
		up := make(chan struct{})
		s.NotifyStartedFunc = func() { close(up) }
		w.running.Go(func() { _ = s.ActivateAndServe() })
		<-up
		w.t.Cleanup(func() { _ = s.Shutdown() })
	}
}

func newWorld(t *testing.T) *testWorld {
	w := &testWorld{t: t, tcp: map[string]string{}, udp: map[string]string{}, counters: map[string]uint64{}}
	t.Cleanup(w.running.Wait) // runs last: what ends the servers was registered later
	return w
}

func network() *plan.Network {
	return &plan.Network{Client: "client", Hosts: []plan.Host{
		{Name: "client", Files: map[string]string{
			"/etc/resolv.conf": "# made by acrlab\nnameserver 168.63.129.16\nsearch corp.example\n",
			"/etc/hosts":       "127.0.0.1 localhost\n10.9.9.9 pinned.example other.example # a note\n",
		}},
		{Name: "two-resolvers", Files: map[string]string{"/etc/resolv.conf": "nameserver 10.0.0.1\nnameserver 168.63.129.16\n"}},
		{Name: "no-resolver"},
		{Name: "proxy", Services: []plan.Service{{Name: "proxy", Proxy: new(proxy.Config),
			Listen: []netip.AddrPort{netip.MustParseAddrPort("192.168.20.8:3128")}}}},
	}}
}

func mustAddrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func mustPrefixes(s string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(s)} }
