package main

import (
	"github.com/spf13/cobra"

	"github.com/acrlab/acrlab/harness/client"
)

// newPull is the client that scenarios pull with; hidden, as docker and crane
// do it better outside.
func newPull() *cobra.Command {
	return &cobra.Command{
		Use: "pull IMAGE", Short: "Pull an image and throw it away", Hidden: true,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if code := client.Main(args, cmd.OutOrStdout(), cmd.ErrOrStderr()); code != 0 {
				return &exitError{code: code}
			}
			return nil
		},
	}
}
