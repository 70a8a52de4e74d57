package main

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/acrlab/acrlab/harness/fabric"
	"github.com/acrlab/acrlab/harness/plan"
	"github.com/acrlab/acrlab/harness/topology"
	"github.com/acrlab/acrlab/harness/world"
)

type execFlags struct {
	host, pcap             string
	healthy, azure, daemon bool
}

func newExec() *cobra.Command {
	var f execFlags
	cmd := &cobra.Command{
		Use:   "exec SCENARIO [--host HOST] -- COMMAND…",
		Short: "Bring a scenario's broken network up, run any program in it, take it down",
		Long: `exec builds the network of a scenario with its fault in it, runs a program on one
of its hosts with your terminal, and takes everything down when it ends. It exits
with the program's exit code; 2 on wrong usage, 3 when the network could not be
built.`,
		Example: `  acrlab exec sni-blocked -- curl -v https://myregistry.azurecr.io/v2/
  acrlab exec dns-zone-not-linked -- dig myregistry.azurecr.io
  acrlab exec firewall-drops-rest --pcap /tmp/drop.pcap -- acrlab pull myregistry.azurecr.io/hello-world:latest
  acrlab exec proxy-auth-407 -- sh            look around`,
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: complete,
		RunE:              func(cmd *cobra.Command, args []string) error { return runExec(cmd, args[0], args[1:], f) },
	}
	fl := cmd.Flags()
	fl.SetInterspersed(true)
	fl.StringVar(&f.host, "host", "client", "host to run on; acrlab show lists them")
	fl.StringVar(&f.pcap, "pcap", "", "keep what the host saw in this file")
	fl.BoolVar(&f.healthy, "healthy", false, "the network before the fault")
	fl.BoolVar(&f.azure, "azure-access", false, "put credentials for the simulated Azure into the environment")
	fl.BoolVar(&f.daemon, "as-daemon", false, "with the container engine's environment instead of the shell's")
	return cmd
}

func runExec(cmd *cobra.Command, name string, program []string, f execFlags) (err error) {
	s, err := catalogueOf(cmd).find(name)
	if err != nil {
		return usage(err)
	}
	if err := hasHost(s, f); err != nil {
		return usage(err)
	}
	if err := enter(); err != nil {
		return err
	}
	ctx := cmd.Context()
	w, err := world.Open(ctx, namespaces(), topologyOf(s, f.healthy))
	if err != nil {
		return harness(err)
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if f.pcap != "" {
		stop, err := capture(cmd, w, f)
		if err != nil {
			return harness(err)
		}
		defer stop()
	}
	c := &fabric.Command{Args: program, Daemon: f.daemon, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Terminal: term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd()))}
	if f.azure {
		c.Env = w.AzureCredentials()
	}
	if err := w.Run(ctx, f.host, c); err != nil {
		return harness(fmt.Errorf("running %s on %s: %w", program[0], f.host, err))
	}
	if c.ExitCode != 0 {
		return &exitError{code: c.ExitCode}
	}
	return nil
}

func topologyOf(s *topology.Scenario, healthy bool) topology.Topology {
	if healthy {
		return s.Healthy
	}
	return s.Broken
}

// hasHost looks before anything is built whether the host exists.
func hasHost(s *topology.Scenario, f execFlags) error {
	n, err := plan.FromTopology(topologyOf(s, f.healthy))
	if err != nil {
		return err
	}
	var names []string
	for _, h := range n.Hosts {
		names = append(names, h.Name)
	}
	if !slices.Contains(names, f.host) {
		return fmt.Errorf("--host %q: scenario %s has the hosts %v", f.host, s.ID, names)
	}
	return nil
}

func capture(cmd *cobra.Command, w *world.World, f execFlags) (stop func(), err error) {
	file, err := os.Create(f.pcap)
	if err != nil {
		return nil, fmt.Errorf("--pcap: %w", err)
	}
	end, err := w.Capture(cmd.Context(), f.host, file)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("capturing on %s: %w", f.host, err), file.Close())
	}
	return func() {
		if err := errors.Join(end(), file.Close()); err != nil {
			fmt.Fprintf(os.Stderr, "acrlab: writing %s: %v\n", f.pcap, err)
		}
	}, nil
}
