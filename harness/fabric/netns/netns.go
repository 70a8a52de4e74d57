// Package netns is the fabric of Linux namespaces: every host is a network
// namespace of its own with real kernel TCP/IP, joined to others by veth pairs,
// routed by policy routing and filtered by nftables, all set by netlink.
//
// It needs neither root nor any program of the machine. A process that wants
// the fabric calls [Main] first thing and [Enter] before it uses a [Driver];
// Enter starts the same program again inside new user, mount, PID and network
// namespaces. All that the fabric makes lives in there without a name, so the
// kernel removes it when the process ends, whatever ended it.
//
// The package knows plans, not what a plan was made from, and services only by
// the [Starter] that it is given. It must not know Azure, scenarios or verdicts.
package netns

import (
	"context"
	"errors"
	"strings"

	"github.com/acrlab/acrlab/fakes/netio"
	"github.com/acrlab/acrlab/harness/fabric"
	"github.com/acrlab/acrlab/harness/plan"
	"github.com/acrlab/acrlab/harness/service"
	"github.com/acrlab/acrlab/internal/need"
)

// Driver builds worlds of namespaces. A Driver serves one world at a time per
// Starter state: services of several worlds share what their Starter shares.
// The zero value builds networks whose services are left out.
type Driver struct {
	// Services starts what plan.Host.Services lists. Nil: services are not
	// started, for networks of plain hosts.
	Services Starter
	// Authorities are what hosts trust. Nil: hosts trust nobody.
	Authorities Authorities
}

var _ fabric.Driver = (*Driver)(nil)

// Starter starts the servers of a plan.
type Starter interface {
	// Start runs s on a host whose network is n. When it returns, the service
	// listens.
	Start(ctx context.Context, n netio.Net, host plan.Host, s plan.Service) (service.Running, error)
}

// Preparer is what a Starter implements in addition if services share state
// that comes from the plan (registry contents, Azure's resources). Prepare is
// called with the whole plan before the services of an Up or a Reconcile are
// started or updated.
type Preparer interface {
	Prepare(ctx context.Context, n *plan.Network) error
}

// Authorities are the certificate authorities of the simulated internet, each
// as a PEM bundle.
type Authorities interface {
	AzurePEM() []byte
	CorpPEM() []byte
}

// Unavailable says why this machine, or this user, cannot have the fabric.
type Unavailable struct {
	// Forbidden is what the kernel or its configuration refuses, in words.
	Forbidden string
	// Allow is the command that allows it; empty if there is none.
	Allow string
	// Err is what the kernel answered.
	Err error
}

// Error implements error.
func (e *Unavailable) Error() string {
	var b strings.Builder
	b.WriteString("network namespaces are not available: ")
	b.WriteString(e.Forbidden)
	if e.Err != nil {
		b.WriteString(" (" + e.Err.Error() + ")")
	}
	if e.Allow != "" {
		b.WriteString("; to allow it: " + e.Allow)
	}
	return b.String()
}

// Unwrap gives the kernel's answer.
func (e *Unavailable) Unwrap() error { return e.Err }

// ErrOutside is returned by a Driver in a process that has not entered.
var ErrOutside = errors.New("this process is not inside the fabric: netns.Enter must be called before a world is built")

// Require skips a test that needs the fabric where it is not available, with
// the reason and the command that helps. Where ACRLAB_REQUIRE lists "netns" it
// fails the test instead, so that a green run never means a skipped one.
func Require(t need.T) {
	t.Helper()
	err := enterError()
	if err == nil && !Inside() {
		err = ErrOutside
	}
	if err != nil {
		need.Component(t, "netns", err.Error())
	}
}

// RunTests is what TestMain of a package calls whose tests use the fabric:
//
//	func TestMain(m *testing.M) { os.Exit(netns.RunTests(m)) }
//
// Where the fabric is not available the tests run all the same, and those that
// call [Require] skip.
func RunTests(m interface{ Run() int }) int {
	Main()
	_ = Enter() // kept for Require
	return m.Run()
}
