// Command acrlab builds broken Azure Container Registry networks, diagnoses
// them and judges the diagnosis.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/acrlab/acrlab/harness/fabric/netns"
)

// Exit codes of every command but diagnose, which has its own (see there).
const (
	exitRight   = 0
	exitWrong   = 1 // a verdict is wrong
	exitUsage   = 2 // the command line or a scenario file is wrong
	exitHarness = 3 // a network could not be built or a fault not be proven
)

// exitError carries an exit code; a nil err prints nothing.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func main() {
	netns.Main() // does not return in the processes that the fabric starts
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func execute(ctx context.Context, args []string) int {
	root := newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var exit *exitError
	switch {
	case err == nil:
		return exitRight
	case errors.As(err, &exit):
		if exit.err != nil {
			complain(exit.err)
		}
		return exit.code
	}
	complain(err) // cobra's own: it did not understand the command line
	return exitUsage
}

// complain writes an error to stderr. Joined ones are a line each.
func complain(err error) {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintln(os.Stderr, "acrlab:", strings.TrimRight(line, "\n"))
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "acrlab",
		Short: "Break Azure Container Registry networks on purpose and check that a diagnoser finds out why",
		Long: `acrlab builds failing Azure Container Registry networks out of Linux network
namespaces with real packets, runs a diagnoser in each and checks that it names
the cause that was built in.`,
		Example: `  acrlab run                                   build, diagnose and judge every scenario
  acrlab show sni-blocked                      see hosts, links and where packets die
  acrlab exec sni-blocked -- curl -v https://myregistry.azurecr.io/v2/
  acrlab diagnose myregistry.azurecr.io        diagnose the real thing from here`,
		SilenceErrors: true, SilenceUsage: true,
		Version: version(),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			hint := "; acrlab --help lists them"
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				hint = fmt.Sprintf(", did you mean %q?", near[0])
			}
			return usage(fmt.Errorf("unknown command %q%s", args[0], hint))
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(fmt.Errorf("%w; see %s --help", err, cmd.CommandPath()))
	})
	root.PersistentFlags().String("catalogue", "", "folder of scenarios (default: ./scenarios, else the ones built in)")
	root.AddCommand(newRun(), newList(), newShow(), newExec(), newDiagnose(), newDoctor(), newInstall(), newPull())
	addCompletion(root)
	return root
}

// noArgs refuses arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(fmt.Errorf("%s takes no arguments, but got %q", cmd.CommandPath(), args[0]))
	}
	return nil
}

// oneArg demands one argument and says what it is.
func oneArg(cmd *cobra.Command, args []string, what string) error {
	switch {
	case len(args) == 0:
		return usage(fmt.Errorf("want %s: %s", what, useLine(cmd)))
	case len(args) > 1:
		return usage(fmt.Errorf("want %s alone, but got %q as well: %s", what, args[1], useLine(cmd)))
	}
	return nil
}

func useLine(cmd *cobra.Command) string { return cmd.Root().Name() + " " + cmd.Use }

// usage makes an error of the command line or of a scenario file.
func usage(err error) error { return &exitError{exitUsage, err} }

// harness makes an error of the harness.
func harness(err error) error { return &exitError{exitHarness, err} }
