package trace_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/fakes/dns"
	"github.com/acrlab/acrlab/fakes/middlebox"
	"github.com/acrlab/acrlab/harness/plan"
	"github.com/acrlab/acrlab/harness/trace"
)

var everything = prefix("0.0.0.0/0")

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }

func end(host, iface string, addresses ...string) plan.End {
	e := plan.End{Host: host, Interface: iface}
	for _, a := range addresses {
		e.Addresses = append(e.Addresses, prefix(a))
	}
	return e
}

func link(a, b plan.End) plan.Link { return plan.Link{Ends: [2]plan.End{a, b}} }

func via(gateway, iface string) plan.Route {
	return plan.Route{Destination: everything, Via: addr(gateway), Interface: iface}
}

func to(prefixes ...string) plan.Match {
	var m plan.Match
	for _, p := range prefixes {
		m.Destination = append(m.Destination, prefix(p))
	}
	return m
}

// network is client 10.0.0.2 - router - server 20.0.0.2, which also is 20.9.9.9
// and listens on port 443 of both; second is a machine on the router's third
// interface.
func network(change func(router *plan.Host)) *plan.Network {
	n := &plan.Network{
		Client: "client",
		Hosts: []plan.Host{
			{Name: "client", Routes: []plan.Route{via("10.0.0.1", "eth0")}},
			{Name: "router", Forward: true, Routes: []plan.Route{
				{Destination: prefix("20.9.9.9/32"), Via: addr("20.0.0.2")}, // the link follows from the gateway
				{Destination: prefix("20.5.0.0/16"), Blackhole: true, Why: "nobody is there"},
				{Destination: prefix("20.6.0.0/16"), Interface: "gone"},
			}},
			{Name: "server", Loopback: []netip.Addr{addr("20.9.9.9")}, Routes: []plan.Route{via("20.0.0.1", "eth0")},
				Services: []plan.Service{{Name: "web", Listen: []netip.AddrPort{
					netip.MustParseAddrPort("20.0.0.2:443"), netip.MustParseAddrPort("20.9.9.9:443")}}}},
			{Name: "second", Routes: []plan.Route{via("10.0.1.1", "eth0")}},
		},
		Links: []plan.Link{
			link(end("client", "eth0", "10.0.0.2/24"), end("router", "lan", "10.0.0.1/24")),
			link(end("server", "eth0", "20.0.0.2/24"), end("router", "wan", "20.0.0.1/24")),
			link(end("second", "eth0", "10.0.1.2/24"), end("router", "lan2", "10.0.1.1/24")),
		},
	}
	if change != nil {
		change(&n.Hosts[1])
	}
	return n
}

func hops(p trace.Path) []string {
	var out []string
	for _, h := range p.Hops {
		out = append(out, h.Host)
	}
	return out
}

