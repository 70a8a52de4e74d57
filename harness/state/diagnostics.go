package state

import (
	"slices"
	"strings"

	"github.com/acrlab/acrlab/fakes/azure"
)

// Resource types of Azure Monitor.
const (
	TypeDiagnosticSetting = "Microsoft.Insights/diagnosticSettings"
	TypeWorkspace         = "Microsoft.OperationalInsights/workspaces"
)

// Workspace is a Log Analytics workspace.
type Workspace struct {
	ID string
	// CustomerID is what the query API calls it.
	CustomerID string
}

// DiagnosticSetting sends the logs of a resource to a workspace.
type DiagnosticSetting struct {
	// Resource and Workspace are ids.
	Resource, Workspace string
	// Categories that are enabled; all is true for the group of all.
	Categories []string
	All        bool
}

// Sends says whether logs of a category are sent.
func (d DiagnosticSetting) Sends(category string) bool {
	return d.All || slices.ContainsFunc(d.Categories, func(c string) bool { return strings.EqualFold(c, category) })
}

// Workspaces are all of a state, by id.
func Workspaces(s azure.State) ([]Workspace, error) {
	items, err := list[struct {
		CustomerID string `json:"customerId"`
	}](s, TypeWorkspace)
	if err != nil {
		return nil, err
	}
	var out []Workspace
	for _, it := range items {
		out = append(out, Workspace{ID: it.ID, CustomerID: or(it.Properties.CustomerID, guid("workspace", Key(it.ID)))})
	}
	return out, nil
}

// DiagnosticSettings are all of a state that have a workspace, by id.
func DiagnosticSettings(s azure.State) ([]DiagnosticSetting, error) {
	items, err := list[struct {
		WorkspaceID string `json:"workspaceId"`
		Logs        []struct {
			Category      string `json:"category"`
			CategoryGroup string `json:"categoryGroup"`
			Enabled       bool   `json:"enabled"`
		} `json:"logs"`
	}](s, TypeDiagnosticSetting)
	if err != nil {
		return nil, err
	}
	var out []DiagnosticSetting
	for _, it := range items {
		i := strings.LastIndex(strings.ToLower(it.ID), "/providers/microsoft.insights/")
		if i < 0 || it.Properties.WorkspaceID == "" {
			continue
		}
		d := DiagnosticSetting{Resource: it.ID[:i], Workspace: it.Properties.WorkspaceID}
		for _, l := range it.Properties.Logs {
			if !l.Enabled {
				continue
			}
			// "audit" is the other group; both of the registry's categories are in it.
			if strings.EqualFold(l.CategoryGroup, "allLogs") || strings.EqualFold(l.CategoryGroup, "audit") {
				d.All = true
			} else if l.Category != "" {
				d.Categories = append(d.Categories, l.Category)
			}
		}
		out = append(out, d)
	}
	return out, nil
}
