package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/acrlab/acrlab/harness/run"
	"github.com/acrlab/acrlab/harness/topology"
	"github.com/acrlab/acrlab/harness/verdict"
)

type runFlags struct {
	fabric, diagnoser, format, shard string
	remedy                           string
	timeout                          time.Duration
	withoutAzure, withAzure          bool
	parallel                         int
	keepGoing                        bool
}

func newRun() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run [SCENARIO|DIR…]",
		Short: "Build scenarios, diagnose them, judge the diagnoses",
		Long: `run leads every scenario through four phases: healthy (an image pulls, nothing is
found), broken (the fault is proven to be there, a client fails with the words
users see), diagnosed (with and without Azure access), healed (the remedy is
carried out, the image pulls again).

It exits 0 when all verdicts are right, 1 when one is not, 2 on wrong usage,
3 when a network could not be built or a fault not be proven.`,
		Example: `  acrlab run                                  every scenario
  acrlab run dns-zone-not-linked sni-blocked  two of them
  acrlab run ./my-scenarios --keep-going      a folder of your own
  acrlab run --diagnoser "/opt/mine/diag -j"  another diagnoser
  acrlab run --without-azure-access           network evidence alone
  acrlab run --remedy az                      carry remedies out as they are printed
  acrlab run --format junit > report.xml
  acrlab run --shard 2/4                      a quarter of the catalogue`,
		ValidArgsFunction: complete,
		RunE:              func(cmd *cobra.Command, args []string) error { return runRun(cmd, args, f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.fabric, "fabric", "netns", "what networks are made of: netns")
	fl.StringVar(&f.diagnoser, "diagnoser", "acrlab", "acrlab, or a command that prints a diagnosis; the image is appended")
	fl.DurationVar(&f.timeout, "diagnoser-timeout", 30*time.Second, "after which a diagnoser is killed and judged wrong")
	fl.StringVar(&f.format, "format", "text", "text, json or junit")
	fl.BoolVar(&f.withoutAzure, "without-azure-access", false, "ask only without access to Azure")
	fl.BoolVar(&f.withAzure, "with-azure-access", false, "ask only with access to Azure")
	fl.StringVar(&f.remedy, "remedy", "changes", "how remedies made of az commands are carried out: changes (by the harness, fast),\naz (as printed, by the Azure CLI on the client host), auto (az if there is one)")
	fl.IntVar(&f.parallel, "parallel", 4, "how many scenarios at once")
	fl.StringVar(&f.shard, "shard", "", "run part I of N only, e.g. 1/4")
	fl.BoolVar(&f.keepGoing, "keep-going", false, "run all scenarios even after a verdict that is not right")
	return cmd
}

func runRun(cmd *cobra.Command, args []string, f runFlags) error {
	list, err := f.check(cmd, args)
	if err != nil {
		return usage(err)
	}
	diagnoser, err := diagnoserOf(f.diagnoser)
	if err != nil {
		return err
	}
	diagnoser.Timeout = f.timeout
	path, err := self()
	if err != nil {
		return err
	}
	if err := enter(); err != nil {
		return err
	}
	cli, err := f.azureCLI(cmd.Context(), cmd.ErrOrStderr())
	if err != nil {
		return harness(err)
	}
	out, bar := cmd.OutOrStdout(), newProgress(os.Stderr, len(list))
	o := run.Options{Fabric: namespaces(), Diagnoser: diagnoser, Modes: f.modes(),
		Puller: []string{path, "pull"}, AZ: cli, Progress: bar.phase}
	table := verdict.NewTable(out, verdict.UseColor(os.Stdout), ids(list), f.modes())
	table.Width = terminalWidth(os.Stdout)
	began := time.Now()
	results := run.All(cmd.Context(), list, run.Schedule{Parallel: f.parallel, KeepGoing: f.keepGoing}, o, func(rs []verdict.Result) {
		bar.ended(rs[0].ID, func() {
			for _, r := range rs {
				if f.format == "text" {
					_ = table.Add(r) // a closed pipe shows at Close
				}
			}
		})
	})
	bar.close()
	summary := verdict.Summarize(results, time.Since(began))
	switch f.format {
	case "json":
		err = verdict.WriteJSON(out, results, summary)
	case "junit":
		err = verdict.WriteJUnit(out, results, summary)
	default:
		if err = table.Close(summary); err == nil && cli != nil {
			err = writeHealings(out, results)
		}
	}
	switch {
	case err != nil:
		return harness(err)
	case cmd.Context().Err() != nil:
		return harness(fmt.Errorf("interrupted; %d of %d scenarios had ended", bar.done, len(list)))
	case summary.ExitCode() != exitRight:
		return &exitError{code: summary.ExitCode()}
	}
	return nil
}

// check finds what is wrong with the command line before anything is built.
func (f runFlags) check(cmd *cobra.Command, args []string) ([]*topology.Scenario, error) {
	switch {
	case f.fabric != "netns":
		return nil, fmt.Errorf("--fabric %q: want netns", f.fabric)
	case f.format != "text" && f.format != "json" && f.format != "junit":
		return nil, fmt.Errorf("--format %q: want text, json or junit", f.format)
	case f.remedy != "changes" && f.remedy != "az" && f.remedy != "auto":
		return nil, fmt.Errorf("--remedy %q: want changes, az or auto", f.remedy)
	case f.withoutAzure && f.withAzure:
		return nil, errors.New("--with-azure-access and --without-azure-access exclude each other; leave both out for both modes")
	case f.parallel < 1:
		return nil, fmt.Errorf("--parallel %d: want at least 1", f.parallel)
	case f.timeout <= 0:
		return nil, fmt.Errorf("--diagnoser-timeout %s: want more than nothing", f.timeout)
	}
	list, err := catalogueOf(cmd).choose(args)
	if err != nil {
		return nil, err
	}
	if f.shard == "" {
		return list, nil
	}
	var i, n int
	if _, err := fmt.Sscanf(f.shard, "%d/%d", &i, &n); err != nil || fmt.Sprintf("%d/%d", i, n) != f.shard {
		return nil, fmt.Errorf("--shard %q: want I/N, e.g. 1/4", f.shard)
	}
	return run.Shard(list, i, n)
}

func (f runFlags) modes() []verdict.Mode {
	switch {
	case f.withAzure:
		return []verdict.Mode{verdict.WithAzure}
	case f.withoutAzure:
		return []verdict.Mode{verdict.NetworkOnly}
	}
	return []verdict.Mode{verdict.WithAzure, verdict.NetworkOnly}
}

func ids(list []*topology.Scenario) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = s.ID
	}
	return out
}

// encode writes indented JSON.
func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