func TestFollowSaysWhatBecomesOfAPacket(t *testing.T) {
	filter := func(rules ...plan.FilterRule) func(*plan.Host) {
		return func(r *plan.Host) { r.Filter = rules }
	}
	verdict := func(v plan.Verdict, m plan.Match) func(*plan.Host) {
		return filter(plan.FilterRule{Name: "rule", Match: m, Verdict: v, Why: "by order"})
	}
	all := plan.Match{}
	for _, c := range []struct {
		name   string
		change func(*plan.Host)
		flow   trace.Flow // the zero one: tcp 20.0.0.2:443
		fate   trace.Fate
		why    string
		ends   string // at this host
	}{
		{name: "it reaches a service", fate: trace.Delivered, why: "service web", ends: "server"},
		{name: "it reaches an address of the loopback interface", flow: trace.Flow{Destination: addr("20.9.9.9")}, fate: trace.Delivered, ends: "server"},
		{name: "nothing listens on the port", flow: trace.Flow{Port: 80}, fate: trace.Closed, why: "nothing listens on 20.0.0.2:80", ends: "server"},
		{name: "the router itself does not listen", flow: trace.Flow{Destination: addr("20.0.0.1")}, fate: trace.Closed, ends: "router"},
		{name: "a route drops it", flow: trace.Flow{Destination: addr("20.5.1.1")}, fate: trace.Dropped, why: "route 20.5.0.0/16 (nobody is there)", ends: "router"},
		{name: "no route has it", flow: trace.Flow{Destination: addr("30.0.0.1")}, fate: trace.NoRoute, why: "router has no route to 30.0.0.1", ends: "router"},
		{name: "its route leads over a link that is not there", flow: trace.Flow{Destination: addr("20.6.0.1")}, fate: trace.NoRoute, ends: "router"},
		{name: "the host between does not forward", change: func(r *plan.Host) { r.Forward = false }, fate: trace.Dropped, why: "router does not forward packets", ends: "router"},
		{name: "a rule accepts", change: verdict(plan.Accept, all), fate: trace.Delivered, ends: "server"},
		{name: "a rule drops", change: verdict(plan.Drop, all), fate: trace.Dropped, why: "rule rule (by order)", ends: "router"},
		{name: "a rule resets", change: verdict(plan.Reject, all), fate: trace.Rejected, ends: "router"},
		{name: "a rule prohibits", change: verdict(plan.Prohibit, all), fate: trace.Forbidden, ends: "router"},
		{name: "filters do not apply to the router's own addresses", change: verdict(plan.Drop, all), flow: trace.Flow{Destination: addr("10.0.0.1")}, fate: trace.Closed, ends: "router"},
		{name: "a rule for another interface in", change: verdict(plan.Drop, plan.Match{In: []string{"lan2"}}), fate: trace.Delivered, ends: "server"},
		{name: "a rule for this interface in", change: verdict(plan.Drop, plan.Match{In: []string{"lan2", "lan"}}), fate: trace.Dropped, ends: "router"},
		{name: "a rule for another interface out", change: verdict(plan.Drop, plan.Match{Out: []string{"lan2"}}), fate: trace.Delivered, ends: "server"},
		{name: "a rule for this interface out", change: verdict(plan.Drop, plan.Match{Out: []string{"wan"}}), fate: trace.Dropped, ends: "router"},
		{name: "a rule for another source", change: verdict(plan.Drop, plan.Match{Source: []netip.Prefix{prefix("10.0.1.0/24")}}), fate: trace.Delivered, ends: "server"},
		{name: "a rule for this source", change: verdict(plan.Drop, plan.Match{Source: []netip.Prefix{prefix("10.0.0.0/24")}}), fate: trace.Dropped, ends: "router"},
		{name: "a rule for another destination", change: verdict(plan.Drop, to("20.1.0.0/16")), fate: trace.Delivered, ends: "server"},
		{name: "a rule for all destinations but this", change: verdict(plan.Drop, plan.Match{NotDest: []netip.Prefix{prefix("20.0.0.0/24")}}), fate: trace.Delivered, ends: "server"},
		{name: "a rule for all destinations but another", change: verdict(plan.Drop, plan.Match{NotDest: []netip.Prefix{prefix("20.1.0.0/16")}}), fate: trace.Dropped, ends: "router"},
		{name: "a rule for another protocol", change: verdict(plan.Drop, plan.Match{Protocol: "udp"}), fate: trace.Delivered, ends: "server"},
		{name: "a rule for the ports below and above", change: verdict(plan.Drop, plan.Match{Protocol: "tcp", Ports: []plan.PortRange{{First: 1, Last: 442}, {First: 444, Last: 65535}}}), fate: trace.Delivered, ends: "server"},
		{name: "a rule for a range that begins with the port", change: verdict(plan.Drop, plan.Match{Protocol: "tcp", Ports: []plan.PortRange{{First: 443, Last: 444}}}), fate: trace.Dropped, ends: "router"},
		{name: "the first rule that matches decides", change: filter(
			plan.FilterRule{Name: "other", Match: to("20.1.0.0/16"), Verdict: plan.Drop},
			plan.FilterRule{Name: "first", Verdict: plan.Accept},
			plan.FilterRule{Name: "late", Verdict: plan.Drop}), fate: trace.Delivered, ends: "server"},
		{name: "an accept in a group only leaves the group", change: filter(
			plan.FilterRule{Name: "out", Group: []plan.FilterRule{{Name: "out-allow", Verdict: plan.Accept}, {Name: "out-deny", Verdict: plan.Drop}}},
			plan.FilterRule{Name: "in", Group: []plan.FilterRule{{Name: "in-deny", Verdict: plan.Drop}}}), fate: trace.Dropped, why: "rule in-deny", ends: "router"},
		{name: "a group that does not match is passed by", change: filter(
			plan.FilterRule{Name: "group", Match: to("20.1.0.0/16"), Group: []plan.FilterRule{{Name: "deny", Verdict: plan.Drop}}}), fate: trace.Delivered, ends: "server"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := trace.Flow{Protocol: "tcp", Destination: addr("20.0.0.2"), Port: 443}
			if c.flow.Destination.IsValid() {
				f.Destination = c.flow.Destination
			}
			if c.flow.Port != 0 {
				f.Port = c.flow.Port
			}
			p := trace.Follow(network(c.change), "client", f)
			require.Equal(t, c.fate, p.Fate, p.Why)
			require.Equal(t, c.ends, p.Hops[len(p.Hops)-1].Host)
			if c.why != "" {
				require.Equal(t, c.why, p.Why)
			}
		})
	}
}

