package plan_test

import (
	"testing"

	"github.com/acrlab/acrlab/harness/plan"
	"github.com/acrlab/acrlab/harness/state"
	"github.com/acrlab/acrlab/harness/topology"
)

func BenchmarkMake(b *testing.B) {
	top, err := topology.Base("azure-firewall")
	if err != nil {
		b.Fatal(err)
	}
	top = top.WithDefaults()
	s, err := state.Build(top)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := plan.Make(plan.InputOf(s, top)); err != nil {
			b.Fatal(err)
		}
	}
}
