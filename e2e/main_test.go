//go:build linux

// Package e2e_test holds acrlab to its promises as a program, started the way
// users start it: from outside the namespaces that it makes. The tests of other
// packages run inside.
package e2e_test

import (
	"os"
	"testing"

	"github.com/acrlab/acrlab/harness/fabric/netns"
	"github.com/acrlab/acrlab/internal/need"
	"github.com/acrlab/acrlab/internal/program"
)

// acrlab is the path of the program under test.
var acrlab string

func TestMain(m *testing.M) {
	netns.Main() // for netns.Check, which starts this program again
	if len(os.Args) > 1 && os.Args[1] == reachArgument {
		os.Exit(reach(os.Args[2:]))
	}
	os.Exit(program.Main(func(path string) int {
		acrlab = path
		return m.Run()
	}))
}

// needsNamespaces skips where acrlab cannot build networks.
func needsNamespaces(t *testing.T) {
	t.Helper()
	missing := ""
	if err := netns.Check(); err != nil {
		missing = err.Error()
	}
	need.Component(t, "netns", missing)
}