func TestFollowFromAHostThatIsNotThereSaysSo(t *testing.T) {
	p := trace.Follow(network(nil), "nobody", trace.Flow{Protocol: "tcp", Destination: addr("20.0.0.2"), Port: 443})
	require.Equal(t, trace.NoRoute, p.Fate)
	require.Equal(t, `there is no host "nobody"`, p.Why)
	require.Empty(t, p.Hops)
}

// Two routers whose routes lead to each other must not hang a picture.
func TestFollowEndsAPacketThatGoesInACircle(t *testing.T) {
	n := network(func(r *plan.Host) {
		r.Routes = append(r.Routes, plan.Route{Destination: prefix("30.0.0.0/8"), Via: addr("10.0.1.2"), Interface: "lan2"})
	})
	n.Hosts[3].Forward = true // second sends it back
	p := trace.Follow(n, "client", trace.Flow{Protocol: "tcp", Destination: addr("30.0.0.1"), Port: 443})
	require.Equal(t, trace.NoRoute, p.Fate)
	require.Equal(t, "the packet goes in a circle", p.Why)
	require.Equal(t, []string{"client", "router", "second", "router"}, hops(p)[:4])
}

// The incoming interface chooses the table; the main table comes after it, the
// longest prefix wins in each.
func TestFollowTakesTheTableOfTheIncomingInterface(t *testing.T) {
	n := network(func(r *plan.Host) {
		r.Rules = []plan.RouteRule{{Priority: 200, Interface: "lan", Table: 200}, {Priority: 100, Interface: "lan", Table: 100}}
		r.Routes = append(r.Routes,
			plan.Route{Table: 100, Destination: prefix("20.0.0.0/16"), Via: addr("20.0.0.2"), Interface: "wan"},
			plan.Route{Table: 100, Destination: prefix("20.0.0.2/32"), Blackhole: true, Why: "table 100"},
			plan.Route{Table: 200, Destination: everything, Via: addr("20.0.0.2"), Interface: "wan"},
		)
	})
	flow := trace.Flow{Protocol: "tcp", Destination: addr("20.0.0.2"), Port: 443}
	p := trace.Follow(n, "client", flow)
	require.Equal(t, trace.Dropped, p.Fate, "the lower priority comes first, and in it the longer prefix")
	require.Equal(t, "route 20.0.0.2/32 (table 100)", p.Why)
	require.Equal(t, trace.Delivered, trace.Follow(n, "second", flow).Fate, "another interface has no table of its own")
	require.Equal(t, trace.Delivered, trace.Follow(n, "router", flow).Fate, "the router's own packets come in nowhere")
	flow.Destination = addr("20.9.9.9")
	require.Equal(t, trace.Delivered, trace.Follow(n, "client", flow).Fate, "what table 100 has not is looked up in table 200")
	flow.Destination = addr("10.0.1.2")
	n.Hosts[1].Rules = n.Hosts[1].Rules[1:]
	require.Equal(t, trace.Closed, trace.Follow(n, "client", flow).Fate, "and at last in the main table")
}

