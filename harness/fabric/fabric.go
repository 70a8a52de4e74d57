// Package fabric is what every builder of networks offers: it makes a plan
// real, changes it while it runs, and runs programs on its hosts.
//
// Drivers are sub-packages. A driver knows plans and services, not what a plan
// was made from.
package fabric

import (
	"context"
	"io"
	"net"

	"github.com/acrlab/acrlab/harness/plan"
)

// Driver builds worlds.
type Driver interface {
	// Up builds the network and starts its services; when it returns they answer.
	Up(ctx context.Context, n *plan.Network) (World, error)
}

// World is a running network.
type World interface {
	// Reconcile changes the running network in place until it equals n. What
	// did not change keeps its connections.
	Reconcile(ctx context.Context, n *plan.Network) error
	// Run executes a program on a host and waits for it. The program and all
	// its descendants are gone when Run returns, and when the harness dies.
	// A non-zero exit is not an error: see Command.ExitCode.
	Run(ctx context.Context, host string, cmd *Command) error
	// Dial connects from a host; addr is IP:port. For observations of the harness.
	Dial(ctx context.Context, host, network, addr string) (net.Conn, error)
	// Counter is how many packets hit the named filter or redirect rule of a host.
	Counter(ctx context.Context, host, rule string) (uint64, error)
	// Capture writes what all interfaces of a host see to w as pcap until stop is called.
	Capture(ctx context.Context, host string, w io.Writer) (stop func() error, err error)
	// Trust is the PEM bundle that the host's clients trust.
	Trust(host string) []byte
	// Close takes the network down.
	Close() error
}

// Checker is what a World implements in addition if it can tell beforehand that
// it could not become a network.
type Checker interface {
	// Check says why Reconcile would refuse n. It changes nothing.
	Check(n *plan.Network) error
}

// Command is a program to run on a host.
type Command struct {
	// Args is the program, looked up in PATH of the host's file system, and its arguments.
	Args []string
	// Needs are further paths without which the program cannot run, such as its
	// interpreter's. Programs are not hidden for being in a home directory.
	Needs []string
	// Env is added to the host's environment.
	Env map[string]string
	// Daemon replaces the host's shell environment by its container engine's.
	Daemon bool
	Dir    string
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	// Terminal hands the caller's own terminal through instead of Stdin, Stdout and Stderr.
	Terminal bool
	// ExitCode is set by Run: 128+n when signal n ended it.
	ExitCode int
}
