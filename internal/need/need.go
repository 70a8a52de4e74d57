// Package need lets tests skip what a machine cannot do, loudly, and lets CI
// forbid it: a green run must never mean a skipped one.
package need

import (
	"os"
	"slices"
	"strings"
)

// Variable names the environment variable that lists, separated by commas, the
// components that must be there: netns, conformance, docker, containerd, skopeo,
// az.
const Variable = "ACRLAB_REQUIRE"

// T is the part of testing.T that is needed, so that packages outside tests can
// offer checks of their own.
type T interface {
	Helper()
	Skip(args ...any)
	Fatal(args ...any)
}

// Component skips the test if missing is not empty; it says why the component
// is missing and which command helps. Where [Variable] names the component the
// test fails instead.
func Component(t T, name, missing string) {
	t.Helper()
	switch {
	case missing == "":
	case slices.Contains(strings.Split(os.Getenv(Variable), ","), name):
		t.Fatal(Variable+" names "+name+", but:", missing)
	default:
		t.Skip(missing)
	}
}
