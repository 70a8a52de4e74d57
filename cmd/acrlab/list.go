package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/acrlab/acrlab/diagnosis"
	"github.com/acrlab/acrlab/harness/topology"
)

func newList() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the catalogue",
		Long: `list shows every scenario with the symptoms of the article "Troubleshoot network
issues with registry" under which users meet it, and the healthy base it breaks.`,
		Example: `  acrlab list
  acrlab list --format json | jq -r '.[].id'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := catalogueOf(cmd).all()
			if err != nil {
				return usage(err)
			}
			switch format {
			case "json":
				return listJSON(cmd, list)
			case "text":
				return listText(cmd, list, terminalWidth(os.Stdout))
			}
			return usage(fmt.Errorf("--format %q: want text or json", format))
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}

// listed is one scenario in the JSON form of list.
type listed struct {
	ID       string              `json:"id"`
	Title    string              `json:"title"`
	Base     string              `json:"base"`
	Symptoms []diagnosis.Symptom `json:"symptoms"`
	Causes   []diagnosis.Cause   `json:"causes"`
	// WithoutAzureAccess are the causes that look alike without it.
	WithoutAzureAccess []diagnosis.Cause `json:"withoutAzureAccess,omitempty"`
}

func listJSON(cmd *cobra.Command, list []*topology.Scenario) error {
	out := make([]listed, 0, len(list))
	for _, s := range list {
		l := listed{ID: s.ID, Title: s.Title, Base: s.Base,
			Symptoms: append([]diagnosis.Symptom{}, s.Symptoms...), Causes: append([]diagnosis.Cause{}, s.Expect.Causes...)}
		if w := s.Expect.WithoutAzureAccess; w != nil {
			l.WithoutAzureAccess = w.OneOf
		}
		out = append(out, l)
	}
	return encode(cmd.OutOrStdout(), out)
}

// listText is a table; on a terminal that is too narrow for it, every scenario
// has its title on lines of its own.
func listText(cmd *cobra.Command, list []*topology.Scenario, width int) error {
	rows := [][4]string{{"SCENARIO", "SYMPTOMS", "BASE", "TITLE"}}
	for _, s := range list {
		symptoms := make([]string, len(s.Symptoms))
		for i, x := range s.Symptoms {
			symptoms[i] = string(x)
		}
		rows = append(rows, [4]string{s.ID, cmp.Or(strings.Join(symptoms, " "), "-"), s.Base, s.Title})
	}
	var widths [4]int
	for _, r := range rows {
		for i, cell := range r {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	front := widths[0] + 2 + widths[1] + 2 + widths[2] + 2
	var out strings.Builder
	for i, r := range rows {
		switch {
		case width == 0 || front+widths[3] <= width:
			fmt.Fprintf(&out, "%-*s  %-*s  %-*s  %s\n", widths[0], r[0], widths[1], r[1], widths[2], r[2], r[3])
		case i > 0:
			fmt.Fprintf(&out, "%s\n", r[0])
			for _, line := range wrap(r[3]+" ("+r[2]+"; "+r[1]+")", width-4) {
				fmt.Fprintf(&out, "    %s\n", line)
			}
		}
	}
	_, err := io.WriteString(cmd.OutOrStdout(), out.String())
	return err
}

// wrap breaks text between words into lines of at most width characters; a
// longer word stays whole.
func wrap(text string, width int) []string {
	var lines []string
	for _, word := range strings.Fields(text) {
		if n := len(lines); n > 0 && utf8.RuneCountInString(lines[n-1])+1+utf8.RuneCountInString(word) <= width {
			lines[n-1] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}
