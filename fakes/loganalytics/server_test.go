package loganalytics

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/acrlab/acrlab/fakes/entra"
	"github.com/acrlab/acrlab/fakes/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	app       = "11111111-0000-4000-8000-000000000001"
	workspace = "99999999-0000-4000-8000-000000000009"
	login     = "myregistry.azurecr.io"
	resource  = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ContainerRegistry/registries/MyRegistry"
)

var noon = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

func config() Config {
	return Config{Tenant: "t", Clients: []string{app}, Workspaces: []Workspace{{ID: workspace, Settings: []Setting{
		{LoginServer: login, ResourceID: resource, Categories: []string{LoginEvents, RepositoryEvents}}}}}}
}

type world struct {
	store  *Store
	tenant *entra.Tenant
	h      http.Handler
}

func newWorld(t *testing.T) world {
	t.Helper()
	tenant, err := entra.NewTenant(entra.Config{Tenant: "t", Clients: map[string]string{app: "s", "another": "s"}})
	require.NoError(t, err)
	s := NewStore()
	s.now = func() time.Time { return noon }
	s.Update(config())
	return world{s, tenant, Handler(s, tenant.PublicKey)}
}

func (w world) token(t *testing.T, app, audience string) string {
	t.Helper()
	token, err := w.tenant.Token(app, audience, time.Now())
	require.NoError(t, err)
	return token
}

type result struct {
	Tables []struct {
		Name    string
		Columns []struct{ Name, Type string }
		Rows    [][]any
	}
	Error struct {
		Code, Message string
		InnerError    struct {
			Code, Message string
			InnerError    struct {
				Code, Message string
				Line, Pos     int
			}
		}
	}
}

func (w world) post(t *testing.T, workspace, token, body string) (int, result) {
	t.Helper()
	r := httptest.NewRequest("POST", "/v1/workspaces/"+workspace+"/query", strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return w.do(t, r)
}

func (w world) do(t *testing.T, r *http.Request) (int, result) {
	t.Helper()
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, r)
	var out result
	require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &out), rec.Body.String())
	return rec.Code, out
}

func loginEvent(at time.Time, status int) registry.Event {
	return registry.Event{Time: at, LoginServer: login, Region: "eastus", Operation: registry.OperationLogin, Identity: "lab-token",
		Caller: netip.MustParseAddr("::ffff:203.0.113.7"), Status: status, Duration: 12 * time.Millisecond}
}

func TestEventsAreRowsOfTheirWorkspace(t *testing.T) {
	w := newWorld(t)
	w.store.Record(loginEvent(noon.Add(-time.Hour), 401))
	w.store.Record(registry.Event{Time: noon, LoginServer: strings.ToUpper(login), Operation: registry.OperationPull, Repository: "hello-world", Tag: "latest", Status: 200})
	w.store.Record(registry.Event{Time: noon, LoginServer: "other.azurecr.io", Operation: registry.OperationLogin, Status: 200})
	token := w.token(t, app, Audiences[0])

	status, got := w.post(t, strings.ToUpper(workspace), token, `{"query":"ContainerRegistryLoginEvents | where ResultDescription != \"200\" | project TimeGenerated, Identity, CallerIpAddress, ResultDescription, DurationMs, _ResourceId"}`)
	require.Equal(t, 200, status, "%+v", got.Error)
	require.Equal(t, "PrimaryResult", got.Tables[0].Name)
	require.Equal(t, "datetime", got.Tables[0].Columns[0].Type)
	require.Equal(t, [][]any{{"2026-01-05T11:00:00.0000000Z", "lab-token", "203.0.113.7", "401", 12., strings.ToLower(resource)}}, got.Tables[0].Rows)

	r := httptest.NewRequest("GET", "/v1/workspaces/"+workspace+"/query?"+url.Values{"query": {"ContainerRegistryRepositoryEvents | project Repository, Tag, OperationName"}}.Encode(), nil)
	r.Header.Set("Authorization", "Bearer "+token)
	status, got = w.do(t, r)
	require.Equal(t, 200, status)
	require.Equal(t, [][]any{{"hello-world", "latest", "Pull"}}, got.Tables[0].Rows)

	for timespan, rows := range map[string]float64{"PT30M": 0, "PT2H": 1, "P1D": 1, "2026-01-05T10:00:00Z/PT30M": 0,
		"2026-01-05T10:00:00Z/2026-01-05T12:00:00Z": 1, "PT90M/2026-01-05T12:00:00Z": 1} {
		status, got = w.post(t, workspace, token, `{"query":"ContainerRegistryLoginEvents | count","timespan":"`+timespan+`"}`)
		require.Equal(t, 200, status, timespan)
		require.Equal(t, [][]any{{rows}}, got.Tables[0].Rows, timespan)
	}
}

