package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
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
of its hosts with your terminal, and takes everything down when it ends.

Options of acrlab come before "--", all behind it is the program and its own:
without "--" an option of the program would be taken for one of acrlab.

It exits with the program's exit code (126 when it cannot be executed, 127 when
it is not found, 128 and the number of the signal that killed it); 2 on wrong
usage, 3 when the network could not be built or acrlab was interrupted.`,
		Example: `  acrlab exec sni-blocked -- curl -v https://myregistry.azurecr.io/v2/
  acrlab exec dns-zone-not-linked -- dig myregistry.azurecr.io
  acrlab exec firewall-drops-rest --pcap /tmp/drop.pcap -- acrlab pull myregistry.azurecr.io/hello-world:latest
  acrlab exec daemon-ignores-proxy --as-daemon -- env
  acrlab exec nsg-outbound-deny --azure-access -- az acr show --name myregistry
  acrlab exec proxy-auth-407 -- sh            look around`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usage(errors.New("want a scenario and a command: acrlab exec SCENARIO -- COMMAND…"))
			}
			return nil
		},
		ValidArgsFunction: complete,
		RunE:              func(cmd *cobra.Command, args []string) error { return runExec(cmd, args[0], args[1:], f) },
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return usage(fmt.Errorf("%w; options of the program go behind --: acrlab exec SCENARIO -- COMMAND…", err))
	})
	fl := cmd.Flags()
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
	var pcap *os.File
	if f.pcap != "" {
		if pcap, err = os.Create(f.pcap); err != nil {
			return usage(fmt.Errorf("--pcap: %w", err))
		}
	}
	ctx := cmd.Context()
	w, err := world.Open(ctx, namespaces(), topologyOf(s, f.healthy))
	if err != nil {
		return harness(err)
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if pcap != nil {
		stop, err := capture(cmd, w, f.host, pcap)
		if err != nil {
			return harness(err)
		}
		defer stop()
	}
	c := &fabric.Command{Args: program, Daemon: f.daemon, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Terminal: term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd()))}
	c.Env = map[string]string{}
	if f.azure {
		maps.Copy(c.Env, w.AzureCredentials())
	}
	// acrlab itself is found on the host, wherever it is installed.
	if path := os.Getenv("PATH"); path != "" {
		own, err := self()
		if err != nil {
			return err
		}
		c.Env["PATH"] = path + string(os.PathListSeparator) + filepath.Dir(own)
	}
	err = w.Run(ctx, f.host, c)
	switch {
	case ctx.Err() != nil:
		return harness(errors.New("interrupted"))
	case err != nil && (c.ExitCode == exitNotExecutable || c.ExitCode == exitNotFound):
		return &exitError{c.ExitCode, err}
	case err != nil:
		return harness(err)
	case c.ExitCode != 0:
		return &exitError{code: c.ExitCode}
	}
	return nil
}

// What shells exit with when they cannot start a program.
const (
	exitNotExecutable = 126
	exitNotFound      = 127
)

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

// capture keeps what a host sees in file, which stop closes.
func capture(cmd *cobra.Command, w *world.World, host string, file *os.File) (stop func(), err error) {
	end, err := w.Capture(cmd.Context(), host, file)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("capturing on %s: %w", host, err), file.Close())
	}
	return func() {
		if err := errors.Join(end(), file.Close()); err != nil {
			complain(fmt.Errorf("writing %s: %w", file.Name(), err))
		}
	}, nil
}
