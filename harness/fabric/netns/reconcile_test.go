//go:build linux

package netns_test

import (
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/harness/fabric/netns"
	"github.com/acrlab/acrlab/harness/plan"
)

func TestReconcileAppliesARuleToAnOpenConnection(t *testing.T) {
	n := routed()
	deny := plan.FilterRule{Name: "deny", Match: plan.Match{Destination: []netip.Prefix{prefix("20.0.0.2/32")}}, Verdict: plan.Drop}
	hostOf(n, "router").NAT = []plan.NATRule{{Match: plan.Match{Out: []string{"eth1"}}, To: addr("20.0.0.1")}}
	w := up(t, n)
	denied, _, err := dial(t, w, "client", "20.0.0.2:443")
	require.NoError(t, err)
	allowed, greeting, err := dial(t, w, "client", "20.9.9.9:443")
	require.NoError(t, err)
	require.Equal(t, "hello 20.0.0.1", greeting)
	require.NoError(t, denied.echo(t, time.Second))

	hostOf(n, "router").Filter = []plan.FilterRule{deny}
	require.NoError(t, w.Reconcile(t.Context(), n))
	require.Error(t, denied.echo(t, 300*time.Millisecond), "an open connection is judged anew")
	require.NoError(t, allowed.echo(t, time.Second), "what is still allowed keeps its connection and translation")
	hits, err := w.Counter(t.Context(), "router", "deny")
	require.NoError(t, err)
	require.NotZero(t, hits)

	hostOf(n, "router").Filter = []plan.FilterRule{{Name: "first", Match: plan.Match{Protocol: "udp"}, Verdict: plan.Drop}, deny}
	require.NoError(t, w.Reconcile(t.Context(), n))
	more, err := w.Counter(t.Context(), "router", "deny")
	require.NoError(t, err)
	require.GreaterOrEqual(t, more, hits, "counters go on over a change")

	hostOf(n, "router").Filter = nil
	require.NoError(t, w.Reconcile(t.Context(), n))
	again, _, err := dial(t, w, "client", "20.0.0.2:443")
	require.NoError(t, err)
	require.NoError(t, again.echo(t, time.Second))
	require.NoError(t, allowed.echo(t, time.Second))
}

func TestReconcileAppliesATranslationToNewConnections(t *testing.T) {
	n := routed()
	w := up(t, n)
	hostOf(n, "router").NAT = []plan.NATRule{{To: addr("20.0.0.1")}}
	require.NoError(t, w.Reconcile(t.Context(), n))
	_, greeting, err := dial(t, w, "client", "20.0.0.2:443")
	require.NoError(t, err)
	require.Equal(t, "hello 20.0.0.1", greeting)
}

// As in Azure, where a service endpoint moves the traffic of its service and
// no other.
func TestReconcileKeepsConnectionsThatATranslationDoesNotConcern(t *testing.T) {
	n := routed()
	out := []string{"eth1"}
	all := plan.NATRule{Match: plan.Match{Out: out}, To: addr("20.0.0.1")}
	hostOf(n, "router").NAT = []plan.NATRule{all}
	w := up(t, n)
	other, greeting, err := dial(t, w, "client", "20.0.0.2:443")
	require.NoError(t, err)
	require.Equal(t, "hello 20.0.0.1", greeting)
	moved, _, err := dial(t, w, "client", "20.9.9.9:443")
	require.NoError(t, err)

	hostOf(n, "router").NAT = []plan.NATRule{
		{Match: plan.Match{Out: out, Protocol: "tcp", Ports: []plan.PortRange{{First: 400, Last: 500}}, Destination: []netip.Prefix{prefix("20.9.0.0/16")}}, Keep: true}, all}
	hostOf(n, "server").Routes = []plan.Route{{Destination: prefix("0.0.0.0/0"), Via: addr("20.0.0.1"), Interface: "eth0"}}
	require.NoError(t, w.Reconcile(t.Context(), n))
	require.NoError(t, other.echo(t, time.Second))
	require.Error(t, moved.echo(t, 300*time.Millisecond), "its translation is no longer that of the rules")
	_, greeting, err = dial(t, w, "client", "20.9.9.9:443")
	require.NoError(t, err)
	require.Equal(t, "hello 10.0.0.2", greeting)
}

