package loganalytics

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/acrlab/acrlab/fakes/entra/bearer"
	"github.com/acrlab/acrlab/fakes/loganalytics/kql"
	"github.com/acrlab/acrlab/fakes/netio"
	"github.com/acrlab/acrlab/fakes/pki"
	"github.com/acrlab/acrlab/fakes/web"
)

// Host is the name of the query API.
const Host = "api.loganalytics.io"

// hosts are the names on the certificate; the second is the newer one.
var hosts = []string{Host, "api.loganalytics.azure.com"}

// Audiences are the resources whose tokens are accepted.
var Audiences = []string{"https://api.loganalytics.io", "https://api.loganalytics.io/", "https://api.loganalytics.azure.com", "https://api.loganalytics.azure.com/"}

// Server is a running query API.
type Server struct {
	*web.Server
	store *Store
}

var _ netio.Server = (*Server)(nil)

// Serve answers at every address of listen from a store. ctx governs only the
// listening.
func Serve(ctx context.Context, n netio.Net, listen []netip.AddrPort, store *Store, ca *pki.Authority, keys bearer.Keys) (*Server, error) {
	s, err := web.ServeTLS(ctx, n, listen, ca, hosts, Handler(store, keys))
	if err != nil {
		return nil, fmt.Errorf("serving Log Analytics: %w", err)
	}
	return &Server{Server: s, store: store}, nil
}

// Update changes the store's settings.
func (s *Server) Update(cfg Config) error {
	s.store.Update(cfg)
	return nil
}

// Handler is the server without sockets.
func Handler(store *Store, keys bearer.Keys) http.Handler {
	h := handler{store: store, keys: keys}
	mux := http.NewServeMux()
	for _, path := range []string{"/v1/workspaces/{workspace}/query", "/v1/workspaces/{workspace}/api/query"} {
		mux.HandleFunc("GET "+path, h.query)
		mux.HandleFunc("POST "+path, h.query)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		problem{http.StatusNotFound, "PathNotFoundError", "The requested path does not exist", nil}.write(w)
	})
	return mux
}

type handler struct {
	store *Store
	keys  bearer.Keys
}

// problem is an error answer.
// https://learn.microsoft.com/azure/azure-monitor/logs/api/errors
type problem struct {
	status        int
	code, message string
	inner         any
}

