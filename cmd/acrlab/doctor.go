package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/acrlab/acrlab/harness/az"
	"github.com/acrlab/acrlab/harness/client"
	"github.com/acrlab/acrlab/harness/fabric/netns"
	"github.com/acrlab/acrlab/harness/verdict"
)

func newDoctor() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what this machine can run, and what to install for the rest",
		Long: `doctor looks for what acrlab can use and says, for what is missing, the command
that mends it. It changes nothing. It exits 0 when scenarios can be built here,
3 when they cannot.`,
		Example: `  acrlab doctor
  acrlab doctor --format json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDoctor(cmd, format) },
	}
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}

// ability is one thing that a machine can or cannot do.
type ability struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Needed says that nothing works without it.
	Needed bool   `json:"needed"`
	Detail string `json:"detail"`
}

func abilities(ctx context.Context) []ability {
	list := []ability{{Name: "Linux", OK: runtime.GOOS == "linux", Needed: true, Detail: runtime.GOOS + "/" + runtime.GOARCH}}
	who := "root"
	if uid := os.Geteuid(); uid != 0 {
		who = fmt.Sprintf("ordinary user %d, in a user namespace", uid)
	}
	ns := ability{Name: "network namespaces", OK: true, Needed: true, Detail: "as " + who}
	if err := netns.Check(); err != nil {
		ns.OK, ns.Detail = false, err.Error()
	}
	list = append(list, ns)
	for _, e := range client.Find() {
		a := ability{Name: "client " + e.Name, OK: e.Missing == "", Detail: e.Missing}
		if a.OK {
			a.Detail = "found"
		}
		list = append(list, a)
	}
	return append(list, azureCLI(ctx))
}

// azureCLI is what remedies are run with as they are printed.
func azureCLI(ctx context.Context) ability {
	cli, err := az.Find(ctx)
	if err != nil {
		return ability{Name: "az", Detail: err.Error()}
	}
	return ability{Name: "az", OK: true, Detail: cli.Version + ", " + cli.Path}
}

func runDoctor(cmd *cobra.Command, format string) error {
	list := abilities(cmd.Context())
	var err error
	switch format {
	case "json":
		err = encode(cmd.OutOrStdout(), list)
	case "text":
		err = doctorText(cmd, list)
	default:
		return usage(fmt.Errorf("--format %q: want text or json", format))
	}
	if err != nil {
		return harness(err)
	}
	for _, a := range list {
		if a.Needed && !a.OK {
			return &exitError{code: exitHarness}
		}
	}
	return nil
}

func doctorText(cmd *cobra.Command, list []ability) error {
	color := verdict.UseColor(os.Stdout)
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	for _, a := range list {
		word, code := "yes", "32"
		switch {
		case !a.OK && a.Needed:
			word, code = "NO", "31"
		case !a.OK:
			word, code = "no", "33"
		}
		if color {
			word = "\x1b[" + code + "m" + word + "\x1b[0m"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", word, a.Name, a.Detail)
	}
	return w.Flush()
}
