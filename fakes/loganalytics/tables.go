// Package loganalytics is the query API of Azure Monitor Logs over the two
// tables that a registry's diagnostic setting fills.
package loganalytics

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/acrlab/acrlab/fakes/loganalytics/kql"
	"github.com/acrlab/acrlab/fakes/registry"
)

// Tables, which are also the categories of a diagnostic setting.
// https://learn.microsoft.com/azure/container-registry/monitor-container-registry-reference
const (
	LoginEvents      = "ContainerRegistryLoginEvents"
	RepositoryEvents = "ContainerRegistryRepositoryEvents"
)

// Config says which registries write to which workspaces.
type Config struct {
	Workspaces []Workspace `json:"workspaces,omitempty"`
	// Tenant is the one whose tokens are accepted.
	Tenant string `json:"tenant"`
	// Clients are the application ids that may read them.
	Clients []string `json:"clients,omitempty"`
}

// Workspace is a Log Analytics workspace.
type Workspace struct {
	ID         string    `json:"id"` // the customer id, a GUID
	ResourceID string    `json:"resourceId"`
	Settings   []Setting `json:"settings,omitempty"`
}

// Setting is a diagnostic setting of a registry.
type Setting struct {
	LoginServer string `json:"loginServer"`
	ResourceID  string `json:"resourceId"`
	// Categories that are enabled.
	Categories []string `json:"categories"`
}

// maxEvents bounds a table; the oldest rows go first.
const maxEvents = 100_000

// Store takes registries' events and keeps those that a diagnostic setting asks
// for. It is safe for concurrent use.
type Store struct {
	mu   sync.RWMutex
	cfg  Config
	rows map[string]map[string][][]any // by workspace id, by table
	now  func() time.Time
}

var _ registry.EventSink = (*Store)(nil)

// NewStore makes an empty store.
func NewStore() *Store {
	return &Store{rows: map[string]map[string][][]any{}, now: time.Now}
}

// Update changes the settings. Rows of before stay, as they do in Azure.
func (s *Store) Update(cfg Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg = cfg
}

// Record implements [registry.EventSink]. There is no delay; Azure's is minutes.
func (s *Store) Record(e registry.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	table := RepositoryEvents
	if e.Operation == registry.OperationLogin {
		table = LoginEvents
	}
	for _, w := range s.cfg.Workspaces {
		for _, setting := range w.Settings {
			if !strings.EqualFold(setting.LoginServer, e.LoginServer) || !slices.Contains(setting.Categories, table) {
				continue
			}
			tables := s.rows[w.ID]
			if tables == nil {
				tables = map[string][][]any{}
				s.rows[w.ID] = tables
			}
			values := make([]any, 0, len(columns[table]))
			for _, c := range columns[table] {
				values = append(values, c.of(e, w, setting))
			}
			rows := append(tables[table], values)
			tables[table] = rows[max(0, len(rows)-maxEvents):]
			break // two settings with one category and one destination are not allowed
		}
	}
}

// workspace finds one by id, with its tables as they are now.
func (s *Store) workspace(id string) (kql.Database, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	i := slices.IndexFunc(s.cfg.Workspaces, func(w Workspace) bool { return strings.EqualFold(w.ID, id) })
	if i < 0 {
		return nil, false
	}
	db := kql.Database{}
	for name, list := range columns {
		t := kql.Table{Rows: slices.Clone(s.rows[s.cfg.Workspaces[i].ID][name])}
		for _, c := range list {
			t.Columns = append(t.Columns, kql.Column{Name: c.name, Type: c.typ})
		}
		db[name] = t
	}
	return db, true
}

func (s *Store) allowed(tenant, app string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return strings.EqualFold(tenant, s.cfg.Tenant) && slices.ContainsFunc(s.cfg.Clients, func(c string) bool { return strings.EqualFold(c, app) })
}

// column of a table with where its value comes from.
type column struct {
	name string
	typ  kql.Type
	of   func(registry.Event, Workspace, Setting) any
}

func event(name string, typ kql.Type, of func(registry.Event) any) column {
	return column{name, typ, func(e registry.Event, _ Workspace, _ Setting) any { return of(e) }}
}

// columns of the tables. Those of the documentation's queries are certain:
// TimeGenerated, LoginServer, OperationName, Identity, Repository, Tag,
// DurationMs, Region, ResultType, ResultDescription, CallerIpAddress. The
// others are assumptions (docs/fidelity.md).
var columns = map[string][]column{
	LoginEvents:      slices.Concat(common, trailer(LoginEvents)),
	RepositoryEvents: slices.Concat(common, repository, trailer(RepositoryEvents)),
}

var common = []column{
	event("TimeGenerated", kql.Datetime, func(e registry.Event) any { return e.Time.UTC().Truncate(100 * time.Nanosecond) }),
	event("OperationName", kql.String, func(e registry.Event) any { return e.Operation }),
	event("LoginServer", kql.String, func(e registry.Event) any { return e.LoginServer }),
	event("Region", kql.String, func(e registry.Event) any { return e.Region }),
	event("Identity", kql.String, func(e registry.Event) any { return e.Identity }),
	event("CallerIpAddress", kql.String, func(e registry.Event) any {
		if !e.Caller.IsValid() {
			return ""
		}
		return e.Caller.Unmap().WithZone("").String()
	}),
	event("DurationMs", kql.Long, func(e registry.Event) any { return e.Duration.Milliseconds() }),
	event("CorrelationId", kql.String, func(e registry.Event) any { return e.Correlation }),
	event("ResultType", kql.String, func(registry.Event) any { return "HttpStatusCode" }),
	event("ResultDescription", kql.String, func(e registry.Event) any { return strconv.Itoa(e.Status) }),
}

var repository = []column{
	event("Repository", kql.String, func(e registry.Event) any { return e.Repository }),
	event("Tag", kql.String, func(e registry.Event) any { return e.Tag }),
	event("Digest", kql.String, func(e registry.Event) any { return e.Digest }),
	event("MediaType", kql.String, func(e registry.Event) any { return e.MediaType }),
	event("Size", kql.Long, func(e registry.Event) any { return e.Size }),
	event("UserAgent", kql.String, func(e registry.Event) any { return e.UserAgent }),
}

func trailer(table string) []column {
	return []column{
		{"TenantId", kql.String, func(_ registry.Event, w Workspace, _ Setting) any { return w.ID }},
		{"SourceSystem", kql.String, func(registry.Event, Workspace, Setting) any { return "Azure" }},
		{"Type", kql.String, func(registry.Event, Workspace, Setting) any { return table }},
		{"_ResourceId", kql.String, func(_ registry.Event, _ Workspace, s Setting) any { return strings.ToLower(s.ResourceID) }},
	}
}