// A client that never arrived leaves no row; nor does any where no setting asks.
func TestWithoutADiagnosticSettingThereAreNoRows(t *testing.T) {
	w := newWorld(t)
	only := config()
	only.Workspaces[0].Settings[0].Categories = []string{RepositoryEvents}
	w.store.Update(only)
	w.store.Record(loginEvent(noon, 200))
	only.Workspaces[0].Settings = nil
	w.store.Update(only)
	w.store.Record(loginEvent(noon, 200))
	token := w.token(t, app, Audiences[0])
	count := func() float64 {
		status, got := w.post(t, workspace, token, `{"query":"union ContainerRegistryLoginEvents, ContainerRegistryRepositoryEvents | count"}`)
		require.Equal(t, 200, status)
		return got.Tables[0].Rows[0][0].(float64)
	}
	require.Zero(t, count())
	w.store.Update(config())
	w.store.Record(loginEvent(noon, 200))
	w.store.Update(only)
	require.EqualValues(t, 1, count(), "what was written stays")
}

func TestQueriesThatAreRefused(t *testing.T) {
	w := newWorld(t)
	good := w.token(t, app, Audiences[0])
	const query = `{"query":"ContainerRegistryLoginEvents"}`
	for name, tc := range map[string]struct {
		workspace, token, body string
		status                 int
		code, inner            string
	}{
		"no token":       {workspace, "", query, 401, "InvalidTokenError", ""},
		"another's":      {workspace, w.token(t, app, "https://management.azure.com"), query, 401, "InvalidTokenError", ""},
		"no access":      {workspace, w.token(t, "another", Audiences[0]), query, 403, "InsufficientAccessError", ""},
		"workspace":      {"nope", good, query, 404, "WorkspaceNotFoundError", ""},
		"no JSON":        {workspace, good, "x", 400, "BadArgumentError", "BadArgumentError"},
		"no query":       {workspace, good, "{}", 400, "BadArgumentError", "BadArgumentError"},
		"timespan":       {workspace, good, `{"query":"x","timespan":"yesterday"}`, 400, "BadArgumentError", "InvalidTimespanError"},
		"empty timespan": {workspace, good, `{"query":"x","timespan":"PT"}`, 400, "BadArgumentError", "InvalidTimespanError"},
		"syntax":         {workspace, good, `{"query":"ContainerRegistryLoginEvents | wher x"}`, 400, "BadArgumentError", "SyntaxError"},
		"semantic":       {workspace, good, `{"query":"Nope"}`, 400, "BadArgumentError", "SemanticError"},
		"unsupported":    {workspace, good, `{"query":"ContainerRegistryLoginEvents | join X on Y"}`, 400, "BadArgumentError", "UnsupportedError"},
		"huge":           {workspace, good, `{"query":"` + strings.Repeat("x", maxBody) + `"}`, 400, "BadArgumentError", "BadArgumentError"},
	} {
		t.Run(name, func(t *testing.T) {
			status, got := w.post(t, tc.workspace, tc.token, tc.body)
			require.Equal(t, tc.status, status)
			require.Equal(t, tc.code, got.Error.Code)
			if tc.inner != "" {
				require.Equal(t, tc.inner, got.Error.InnerError.Code)
			}
		})
	}
	_, got := w.post(t, workspace, good, `{"query":"ContainerRegistryLoginEvents\n| where Nope == 1"}`)
	require.Equal(t, "SEM0100", got.Error.InnerError.InnerError.Code)
	require.Equal(t, 2, got.Error.InnerError.InnerError.Line)
	require.Contains(t, got.Error.InnerError.InnerError.Message, "'Nope' on line [2,8]")

	other, err := entra.NewTenant(entra.Config{Tenant: "u", Clients: map[string]string{app: "s"}})
	require.NoError(t, err)
	forged, err := other.Token(app, Audiences[0], time.Now())
	require.NoError(t, err)
	status, _ := w.post(t, workspace, forged, query)
	require.Equal(t, 403, status, "of another tenant")
	i := strings.LastIndexByte(good, '.')
	status, _ = w.post(t, workspace, good[:i+1]+strings.Repeat("A", len(good)-i-1), query)
	require.Equal(t, 401, status, "with another signature")
}
