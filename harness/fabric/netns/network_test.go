//go:build linux

package netns_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/harness/fabric/netns"
	"github.com/acrlab/acrlab/harness/plan"
)

func TestClientReachesServerThroughRouter(t *testing.T) {
	w := up(t, routed())
	for _, to := range []string{"20.0.0.2:443", "20.9.9.9:443"} {
		_, greeting, err := dial(t, w, "client", to)
		require.NoError(t, err)
		require.Equal(t, "hello 10.0.0.2", greeting)
	}
}

func TestVerdictsAreSeenByTheClientAsRealFirewallsShowThem(t *testing.T) {
	cases := []struct {
		verdict plan.Verdict
		check   func(t *testing.T, err error)
	}{
		{plan.Accept, func(t *testing.T, err error) { require.NoError(t, err) }},
		{plan.Drop, func(t *testing.T, err error) { require.ErrorIs(t, err, os.ErrDeadlineExceeded) }},
		{plan.Reject, func(t *testing.T, err error) { require.ErrorIs(t, err, syscall.ECONNREFUSED) }},
		{plan.Prohibit, func(t *testing.T, err error) { require.ErrorIs(t, err, syscall.EHOSTUNREACH) }},
	}
	for _, c := range cases {
		t.Run(string(c.verdict), func(t *testing.T) {
			n := routed()
			hostOf(n, "router").Filter = []plan.FilterRule{
				{Name: "other", Match: plan.Match{Destination: []netip.Prefix{prefix("20.9.9.9/32")}}, Verdict: plan.Drop},
				{Name: "this", Match: plan.Match{
					In: []string{"eth0"}, Protocol: "tcp", Ports: []plan.PortRange{{First: 443, Last: 443}},
					Destination: []netip.Prefix{prefix("20.0.0.0/24")},
				}, Verdict: c.verdict},
			}
			w := up(t, n)
			_, _, err := dial(t, w, "client", "20.0.0.2:443")
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				err = os.ErrDeadlineExceeded
			}
			c.check(t, err)
			hits, err := w.Counter(t.Context(), "router", "this")
			require.NoError(t, err)
			require.NotZero(t, hits)
			hits, err = w.Counter(t.Context(), "router", "other")
			require.NoError(t, err)
			require.Zero(t, hits)
			_, err = w.Counter(t.Context(), "router", "none")
			require.ErrorContains(t, err, `host "router" has no rule "none"`)
		})
	}
}

func TestRefusalsAreNotRateLimited(t *testing.T) {
	n := routed()
	hostOf(n, "router").Filter = []plan.FilterRule{{Name: "no", Verdict: plan.Prohibit}}
	w := up(t, n)
	for range 20 {
		_, _, err := dial(t, w, "client", "20.0.0.2:443")
		require.ErrorIs(t, err, syscall.EHOSTUNREACH)
	}
}