func TestFollowTranslatesTheSourceByTheFirstRuleThatMatches(t *testing.T) {
	public := addr("198.51.100.1")
	for _, c := range []struct {
		name  string
		rules []plan.NATRule
		want  netip.Addr
	}{
		{"none", nil, addr("10.0.0.2")},
		{"to a public address", []plan.NATRule{{Match: plan.Match{Out: []string{"wan"}}, To: public}}, public},
		{"not on another interface", []plan.NATRule{{Match: plan.Match{Out: []string{"lan2"}}, To: public}}, addr("10.0.0.2")},
		{"kept by an earlier rule", []plan.NATRule{{Match: to("20.0.0.0/8"), Keep: true}, {To: public}}, addr("10.0.0.2")},
		{"the first of two", []plan.NATRule{{To: public}, {To: addr("198.51.100.2")}}, public},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := network(func(r *plan.Host) { r.NAT = c.rules })
			p := trace.Follow(n, "client", trace.Flow{Protocol: "tcp", Destination: addr("20.0.0.2"), Port: 443})
			require.Equal(t, trace.Delivered, p.Fate)
			require.Equal(t, c.want, p.Source)
		})
	}
}

// A host with several addresses answers from the one of the link, a host whose
// link has none from its loopback address.
func TestFollowChoosesTheSourceThatTheHostWould(t *testing.T) {
	n := network(nil)
	n.Hosts[0].Loopback = []netip.Addr{addr("192.0.2.5")}
	flow := trace.Flow{Protocol: "tcp", Destination: addr("20.0.0.2"), Port: 443}
	require.Equal(t, addr("10.0.0.2"), trace.Follow(n, "client", flow).Source)
	flow.Source = addr("192.0.2.5")
	require.Equal(t, addr("192.0.2.5"), trace.Follow(n, "client", flow).Source, "a source that is given stays")
	n.Links[0].Ends[0].Addresses = nil
	flow.Source = netip.Addr{}
	require.Equal(t, addr("192.0.2.5"), trace.Follow(n, "client", flow).Source)
}

