// Package acrlab_test holds the repository to the import directions of
// docs/architecture.md.
package acrlab_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/acrlab/acrlab/"

// forbidden: packages under the first prefix must not import, even through
// others, packages under the second.
var forbidden = []struct{ from, to, why string }{
	{"diagnoser", "harness", "a diagnoser that knew the harness would confirm its beliefs"},
	{"diagnoser", "fakes", "a diagnoser that knew the fakes would confirm their beliefs"},
	{"harness", "diagnoser", "a diagnoser is a black box to the harness"},
	{"fakes", "harness", "fakes serve what they are told"},
	{"fakes", "diagnoser", "fakes do not know who looks at them"},
	{"fakes", "diagnosis", "fakes do not know causes"},
	{"diagnosis", "harness", "the contract stands alone"},
	{"diagnosis", "fakes", "the contract stands alone"},
	{"diagnosis", "diagnoser", "the contract stands alone"},
}

// light packages must stay free of heavy dependencies.
var light = []struct{ pkg, dep string }{
	{"diagnosis", "github.com/Azure"},
	{"diagnoser/infer", "github.com/Azure"},
	{"harness/topology", "github.com/vishvananda/netlink"},
	{"harness/plan", "github.com/vishvananda/netlink"},
	{"harness/plan", "github.com/google/go-containerregistry"},
}

func TestPackagesImportOnlyInTheDirectionsOfTheArchitecture(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Deps " "}}`, "./...").Output()
	require.NoError(t, err, "listing packages")
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.Greater(t, len(lines), 20, "the module has more packages than that")
	for _, line := range lines {
		pkg, deps, _ := strings.Cut(line, " ")
		for _, f := range forbidden {
			if !under(pkg, f.from) {
				continue
			}
			for dep := range strings.FieldsSeq(deps) {
				if under(dep, f.to) {
					t.Errorf("%s imports %s: %s", pkg, dep, f.why)
				}
			}
		}
		for _, l := range light {
			if pkg == module+l.pkg && strings.Contains(deps, l.dep) {
				t.Errorf("%s has come to depend on %s", pkg, l.dep)
			}
		}
	}
}

func under(pkg, dir string) bool {
	return strings.HasPrefix(pkg+"/", module+dir+"/")
}