func TestMatchesSelect(t *testing.T) {
	p := func(s ...string) (out []netip.Prefix) {
		for _, x := range s {
			out = append(out, prefix(x))
		}
		return out
	}
	many := p("1.0.0.0/8", "20.0.0.0/16", "20.0.0.0/24", "20.0.0.2/32", "20.0.1.0/24", "255.255.255.255/32", "0.0.0.0/32")
	cases := map[string]struct {
		match plan.Match
		hits  bool
	}{
		"everything":                          {plan.Match{}, true},
		"overlapping and adjacent prefixes":   {plan.Match{Destination: many}, true},
		"prefix that does not hold it":        {plan.Match{Destination: p("20.0.0.3/32")}, false},
		"source and destination":              {plan.Match{Source: p("10.0.0.0/8", "11.0.0.0/8"), Destination: p("0.0.0.0/0")}, true},
		"other source":                        {plan.Match{Source: p("10.0.0.3/32")}, false},
		"not destination, holding it":         {plan.Match{NotDest: many}, false},
		"not destination, one holding it":     {plan.Match{NotDest: p("20.0.0.0/24")}, false},
		"not destination, not holding it":     {plan.Match{NotDest: p("21.0.0.0/8", "30.0.0.0/8")}, true},
		"not destination, one not holding it": {plan.Match{NotDest: p("30.0.0.0/8")}, true},
		"only IPv6":                           {plan.Match{Destination: p("::/0")}, false},
		"IPv4 and IPv6":                       {plan.Match{Destination: p("::/0", "20.0.0.0/8")}, true},
		"interfaces":                          {plan.Match{In: []string{"eth0", "eth7"}, Out: []string{"eth1"}}, true},
		"other interfaces":                    {plan.Match{Out: []string{"eth0", "eth7"}}, false},
		"ports without protocol":              {plan.Match{Ports: []plan.PortRange{{First: 443, Last: 443}}}, true},
		"port ranges":                         {plan.Match{Protocol: "tcp", Ports: []plan.PortRange{{First: 1, Last: 400}, {First: 401, Last: 500}, {First: 65000, Last: 65535}}}, true},
		"a port range":                        {plan.Match{Protocol: "tcp", Ports: []plan.PortRange{{First: 400, Last: 500}}}, true},
		"other ports":                         {plan.Match{Protocol: "tcp", Ports: []plan.PortRange{{First: 80, Last: 80}, {First: 444, Last: 65535}}}, false},
		"other protocol":                      {plan.Match{Protocol: "udp"}, false},
		"icmp":                                {plan.Match{Protocol: "icmp"}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := routed()
			hostOf(n, "router").Filter = []plan.FilterRule{{Name: "rule", Match: c.match, Verdict: plan.Reject}}
			w := up(t, n)
			_, _, err := dial(t, w, "client", "20.0.0.2:443")
			if c.hits {
				require.ErrorIs(t, err, syscall.ECONNREFUSED)
			} else {
				require.NoError(t, err)
			}
		})
	}
}

func TestAcceptInAGroupOnlyLeavesTheGroup(t *testing.T) {
	n := routed()
	hostOf(n, "router").Filter = []plan.FilterRule{
		{Name: "outbound", Match: plan.Match{In: []string{"eth0"}}, Group: []plan.FilterRule{
			{Name: "out-allow", Match: plan.Match{Destination: []netip.Prefix{prefix("20.0.0.0/8")}}, Verdict: plan.Accept},
			{Name: "out-deny", Verdict: plan.Drop},
		}},
		{Name: "inbound", Match: plan.Match{Out: []string{"eth1"}}, Group: []plan.FilterRule{
			{Name: "nested", Group: []plan.FilterRule{{Name: "nested-allow", Verdict: plan.Accept}, {Name: "never", Verdict: plan.Drop}}},
			{Name: "in-deny", Match: plan.Match{Destination: []netip.Prefix{prefix("20.9.9.9/32")}}, Verdict: plan.Reject},
		}},
	}
	w := up(t, n)
	_, _, err := dial(t, w, "client", "20.0.0.2:443")
	require.NoError(t, err)
	_, _, err = dial(t, w, "client", "20.9.9.9:443")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	for rule, want := range map[string]uint64{"outbound": 2, "out-allow": 2, "out-deny": 0, "inbound": 2, "nested-allow": 2, "never": 0, "in-deny": 1} {
		hits, err := w.Counter(t.Context(), "router", rule)
		require.NoError(t, err)
		require.Equal(t, want, hits, "first packets that hit %s", rule)
	}
}

func TestPeerSeesTranslatedSource(t *testing.T) {
	n := routed()
	router := hostOf(n, "router")
	router.Loopback = []netip.Addr{addr("52.1.1.1")}
	router.NAT = []plan.NATRule{
		{Match: plan.Match{Destination: []netip.Prefix{prefix("20.9.9.9/32")}}, Keep: true},
		{Match: plan.Match{Out: []string{"eth1"}, Source: []netip.Prefix{prefix("10.0.0.0/8")}}, To: addr("52.1.1.1")},
	}
	w := up(t, n)
	_, greeting, err := dial(t, w, "client", "20.0.0.2:443")
	require.NoError(t, err)
	require.Equal(t, "hello 52.1.1.1", greeting)
	_, greeting, err = dial(t, w, "client", "20.9.9.9:443")
	require.NoError(t, err)
	require.Equal(t, "hello 10.0.0.2", greeting)
}