func (p problem) write(w http.ResponseWriter) {
	body := map[string]any{"message": p.message, "code": p.code, "correlationId": uuid.NewString()}
	if p.inner != nil {
		body["innererror"] = p.inner
	}
	if p.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer authorization_uri="https://login.microsoftonline.com/common", resource="`+Audiences[0]+`"`)
	}
	web.WriteJSON(w, p.status, map[string]any{"error": body})
}

const maxBody = 1 << 20

func (h handler) query(w http.ResponseWriter, r *http.Request) {
	caller, err := bearer.Read(r, h.keys, Audiences...)
	if err != nil {
		problem{http.StatusUnauthorized, "InvalidTokenError", "Valid authentication was not provided", map[string]string{"message": err.Error()}}.write(w)
		return
	}
	if !h.store.allowed(caller.Tenant, caller.AppID) {
		problem{http.StatusForbidden, "InsufficientAccessError", "The provided credentials have insufficient access to perform the requested operation", nil}.write(w)
		return
	}
	db, ok := h.store.workspace(r.PathValue("workspace"))
	if !ok {
		problem{http.StatusNotFound, "WorkspaceNotFoundError", "The workspace could not be found", nil}.write(w)
		return
	}
	query, timespan, err := read(w, r)
	if err != nil {
		badArgument("BadArgumentError", err.Error()).write(w)
		return
	}
	now := h.store.now()
	if timespan != "" {
		from, to, ok := parseTimespan(timespan, now)
		if !ok {
			badArgument("InvalidTimespanError", fmt.Sprintf("The timespan '%s' is no ISO 8601 duration or interval", timespan)).write(w)
			return
		}
		db = within(db, from, to)
	}
	table, err := kql.Query(query, db, now)
	if err != nil {
		queryProblem(err).write(w)
		return
	}
	web.WriteJSON(w, http.StatusOK, map[string]any{"tables": []any{render(table)}})
}

func badArgument(code, message string) problem {
	return problem{http.StatusBadRequest, "BadArgumentError", "The request had some invalid properties", map[string]any{"code": code, "message": message}}
}

// queryProblem places an error in the query as the service does.
func queryProblem(err error) problem {
	e, ok := errors.AsType[*kql.Error](err)
	if !ok {
		return problem{http.StatusInternalServerError, "InternalError", err.Error(), nil}
	}
	code, text, number := "SemanticError", "A semantic error occurred.", "SEM0100"
	if e.Kind == kql.Syntax {
		code, text, number = "SyntaxError", "A recognition error occurred in the query.", "SYN0002"
	} else if e.Kind == kql.Unsupported {
		code, text, number = "UnsupportedError", "The query is beyond what is simulated.", "UNSUPPORTED"
	}
	inner := map[string]any{"code": number, "message": e.Message}
	if e.Line > 0 {
		inner["message"] = fmt.Sprintf("%s on line [%d,%d]", e.Message, e.Line, e.Column)
		inner["line"], inner["pos"], inner["token"] = e.Line, e.Column, e.Token
	}
	return problem{http.StatusBadRequest, "BadArgumentError", "The request had some invalid properties",
		map[string]any{"code": code, "message": text, "innererror": inner}}
}

func read(w http.ResponseWriter, r *http.Request) (query, timespan string, err error) {
	if r.Method == http.MethodGet {
		query, timespan = r.URL.Query().Get("query"), r.URL.Query().Get("timespan")
	} else {
		var body struct {
			Query    string `json:"query"`
			Timespan string `json:"timespan"`
		}
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&body); err != nil {
			return "", "", fmt.Errorf("the request body is no JSON object with a query")
		}
		query, timespan = body.Query, cmp.Or(body.Timespan, r.URL.Query().Get("timespan"))
	}
	if strings.TrimSpace(query) == "" {
		return "", "", fmt.Errorf("the query is empty")
	}
	return query, timespan, nil
}

// within keeps the rows of a time range.
func within(db kql.Database, from, to time.Time) kql.Database {
	out := kql.Database{}
	for name, t := range db {
		part := kql.Table{Columns: t.Columns}
		for _, row := range t.Rows {
			if at, ok := row[0].(time.Time); ok && !at.Before(from) && at.Before(to) {
				part.Rows = append(part.Rows, row)
			}
		}
		out[name] = part
	}
	return out
}

var durationPattern = regexp.MustCompile(`^P(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6})S)?)?$`)

// parseTimespan reads "PT12H", "2026-01-01T00:00Z/PT1H" or "from/to".
func parseTimespan(s string, now time.Time) (from, to time.Time, ok bool) {
	start, end, pair := strings.Cut(s, "/")
	if !pair {
		d, ok := parseDuration(s)
		return now.Add(-d), now.Add(time.Second), ok
	}
	at := func(s string) (time.Time, bool) {
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05.999999999", "2006-01-02"} {
			if t, err := time.Parse(layout, s); err == nil {
				return t, true
			}
		}
		return time.Time{}, false
	}
	from, ok = at(start)
	if !ok {
		if to, ok = at(end); !ok {
			return from, to, false
		}
		d, ok := parseDuration(start)
		return to.Add(-d), to, ok
	}
	if to, ok = at(end); ok {
		return from, to, true
	}
	d, ok := parseDuration(end)
	return from, from.Add(d), ok
}

func parseDuration(s string) (time.Duration, bool) {
	m := durationPattern.FindStringSubmatch(s)
	if m == nil || s == "P" || strings.HasSuffix(s, "T") {
		return 0, false
	}
	var d time.Duration
	for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second} {
		n, _ := strconv.Atoi(cmp.Or(m[i+1], "0"))
		if i == 0 && n > 36500 {
			return 0, false
		}
		d += time.Duration(n) * unit
	}
	return d, true
}

// render is a table in the API's shape.
func render(t kql.Table) any {
	columns, rows := []any{}, [][]any{}
	for _, c := range t.Columns {
		columns = append(columns, map[string]string{"name": c.Name, "type": string(c.Type)})
	}
	for _, values := range t.Rows {
		row := make([]any, len(values))
		for i, v := range values {
			switch x := v.(type) {
			case time.Time:
				row[i] = kql.FormatTime(x)
			case time.Duration:
				row[i] = kql.FormatTimespan(x)
			default:
				row[i] = v
			}
		}
		rows = append(rows, row)
	}
	return map[string]any{"name": "PrimaryResult", "columns": columns, "rows": rows}
}
