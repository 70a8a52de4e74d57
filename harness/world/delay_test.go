package world

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/fakes/registry"
	"github.com/acrlab/acrlab/harness/plan"
)

func TestRegistryRulesComeIntoEffectEachAfterItsOwnDelay(t *testing.T) {
	d := ruleDelay{delay: time.Minute}
	began := time.Unix(0, 0)
	open, closed := registry.Access{Default: true}, registry.Access{}
	some := registry.Access{Allow: []netip.Prefix{netip.MustParsePrefix("198.51.100.4/32")}}
	for _, c := range []struct {
		at            time.Duration
		written, want registry.Access
		next          time.Duration // 0: nothing is to come
	}{
		{0, open, open, 0}, // a registry that is new has its rules at once
		{1 * time.Second, closed, open, 61 * time.Second},
		{30 * time.Second, some, open, 61 * time.Second},
		{60 * time.Second, some, open, 61 * time.Second},
		{61 * time.Second, some, closed, 90 * time.Second},
		{89 * time.Second, some, closed, 90 * time.Second},
		{90 * time.Second, some, some, 0},
		{91 * time.Second, open, some, 151 * time.Second},
		{500 * time.Second, open, open, 0}, // nobody looked in between
	} {
		n := &plan.Network{Registries: []registry.Config{{Name: "myregistry", Public: c.written}}}
		next := d.hold(n, began.Add(c.at))
		require.Equal(t, c.want, n.Registries[0].Public, c.at)
		if c.next == 0 {
			require.Zero(t, next, c.at)
		} else {
			require.Equal(t, began.Add(c.next), next, c.at)
		}
	}
	d.forget()
	n := &plan.Network{Registries: []registry.Config{{Name: "myregistry", Public: closed}}}
	require.Zero(t, d.hold(n, began))
	require.Equal(t, closed, n.Registries[0].Public)
}

func TestWithoutADelayRulesAreAtOnce(t *testing.T) {
	var d ruleDelay
	for _, a := range []registry.Access{{Default: true}, {}} {
		n := &plan.Network{Registries: []registry.Config{{Name: "myregistry", Public: a}}}
		require.Zero(t, d.hold(n, time.Now()))
		require.Equal(t, a, n.Registries[0].Public)
	}
}