func TestTablesOfInterfacesAndBlackholes(t *testing.T) {
	n := routed()
	// A second client whose table knows no way to 20.9.9.9 but silence.
	n.Hosts = append(n.Hosts, plan.Host{Name: "other",
		Routes: []plan.Route{
			{Destination: prefix("10.1.1.1/32"), Interface: "eth0"},
			{Destination: prefix("0.0.0.0/0"), Via: addr("10.1.1.1"), Interface: "eth0"},
		}})
	n.Links = append(n.Links, link("other", "eth0", "10.1.0.2/32", "router", "eth2", "10.1.1.1/32"))
	router := hostOf(n, "router")
	router.Rules = []plan.RouteRule{{Priority: 100, Interface: "eth2", Table: 102}}
	router.Routes = append(router.Routes,
		plan.Route{Destination: prefix("10.1.0.2/32"), Interface: "eth2"},
		plan.Route{Table: 102, Destination: prefix("20.0.0.0/24"), Interface: "eth1"},
		plan.Route{Table: 102, Destination: prefix("20.9.9.9/32"), Blackhole: true},
	)
	w := up(t, n)
	_, greeting, err := dial(t, w, "other", "20.0.0.2:443")
	require.NoError(t, err)
	require.Equal(t, "hello 10.1.0.2", greeting)
	_, _, err = dial(t, w, "other", "20.9.9.9:443")
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	require.True(t, timeout.Timeout(), "%v", err)
	_, _, err = dial(t, w, "client", "20.9.9.9:443")
	require.NoError(t, err)
}

func TestIPv6(t *testing.T) {
	n := routed()
	n.Links[0].Ends[0].Addresses = append(n.Links[0].Ends[0].Addresses, prefix("2001:db8:1::2/64"))
	n.Links[0].Ends[1].Addresses = append(n.Links[0].Ends[1].Addresses, prefix("2001:db8:1::1/64"))
	n.Links[1].Ends[0].Addresses = append(n.Links[1].Ends[0].Addresses, prefix("2001:db8:2::2/64"))
	n.Links[1].Ends[1].Addresses = append(n.Links[1].Ends[1].Addresses, prefix("2001:db8:2::1/64"))
	client, server, router := hostOf(n, "client"), hostOf(n, "server"), hostOf(n, "router")
	client.Routes = append(client.Routes, plan.Route{Destination: prefix("::/0"), Via: addr("2001:db8:1::1"), Interface: "eth0"})
	server.Routes = append(server.Routes, plan.Route{Destination: prefix("::/0"), Via: addr("2001:db8:2::1"), Interface: "eth0"})
	server.Services[0].Listen = append(server.Services[0].Listen, netip.MustParseAddrPort("[2001:db8:2::2]:443"))
	router.Filter = []plan.FilterRule{{Name: "v6", Match: plan.Match{Source: []netip.Prefix{prefix("2001:db8:1::/64")}}, Verdict: plan.Accept},
		{Name: "rest", Verdict: plan.Drop}}
	w := up(t, n)
	_, greeting, err := dial(t, w, "client", "[2001:db8:2::2]:443")
	require.NoError(t, err)
	require.Equal(t, "hello 2001:db8:1::2", greeting)
}