func TestReconcileAddsAndRemovesHostsLinksRoutesAndRules(t *testing.T) {
	before := routed()
	w := up(t, before)
	n := routed()
	n.Hosts = append(n.Hosts, plan.Host{
		Name: "second", Routes: []plan.Route{{Destination: prefix("0.0.0.0/0"), Via: addr("30.0.0.1"), Interface: "eth0"}},
		Services: []plan.Service{greeter("greeter", "second", "30.0.0.2:443")},
	})
	n.Links = append(n.Links, link("router", "eth2", "30.0.0.1/24", "second", "eth0", "30.0.0.2/24"))
	router := hostOf(n, "router")
	router.Rules = []plan.RouteRule{{Priority: 10, Interface: "eth0", Table: 7}}
	router.Routes = append(router.Routes, plan.Route{Table: 7, Destination: prefix("20.9.9.9/32"), Blackhole: true})
	require.NoError(t, w.Reconcile(t.Context(), n))
	_, greeting, err := dial(t, w, "client", "30.0.0.2:443")
	require.NoError(t, err)
	require.Equal(t, "second 10.0.0.2", greeting)
	_, _, err = dial(t, w, "client", "20.9.9.9:443")
	require.Error(t, err, "table 7 has a blackhole")

	require.NoError(t, w.Reconcile(t.Context(), before))
	_, _, err = dial(t, w, "client", "20.9.9.9:443")
	require.NoError(t, err)
	_, _, err = dial(t, w, "client", "30.0.0.2:443")
	require.ErrorIs(t, err, syscall.ENETUNREACH)
	_, _, err = dial(t, w, "second", "10.0.0.2:443")
	require.ErrorContains(t, err, `no host "second"`)
	routes, _, _ := run(t, w, "router", "ls /sys/class/net")
	require.NotContains(t, routes, "eth2")
}

func TestReconcileKeepsConnectionsWhoseAddressesAreChangedElsewhere(t *testing.T) {
	n := routed()
	w := up(t, n)
	open, _, err := dial(t, w, "client", "20.0.0.2:443")
	require.NoError(t, err)
	n = routed()
	hostOf(n, "server").Loopback = append(hostOf(n, "server").Loopback, addr("20.9.9.10"))
	router := hostOf(n, "router")
	router.Routes = append(router.Routes, plan.Route{Destination: prefix("20.9.9.10/32"), Via: addr("20.0.0.2")})
	n.Links[0].Ends[1].Addresses = append(n.Links[0].Ends[1].Addresses, prefix("10.0.0.9/24"))
	require.NoError(t, w.Reconcile(t.Context(), n))
	require.NoError(t, open.echo(t, time.Second))
	_, _, err = dial(t, w, "client", "20.9.9.10:443")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)

	// The client's own address changes: routes that the kernel drops come back.
	n.Links[0].Ends[0].Addresses = []netip.Prefix{prefix("10.0.0.77/24")}
	require.NoError(t, w.Reconcile(t.Context(), n))
	_, greeting, err := dial(t, w, "client", "20.0.0.2:443")
	require.NoError(t, err)
	require.Equal(t, "hello 10.0.0.77", greeting)
}

