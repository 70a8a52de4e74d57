package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/acrlab/acrlab/diagnosis"
	"github.com/acrlab/acrlab/harness/topology"
)

func newList() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the catalogue",
		Example: `  acrlab list
  acrlab list --format json | jq -r '.[].id'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := catalogueOf(cmd).all()
			if err != nil {
				return usage(err)
			}
			switch format {
			case "json":
				return listJSON(cmd, list)
			case "text":
				return listText(cmd, list)
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

func listText(cmd *cobra.Command, list []*topology.Scenario) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SCENARIO\tSYMPTOMS\tBASE\tTITLE")
	for _, s := range list {
		symptoms := make([]string, len(s.Symptoms))
		for i, x := range s.Symptoms {
			symptoms[i] = string(x)
		}
		dash := strings.Join(symptoms, " ")
		if dash == "" {
			dash = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", s.ID, dash, s.Base, s.Title)
	}
	return w.Flush()
}