func TestWorldsWithTheSameAddressesDoNotSeeEachOther(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 6 {
		n := routed()
		word := fmt.Sprintf("world%d", i)
		hostOf(n, "server").Services[0] = greeter("greeter", word, "20.0.0.2:443")
		w := up(t, n)
		wg.Go(func() {
			for range 20 {
				_, greeting, err := dial(t, w, "client", "20.0.0.2:443")
				if err != nil || greeting != word+" 10.0.0.2" {
					t.Errorf("world %d: %q, %v", i, greeting, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestNoPacketLeavesForTheMachine(t *testing.T) {
	w := up(t, routed())
	// What listens in the harness's own namespace stands for the machine.
	l, err := net.Listen("tcp", "0.0.0.0:0")
	require.NoError(t, err)
	defer l.Close()
	accepted := make(chan struct{}, 8)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
			accepted <- struct{}{}
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	targets := []string{"127.0.0.1"}
	ifaces, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, a := range ifaces {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			targets = append(targets, p.Addr().String())
		}
	}
	for _, host := range []string{"client", "router", "server"} {
		for _, to := range targets {
			_, _, err := dial(t, w, host, net.JoinHostPort(to, port))
			require.Error(t, err, "%s reaches the machine at %s", host, to)
		}
	}
	require.Empty(t, accepted)

	// The harness itself has a loopback interface and nothing else.
	links, err := net.Interfaces()
	require.NoError(t, err)
	for _, l := range links {
		if l.Flags&net.FlagUp != 0 {
			require.Equal(t, "lo", l.Name)
		}
	}
	_, err = net.Dial("udp", "192.0.2.1:53")
	require.ErrorIs(t, err, syscall.ENETUNREACH)
}

func TestBadPlansAreRefusedByName(t *testing.T) {
	netns.Require(t)
	cases := map[string]struct {
		change func(*plan.Network)
		want   string
	}{
		"unknown host of a link":    {func(n *plan.Network) { n.Links[0].Ends[1].Host = "moon" }, `no host "moon"`},
		"long interface name":       {func(n *plan.Network) { n.Links[0].Ends[1].Interface = "sixteen-bytes-xx" }, "1 to 15 bytes"},
		"host twice":                {func(n *plan.Network) { n.Hosts[1].Name = "client" }, `host "client" is there twice`},
		"route to no interface":     {func(n *plan.Network) { n.Hosts[0].Routes[0].Interface = "eth9" }, `host "client": route to 0.0.0.0/0 via 10.0.0.1 on eth9: no interface "eth9"`},
		"route twice":               {func(n *plan.Network) { n.Hosts[0].Routes = append(n.Hosts[0].Routes, n.Hosts[0].Routes[0]) }, "two routes to 0.0.0.0/0 in table 254"},
		"verdict":                   {func(n *plan.Network) { n.Hosts[1].Filter = []plan.FilterRule{{Name: "x", Verdict: "explode"}} }, `filter rule "x": unknown verdict "explode"`},
		"neither verdict nor group": {func(n *plan.Network) { n.Hosts[1].Filter = []plan.FilterRule{{Name: "x"}} }, "neither a verdict nor a group"},
		"protocol": {func(n *plan.Network) {
			n.Hosts[1].Filter = []plan.FilterRule{{Name: "x", Verdict: plan.Drop, Match: plan.Match{Protocol: "tpc"}}}
		}, `unknown protocol "tpc"`},
		"translation to nothing": {func(n *plan.Network) { n.Hosts[1].NAT = []plan.NATRule{{}} }, "either an address or Keep"},
		"relative file":          {func(n *plan.Network) { n.Hosts[0].Files = map[string]string{"etc/hosts": ""} }, `file "etc/hosts"`},
		"zero address":           {func(n *plan.Network) { n.Links[0].Ends[0].Addresses = []netip.Prefix{{}} }, "invalid address"},
		"gateway out of reach": {func(n *plan.Network) {
			n.Hosts[0].Routes[0] = plan.Route{Destination: prefix("0.0.0.0/0"), Via: addr("99.0.0.1")}
		}, `host "client": routes: route to 0.0.0.0/0 via 99.0.0.1: no interface has the gateway in its network`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			n := routed()
			c.change(n)
			_, err := new(netns.Driver).Up(t.Context(), n)
			require.ErrorContains(t, err, c.want)
		})
	}
	_, err := new(netns.Driver).Up(t.Context(), nil)
	require.Error(t, err)
}

func TestDialRefusesNames(t *testing.T) {
	w := up(t, routed())
	_, err := w.Dial(t.Context(), "client", "tcp", "localhost:443")
	require.ErrorContains(t, err, "must be IP:port")
	_, err = w.Dial(t.Context(), "moon", "tcp", "10.0.0.1:443")
	require.ErrorContains(t, err, `no host "moon"`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = w.Dial(ctx, "client", "tcp", "20.0.0.2:443")
	require.ErrorContains(t, err, "operation was canceled")
}
