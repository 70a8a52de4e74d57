package scenarios_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/fakes/registry/conformance"
	"github.com/acrlab/acrlab/harness/fabric"
	"github.com/acrlab/acrlab/harness/fabric/netns"
	"github.com/acrlab/acrlab/harness/run"
	"github.com/acrlab/acrlab/harness/service"
	"github.com/acrlab/acrlab/harness/subject"
	"github.com/acrlab/acrlab/harness/topology"
	"github.com/acrlab/acrlab/harness/verdict"
	"github.com/acrlab/acrlab/internal/need"
	"github.com/acrlab/acrlab/internal/program"
)

// acrlab is the path of the program under test.
var acrlab string

func TestMain(m *testing.M) {
	netns.Main()
	if !netns.Inside() && strings.Contains(os.Getenv(need.Variable), "conformance") {
		// Out here is where the module proxy can be reached from. An error shows
		// in the test that needs the suite.
		_, _ = conformance.Build(context.Background())
	}
	os.Exit(netns.RunTests(withProgram{m}))
}

type withProgram struct{ m *testing.M }

func (w withProgram) Run() int {
	return program.Main(func(path string) int {
		acrlab = path
		return w.m.Run()
	})
}

func namespaces(set *service.Set) fabric.Driver {
	return &netns.Driver{Services: set, Authorities: set}
}

func options() run.Options {
	return run.Options{
		Fabric:    namespaces,
		Diagnoser: subject.Diagnoser{Name: "acrlab", Command: []string{acrlab, "diagnose", "--format", "json"}},
		Puller:    []string{acrlab, "pull"},
	}
}

// needsNamespaces skips, or fails where ACRLAB_REQUIRE forbids skipping.
func needsNamespaces(t testing.TB) {
	t.Helper()
	netns.Require(t)
}

func catalogue(t testing.TB) []*topology.Scenario {
	t.Helper()
	list, err := topology.LoadAll(".")
	require.NoError(t, err)
	require.NotEmpty(t, list)
	return list
}

// Every scenario of the catalogue is healthy before its fault, really broken by
// it, rightly diagnosed with and without Azure access, and healed by the remedy.
func TestEveryScenarioIsDiagnosedRightly(t *testing.T) {
	needsNamespaces(t)
	for _, s := range catalogue(t) {
		t.Run(s.ID, func(t *testing.T) {
			t.Parallel()
			for _, r := range run.Scenario(t.Context(), s, options()) {
				if r.Outcome() != string(verdict.Right) {
					t.Errorf("%s: %s: %s", r.Mode, r.Outcome(), r.Reason())
				}
			}
		})
	}
}
