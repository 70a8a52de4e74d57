//go:build linux

package netns_test

import (
	"os"
	"testing"

	"github.com/acrlab/acrlab/harness/fabric/netns"
)

func TestMain(m *testing.M) { os.Exit(netns.RunTests(m)) }
