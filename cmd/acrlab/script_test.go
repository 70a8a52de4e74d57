//go:build linux

package main

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/acrlab/acrlab/harness/fabric/netns"
	"github.com/acrlab/acrlab/internal/need"
)

var update = flag.Bool("update", false, "rewrite the golden files within the scripts")

// TestMain makes the test binary the acrlab command of the scripts: testscript
// puts a copy of it into PATH under that name. The command starts
// /proc/self/exe again, with the same arguments or as the shim of a host, and
// netns.Main must see those processes before testscript looks at argv[0].
func TestMain(m *testing.M) {
	netns.Main()
	testscript.Main(m, map[string]func(){"acrlab": main})
}

// Every command does what its help says, on the command line.
func TestCommandLine(t *testing.T) {
	testscript.Run(t, params("testdata/script"))
}

// The same for what builds networks.
func TestCommandLineWithNetworks(t *testing.T) {
	if err := netns.Check(); err != nil {
		need.Component(t, "netns", err.Error())
	}
	testscript.Run(t, params("testdata/network"))
}

func params(dir string) testscript.Params {
	return testscript.Params{
		Dir: dir, Setup: setup, UpdateScripts: *update, RequireExplicitExec: true, RequireUniqueNames: true,
		Condition: func(name string) (bool, error) {
			if name == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": code, "complains": complains, "interrupt": interrupt, "terminal": terminal,
			"json": isJSON, "junit": isJUnit, "pcap": isPCAP, "fill": fill,
		},
	}
}
