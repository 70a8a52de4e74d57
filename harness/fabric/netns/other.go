//go:build !linux

package netns

import (
	"context"
	"runtime"

	"github.com/acrlab/acrlab/harness/fabric"
	"github.com/acrlab/acrlab/harness/plan"
)

// Main does nothing here: there are no namespaces to work in.
func Main() {}

// Inside is false here.
func Inside() bool { return false }

// Enter says that the fabric needs Linux.
func Enter() error { return Check() }

// Check says that the fabric needs Linux.
func Check() error {
	return &Unavailable{Forbidden: runtime.GOOS + " has no Linux namespaces; use the sim fabric, or run in a Linux machine or container"}
}

func enterError() error { return Check() }

// Up implements fabric.Driver.
func (d *Driver) Up(context.Context, *plan.Network) (fabric.World, error) { return nil, Check() }