func TestReconcileTouchesOnlyServicesThatChanged(t *testing.T) {
	netns.Require(t)
	g := &greeters{}
	d := &netns.Driver{Services: g}
	n := routed()
	server := hostOf(n, "server")
	server.Services = append(server.Services, greeter("other", "other", "20.0.0.2:8443"))
	w, err := d.Up(t.Context(), n)
	require.NoError(t, err)
	require.Equal(t, greeters{started: 2}, *g)
	open, _, err := dial(t, w, "client", "20.0.0.2:443")
	require.NoError(t, err)

	require.NoError(t, w.Reconcile(t.Context(), n))
	require.Equal(t, greeters{started: 2}, *g, "nothing changed")

	server.Services = []plan.Service{greeter("greeter", "changed", "20.0.0.2:443", "20.9.9.9:443"), server.Services[1]}
	require.NoError(t, w.Reconcile(t.Context(), n))
	require.Equal(t, greeters{started: 2, updated: 1}, *g)
	_, greeting, err := dial(t, w, "client", "20.0.0.2:443")
	require.NoError(t, err)
	require.Equal(t, "changed 10.0.0.2", greeting)

	server.Services = append(server.Services[:1:1], greeter("third", "third", "20.0.0.2:9443"))
	require.NoError(t, w.Reconcile(t.Context(), n))
	require.Equal(t, 3, g.started)
	require.Equal(t, 1, g.closed)
	require.NoError(t, open.echo(t, time.Second))

	server.Services = []plan.Service{server.Services[0], greeter("third", "third", "20.0.0.2:9444")}
	require.NoError(t, w.Reconcile(t.Context(), n))
	require.Equal(t, 4, g.started, "other listeners need a new service")
	_, greeting, err = dial(t, w, "client", "20.0.0.2:9444")
	require.NoError(t, err)
	require.Equal(t, "third 10.0.0.2", greeting)
	require.NoError(t, w.Close())
	require.Equal(t, g.started, g.closed)
}

func TestReconcileAfterAnErrorGoesOn(t *testing.T) {
	n := routed()
	w := up(t, n)
	bad := routed()
	hostOf(bad, "client").Routes[0] = plan.Route{Destination: prefix("0.0.0.0/0"), Via: addr("99.0.0.1")}
	err := w.Reconcile(t.Context(), bad)
	require.ErrorContains(t, err, `changing the network: host "client": routes`)
	bad = routed()
	hostOf(bad, "server").Services = append(hostOf(bad, "server").Services, greeter("x", "x", "99.9.9.9:1"))
	err = w.Reconcile(t.Context(), bad)
	require.ErrorContains(t, err, `host "server": starting service "x"`)
	require.NoError(t, w.Reconcile(t.Context(), n))
	_, _, err = dial(t, w, "client", "20.0.0.2:443")
	require.NoError(t, err)
}

func TestManyRulesAndPrefixesFitAnUnprivilegedSocket(t *testing.T) {
	n := routed()
	var prefixes []netip.Prefix
	for i := range 4000 { // a service tag such as AzureCloud
		prefixes = append(prefixes, netip.PrefixFrom(netip.AddrFrom4([4]byte{50, byte(i >> 6), byte(i << 2), 0}), 24))
	}
	var rules []plan.FilterRule
	for i := range 400 {
		rules = append(rules, plan.FilterRule{Name: "rule" + strings.Repeat("x", i), Verdict: plan.Drop,
			Match: plan.Match{Source: []netip.Prefix{prefix("50.0.0.0/8")}}})
	}
	rules = append(rules, plan.FilterRule{Name: "tag", Verdict: plan.Drop, Match: plan.Match{Destination: prefixes}})
	hostOf(n, "router").Filter = append(rules, plan.FilterRule{Name: "last", Verdict: plan.Reject})
	w := up(t, n)
	_, _, err := dial(t, w, "client", "20.0.0.2:443")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	hits, err := w.Counter(t.Context(), "router", "last")
	require.NoError(t, err)
	require.NotZero(t, hits)
	require.NoError(t, w.Reconcile(t.Context(), routed()))
	_, _, err = dial(t, w, "client", "20.0.0.2:443")
	require.NoError(t, err)
}