func TestFollowHandsTransitConnectionsToTheNameFilter(t *testing.T) {
	filter := func(c middlebox.Config) func(*plan.Host) {
		return func(r *plan.Host) {
			// Packets that the filter's redirection takes do not meet the chain.
			r.Filter = []plan.FilterRule{{Name: "deny", Verdict: plan.Drop}}
			r.Redirect = []plan.RedirectRule{{Name: "names", Port: 8443, Match: plan.Match{In: []string{"lan"}, Protocol: "tcp", Ports: []plan.PortRange{{First: 443, Last: 443}}}}}
			r.Services = []plan.Service{{Name: "names", Listen: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:8443")}, Middlebox: &c}}
		}
	}
	flow := trace.Flow{Protocol: "tcp", Destination: addr("20.0.0.2"), Port: 443, ServerName: "registry.example"}
	for _, c := range []struct {
		name   string
		config middlebox.Config
		from   string
		fate   trace.Fate
	}{
		{"a name that may pass", middlebox.Config{Block: []string{"other.example"}}, "client", trace.Delivered},
		{"a blocked name", middlebox.Config{Block: []string{"*.example"}}, "client", trace.NameRefused},
		{"a name that is not allowed", middlebox.Config{Allow: []string{"other.example"}}, "client", trace.NameRefused},
		{"an inspected name", middlebox.Config{Inspect: true}, "client", trace.Inspected},
		{"an exempt name", middlebox.Config{Inspect: true, Exempt: []string{"registry.example"}}, "client", trace.Delivered},
		{"another interface meets the chain", middlebox.Config{}, "second", trace.Dropped},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := trace.Follow(network(filter(c.config)), c.from, flow)
			require.Equal(t, c.fate, p.Fate, p.Why)
			if c.from == "client" {
				require.Equal(t, "router", p.NameFilter)
			} else {
				require.Empty(t, p.NameFilter)
			}
			if p.Fate == trace.Delivered {
				require.Equal(t, addr("20.0.0.1"), p.Source, "the filter connects for itself")
			}
		})
	}
	t.Run("a connection without a name", func(t *testing.T) {
		f := flow
		f.ServerName = ""
		require.Equal(t, trace.Delivered, trace.Follow(network(filter(middlebox.Config{Block: []string{"*.example"}})), "client", f).Fate)
	})
	t.Run("a datagram is no connection", func(t *testing.T) {
		change := func(r *plan.Host) {
			filter(middlebox.Config{})(r)
			r.Redirect[0].Match.Protocol = "" // a fabric redirects TCP alone
		}
		f := flow
		f.Protocol = "udp"
		require.Equal(t, trace.Dropped, trace.Follow(network(change), "client", f).Fate)
	})
}

// resolving is the network of the other tests with resolvers on the server
// (20.0.0.2, 20.9.9.9) and on second (10.0.1.2).
func resolving(server, second *dns.Config, files map[string]string) *plan.Network {
	n := network(nil)
	n.Hosts[0].Files = files
	serve := func(h *plan.Host, c *dns.Config, at ...string) {
		if c == nil {
			return
		}
		s := plan.Service{Name: "dns", DNS: c}
		for _, a := range at {
			s.Listen = append(s.Listen, netip.AddrPortFrom(addr(a), 53))
		}
		h.Services = append(h.Services, s)
	}
	serve(&n.Hosts[2], server, "20.0.0.2", "20.9.9.9")
	serve(&n.Hosts[3], second, "10.0.1.2")
	return n
}

