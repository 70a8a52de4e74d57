//go:build linux

package netns

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"github.com/acrlab/acrlab/harness/plan"
)

// An entry that is taken away needlessly is noticed only by a connection whose
// other side speaks next: its packets find no translation and are reset.
func TestAChangeOfTranslationsConcernsOnlyConnectionsThatFit(t *testing.T) {
	prefixes := func(s string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(s)} }
	flow := func(protocol uint8, from, to string, port uint16) *netlink.ConntrackFlow {
		return &netlink.ConntrackFlow{Forward: netlink.IPTuple{Protocol: protocol, SrcIP: net.ParseIP(from), DstIP: net.ParseIP(to), DstPort: port}}
	}
	all := plan.NATRule{Match: plan.Match{Out: []string{"eth1"}}, To: netip.MustParseAddr("20.0.0.1")}
	for _, c := range []struct {
		name          string
		match         plan.Match
		concerned, no *netlink.ConntrackFlow
	}{
		{"destination", plan.Match{Destination: prefixes("20.9.0.0/16")}, flow(6, "10.0.0.2", "20.9.9.9", 443), flow(6, "10.0.0.2", "20.8.9.9", 443)},
		{"not destination", plan.Match{NotDest: prefixes("20.9.0.0/16")}, flow(6, "10.0.0.2", "20.8.9.9", 443), flow(6, "10.0.0.2", "20.9.9.9", 443)},
		{"source", plan.Match{Source: prefixes("10.0.0.0/24")}, flow(6, "10.0.0.2", "20.9.9.9", 443), flow(6, "10.0.1.2", "20.9.9.9", 443)},
		{"protocol", plan.Match{Protocol: "tcp"}, flow(6, "10.0.0.2", "20.9.9.9", 53), flow(17, "10.0.0.2", "20.9.9.9", 53)},
		{"ports", plan.Match{Ports: []plan.PortRange{{First: 400, Last: 500}}}, flow(6, "10.0.0.2", "20.9.9.9", 500), flow(6, "10.0.0.2", "20.9.9.9", 501)},
		{"ports of protocols that have none", plan.Match{Ports: []plan.PortRange{{First: 0, Last: 500}}}, flow(17, "10.0.0.2", "20.9.9.9", 53), flow(1, "10.0.0.2", "20.9.9.9", 0)},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := &plan.Host{NAT: []plan.NATRule{all}}
			after := &plan.Host{NAT: []plan.NATRule{{Match: c.match, Keep: true}, all}}
			redirected := &plan.Host{NAT: before.NAT, Redirect: []plan.RedirectRule{{Name: "r", Match: c.match, Port: 8443}}}
			for _, change := range []concernedBy{{before, after}, {after, before}, {before, redirected}} {
				require.True(t, change.MatchConntrackFlow(c.concerned))
				require.False(t, change.MatchConntrackFlow(c.no))
			}
			require.False(t, concernedBy{after, after}.MatchConntrackFlow(c.concerned))
		})
	}
}
