package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// completions says how each shell loads its script.
var completions = map[string]string{
	"bash":       "  source <(acrlab completion bash)",
	"zsh":        `  acrlab completion zsh > "${fpath[1]}/_acrlab"`,
	"fish":       "  acrlab completion fish > ~/.config/fish/completions/acrlab.fish",
	"powershell": "  acrlab completion powershell | Out-String | Invoke-Expression",
}

// addCompletion adds cobra's completion command, which knows no examples and
// takes an unknown shell for a question.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	cmd, _, err := root.Find([]string{"completion"})
	if err != nil || cmd == root {
		return
	}
	cmd.Example = completions["bash"]
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usage(fmt.Errorf("unknown shell %q; want bash, zsh, fish or powershell", args[0]))
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	for _, shell := range cmd.Commands() {
		shell.Example = completions[shell.Name()]
	}
}