func TestLookupAnswersAsTheClientsResolverDoes(t *testing.T) {
	const name = "registry.example"
	const asksServer, asksSecond = "# ours\nnameserver 20.0.0.2\n", "nameserver 10.0.1.2\n"
	records := []dns.Record{{Name: name, CNAME: "edge.example"}, {Name: "edge.example", A: addr("20.0.0.9")}, {Name: "other.example", A: addr("20.0.0.8")}}
	public := &dns.Config{Records: records}
	private := func(from string) *dns.Config {
		return &dns.Config{Records: records, OnlyViews: true, Views: []dns.View{{Source: []netip.Prefix{prefix(from)},
			Zones: []dns.Zone{{Name: "edge.example", Records: []dns.Record{{Name: "edge.example", A: addr("10.0.0.9")}}}}}}}
	}
	forwardTo := func(suffix, server string) *dns.Config {
		return &dns.Config{Records: []dns.Record{{Name: name, A: addr("20.0.0.7")}},
			Forward: []dns.Forward{{Suffix: suffix, To: netip.AddrPortFrom(addr(server), 53)}}}
	}
	for _, c := range []struct {
		what           string
		server, second *dns.Config
		resolv, hosts  string
		code           string
		addrs          []string
		through        []string
	}{
		{what: "a chain of aliases", server: public, resolv: asksServer, code: "NOERROR", addrs: []string{"20.0.0.9"}},
		{what: "the hosts file comes first", server: public, resolv: asksServer, hosts: "127.0.0.1 localhost\n10.7.7.7 x Registry.Example # pinned\n", code: "NOERROR", addrs: []string{"10.7.7.7"}},
		{what: "a comment of the hosts file", server: public, resolv: asksServer, hosts: "# 10.7.7.7 registry.example\n", code: "NOERROR", addrs: []string{"20.0.0.9"}},
		{what: "no resolver is set", server: public, resolv: "search example\n"},
		{what: "the resolver is nowhere", server: public, resolv: "nameserver 20.5.0.1\n"},
		{what: "nothing listens there", resolv: asksServer},
		{what: "a view for the asker", server: private("10.0.0.0/24"), resolv: asksServer, code: "NOERROR", addrs: []string{"10.0.0.9"}},
		{what: "no view for the asker", server: private("10.0.5.0/24"), resolv: asksServer},
		{what: "a silent resolver", server: &dns.Config{Behaviour: dns.Silence}, resolv: asksServer},
		{what: "a resolver that fails", server: &dns.Config{Behaviour: dns.ServFail}, resolv: asksServer, code: "SERVFAIL"},
		{what: "a resolver that refuses", server: &dns.Config{Behaviour: dns.Refused}, resolv: asksServer, code: "REFUSED"},
		{what: "nobody has the name", server: &dns.Config{Records: records[2:]}, resolv: asksServer, code: "NXDOMAIN"},
		{what: "a forwarder's answer depends on the forwarder's address", server: private("10.0.1.0/24"), second: forwardTo(".", "20.9.9.9"), resolv: asksSecond,
			code: "NOERROR", addrs: []string{"10.0.0.9"}, through: []string{"20.9.9.9"}},
		{what: "a forwarder for another suffix answers by itself", server: public, second: forwardTo("ample", "20.9.9.9"), resolv: asksSecond, code: "NOERROR", addrs: []string{"20.0.0.7"}},
		{what: "a forwarder for a suffix in capitals with a dot", server: public, second: forwardTo("Example.", "20.9.9.9"), resolv: asksSecond, code: "NOERROR", addrs: []string{"20.0.0.9"}, through: []string{"20.9.9.9"}},
		{what: "a forwarder that asks itself", second: forwardTo(".", "10.0.1.2"), resolv: asksSecond, through: slices.Repeat([]string{"10.0.1.2"}, 8)},
	} {
		t.Run(c.what, func(t *testing.T) {
			n := resolving(c.server, c.second, map[string]string{"/etc/resolv.conf": c.resolv, "/etc/hosts": c.hosts})
			a, err := trace.Lookup(n, "client", "Registry.Example.")
			require.NoError(t, err)
			require.Equal(t, c.code, a.RCode)
			require.Equal(t, name, a.Name)
			require.Equal(t, c.addrs, text(a.Addrs))
			require.Equal(t, c.through, text(a.Through))
		})
	}
}

func text(list []netip.Addr) (out []string) {
	for _, a := range list {
		out = append(out, a.String())
	}
	return out
}

func TestLookupShowsTheChainAndTheWayOfTheQuery(t *testing.T) {
	n := resolving(&dns.Config{Records: []dns.Record{{Name: "a.example", CNAME: "b.example"}, {Name: "b.example", CNAME: "c.example"}, {Name: "c.example", A: addr("20.0.0.9")}}},
		nil, map[string]string{"/etc/resolv.conf": "nameserver 20.9.9.9\n"})
	a, err := trace.Lookup(n, "client", "a.example")
	require.NoError(t, err)
	require.Equal(t, []string{"b.example", "c.example"}, a.Chain)
	require.Equal(t, addr("20.9.9.9"), a.Server)
	require.Equal(t, []string{"client", "router", "server"}, hops(*a.Path))
}

func TestLookupSaysWhatIsWrongWithThePlan(t *testing.T) {
	_, err := trace.Lookup(network(nil), "nobody", "a.example")
	require.ErrorContains(t, err, `there is no host "nobody"`)
	n := resolving(&dns.Config{Records: []dns.Record{{Name: "a.example"}}}, nil, map[string]string{"/etc/resolv.conf": "nameserver 20.0.0.2\n"})
	_, err = trace.Lookup(n, "client", "a.example")
	require.ErrorContains(t, err, "resolving a.example at 20.0.0.2")
}
