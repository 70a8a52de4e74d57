//go:build linux

package netns_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/fakes/dns"
	"github.com/acrlab/acrlab/fakes/netio"
	"github.com/acrlab/acrlab/harness/fabric"
	"github.com/acrlab/acrlab/harness/fabric/netns"
	"github.com/acrlab/acrlab/harness/plan"
	"github.com/acrlab/acrlab/harness/service"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }

func link(a, ifA, addrA, b, ifB, addrB string) plan.Link {
	return plan.Link{Ends: [2]plan.End{
		{Host: a, Interface: ifA, Addresses: []netip.Prefix{prefix(addrA)}},
		{Host: b, Interface: ifB, Addresses: []netip.Prefix{prefix(addrB)}},
	}}
}

// routed is the network of most tests:
//
//	client 10.0.0.2 --- eth0 router eth1 --- server 20.0.0.2, which also is 20.9.9.9
//
// The server greets on port 443 of both addresses with the address it sees.
func routed() *plan.Network {
	return &plan.Network{
		Hosts: []plan.Host{
			{Name: "client", Routes: []plan.Route{{Destination: prefix("0.0.0.0/0"), Via: addr("10.0.0.1"), Interface: "eth0"}}},
			{Name: "router", Forward: true, Routes: []plan.Route{
				{Destination: prefix("20.9.9.9/32"), Via: addr("20.0.0.2"), Interface: "eth1"},
			}},
			{
				Name: "server", Loopback: []netip.Addr{addr("20.9.9.9")},
				Routes:   []plan.Route{{Destination: prefix("0.0.0.0/0"), Via: addr("20.0.0.1"), Interface: "eth0"}},
				Services: []plan.Service{greeter("greeter", "hello", "20.0.0.2:443", "20.9.9.9:443")},
			},
		},
		Links: []plan.Link{
			link("client", "eth0", "10.0.0.2/24", "router", "eth0", "10.0.0.1/24"),
			link("server", "eth0", "20.0.0.2/24", "router", "eth1", "20.0.0.1/24"),
		},
		Client: "client",
	}
}

func hostOf(n *plan.Network, name string) *plan.Host {
	for i := range n.Hosts {
		if n.Hosts[i].Name == name {
			return &n.Hosts[i]
		}
	}
	return nil
}

// greeter is a service of these tests: its greeting travels where a real
// service has its configuration.
func greeter(name, greeting string, listen ...string) plan.Service {
	s := plan.Service{Name: name, DNS: &dns.Config{Records: []dns.Record{{Name: greeting}}}}
	for _, l := range listen {
		s.Listen = append(s.Listen, netip.MustParseAddrPort(l))
	}
	return s
}

// greeters starts greeters. It counts, for tests of Reconcile.
type greeters struct{ started, updated, closed int }

type greeting struct {
	g         *greeters
	word      atomic.Value
	listeners []net.Listener
}

func (g *greeters) Start(ctx context.Context, n netio.Net, _ plan.Host, s plan.Service) (service.Running, error) {
	running := &greeting{g: g}
	running.word.Store(s.DNS.Records[0].Name)
	for _, a := range s.Listen {
		l, err := n.Listen(ctx, "tcp", a.String())
		if err != nil {
			running.Close()
			return nil, err
		}
		running.listeners = append(running.listeners, l)
		go running.serve(l)
	}
	g.started++
	return running, nil
}

// serve writes the greeting and the client's address, then echoes lines.
func (r *greeting) serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
			if _, err := io.WriteString(c, r.word.Load().(string)+" "+host+"\n"); err == nil {
				_, _ = io.Copy(c, c)
			}
		}()
	}
}

func (r *greeting) Update(_ context.Context, s plan.Service) error {
	r.g.updated++
	r.word.Store(s.DNS.Records[0].Name)
	return nil
}

func (r *greeting) Close() error {
	r.g.closed++
	for _, l := range r.listeners {
		l.Close()
	}
	return nil
}

// up builds a network that is taken down with the test.
func up(t testing.TB, n *plan.Network) fabric.World {
	t.Helper()
	netns.Require(t)
	w, err := (&netns.Driver{Services: &greeters{}}).Up(t.Context(), n)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	return w
}

// conn is an open connection to a greeter.
type conn struct {
	net.Conn
	r *bufio.Reader
}

// dial connects and reads the greeting.
func dial(t testing.TB, w fabric.World, host, to string) (*conn, string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	c, err := w.Dial(ctx, host, "tcp", to)
	if err != nil {
		return nil, "", err
	}
	t.Cleanup(func() { c.Close() })
	r := bufio.NewReader(c)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(5*time.Second)))
	line, err := r.ReadString('\n')
	return &conn{c, r}, strings.TrimSpace(line), err
}

// echo sends a line and waits a moment for its return.
func (c *conn) echo(t testing.TB, wait time.Duration) error {
	t.Helper()
	require.NoError(t, c.SetDeadline(time.Now().Add(wait)))
	if _, err := io.WriteString(c, "ping\n"); err != nil {
		return err
	}
	_, err := c.r.ReadString('\n')
	return err
}

// run runs a shell command on a host.
func run(t testing.TB, w fabric.World, host, script string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd := &fabric.Command{Args: []string{"/bin/sh", "-c", script}, Stdout: &out, Stderr: &errOut}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, w.Run(ctx, host, cmd))
	return strings.TrimSpace(out.String()), strings.TrimSpace(errOut.String()), cmd.ExitCode
}
