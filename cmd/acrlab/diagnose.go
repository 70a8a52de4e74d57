package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/acrlab/acrlab/diagnoser"
	"github.com/acrlab/acrlab/diagnoser/host"
	"github.com/acrlab/acrlab/diagnosis"
	"github.com/acrlab/acrlab/harness/verdict"
)

// exitDiagnoseUsage is what diagnose exits with on wrong usage: 0 healthy, 1 a
// cause found and 2 undecided are taken.
const exitDiagnoseUsage = 3

type diagnoseFlags struct {
	format, netns, subscription string
	pid                         int
	withoutAzure, push          bool
	timeout                     time.Duration
}

func newDiagnose() *cobra.Command {
	var f diagnoseFlags
	cmd := &cobra.Command{
		Use:   "diagnose REGISTRY[/REPOSITORY[:TAG]]",
		Short: "Find out why a registry cannot be reached from here",
		Long: `diagnose probes a registry from where it runs and says what keeps images from
being pulled, with the evidence, what was excluded and the commands that mend it.
It needs no root, no Docker and no credentials; with credentials for Azure (from
the environment, a workload or managed identity, or az login) it also reads the
configuration and can tell causes apart that look alike from the network.

It exits 0 when the registry is healthy from here, 1 when a cause was found,
2 when it could not be decided, 3 on wrong usage.`,
		Example: `  acrlab diagnose myregistry.azurecr.io
  acrlab diagnose myregistry.azurecr.io/app:1.2 --format json | jq '.findings[].cause'
  sudo acrlab diagnose myregistry.azurecr.io --pid $(pidof -s containerd)   where the engine is
  sudo acrlab diagnose myregistry.azurecr.io --netns /run/netns/node`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := oneArg(cmd, args, "a registry"); err != nil {
				return &exitError{exitDiagnoseUsage, err}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runDiagnose(cmd, args[0], f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.format, "format", "text", "text or json")
	fl.StringVar(&f.netns, "netns", "", "run in the network namespace of this file")
	fl.IntVar(&f.pid, "pid", 0, "run in the network namespace of this process, with its resolv.conf, hosts and environment")
	fl.BoolVar(&f.withoutAzure, "without-azure-access", false, "do not read Azure Resource Manager")
	fl.StringVar(&f.subscription, "subscription", "", "subscription that holds the registry (default: AZURE_SUBSCRIPTION_ID, else all visible)")
	fl.BoolVar(&f.push, "push", false, "also open an upload in the repository, write to it and cancel it")
	fl.DurationVar(&f.timeout, "timeout", 20*time.Second, "bound of the whole diagnosis")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return &exitError{exitDiagnoseUsage, fmt.Errorf("%w; see acrlab diagnose --help", err)}
	})
	return cmd
}

func runDiagnose(cmd *cobra.Command, target string, f diagnoseFlags) error {
	wrong := func(format string, a ...any) error { return &exitError{exitDiagnoseUsage, fmt.Errorf(format, a...)} }
	switch {
	case f.format != "text" && f.format != "json":
		return wrong("--format %q: want text or json", f.format)
	case f.timeout <= 0:
		return wrong("--timeout %s: want more than nothing", f.timeout)
	case f.pid < 0:
		return wrong("--pid %d: a process id is positive", f.pid)
	case f.pid != 0 && f.netns != "":
		return wrong("--pid and --netns exclude each other")
	}
	h, err := place(f)
	if err != nil {
		return &exitError{exitDiagnoseUsage, err}
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout+time.Second)
	defer cancel()
	d, err := diagnoser.Diagnose(ctx, h, target, diagnoser.Options{
		WithoutAzure: f.withoutAzure, Push: f.push, Subscription: f.subscription, Timeout: f.timeout})
	switch {
	case cmd.Context().Err() != nil:
		return &exitError{2, errors.New("interrupted")}
	case err != nil:
		return &exitError{exitDiagnoseUsage, err}
	}
	if f.format == "json" {
		err = diagnosis.Encode(cmd.OutOrStdout(), d)
	} else {
		err = diagnoser.WriteText(cmd.OutOrStdout(), d, verdict.UseColor(os.Stdout))
	}
	if err != nil {
		return &exitError{2, fmt.Errorf("writing the diagnosis: %w", err)}
	}
	if code := diagnoser.ExitCode(d); code != 0 {
		return &exitError{code: code}
	}
	return nil
}

// place is where to look from. For another namespace the program starts again
// inside and comes back here.
func place(f diagnoseFlags) (host.Host, error) {
	if f.netns == "" && f.pid == 0 {
		return host.Local(), nil
	}
	if err := host.EnterNamespace(f.netns, f.pid); err != nil {
		return nil, err
	}
	if f.pid == 0 {
		return host.Local(), nil
	}
	h, err := host.Process(f.pid)
	if err != nil {
		return nil, fmt.Errorf("--pid %s: %w", strconv.Itoa(f.pid), err)
	}
	return h, nil
}
