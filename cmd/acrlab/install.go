package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/acrlab/acrlab/harness/az"
)

func newInstall() *cobra.Command {
	return &cobra.Command{
		Use:   "install az",
		Short: "Install a tool that acrlab can use into your cache: az",
		Long: `install puts the Azure CLI into a virtual environment of Python below your cache
folder (about 750 MB), where "acrlab run --remedy az" and the tests find it. It
needs python3 3.10 or newer with venv, and reaches the package index that pip is
configured for. Nothing else of acrlab installs anything.

It exits 0 when the tool is there, 2 on wrong usage, 3 when it could not be installed.`,
		Example:   `  acrlab install az`,
		ValidArgs: []string{"az"},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] != "az" {
				return usage(fmt.Errorf("want one tool: az; got %q", args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			cli, err := az.Install(cmd.Context(), cmd.ErrOrStderr())
			if err != nil {
				return harness(err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "az %s: %s\n", cli.Version, cli.Path)
			return nil
		},
	}
}
