// Package graph is Microsoft Graph as far as az asks after a login and for role
// assignments: who am I, which service principal has this application id, who
// are these object ids. It reads; it changes nothing.
//
// https://learn.microsoft.com/graph/api/overview
package graph

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/acrlab/acrlab/fakes/entra"
	"github.com/acrlab/acrlab/fakes/entra/bearer"
	"github.com/acrlab/acrlab/fakes/netio"
	"github.com/acrlab/acrlab/fakes/pki"
	"github.com/acrlab/acrlab/fakes/web"
)

// Host is the name of the service.
const Host = "graph.microsoft.com"

// Front is the server's configuration.
type Front struct {
	// Tenant is the directory that it shows.
	Tenant string `json:"tenant"`
}

// audiences are the resources whose tokens are accepted; the last is Graph's
// own application id.
var audiences = []string{"https://graph.microsoft.com", "https://graph.microsoft.com/", "00000003-0000-0000-c000-000000000000"}

// Server is a running Graph.
type Server struct{ *web.Server }

var _ netio.Server = (*Server)(nil)

// Serve answers at every address of listen from a tenant. ctx governs only the
// listening.
func Serve(ctx context.Context, n netio.Net, listen []netip.AddrPort, t *entra.Tenant, ca *pki.Authority) (*Server, error) {
	s, err := web.ServeTLS(ctx, n, listen, ca, []string{Host}, Handler(t))
	if err != nil {
		return nil, fmt.Errorf("serving Microsoft Graph: %w", err)
	}
	return &Server{s}, nil
}

// Handler is the server without sockets.
func Handler(t *entra.Tenant) http.Handler {
	mux := http.NewServeMux()
	for pattern, serve := range map[string]func(*request) (any, *failure){
		"GET /{version}/me":                         me,
		"GET /{version}/servicePrincipals":          list(servicePrincipals),
		"GET /{version}/servicePrincipals/{id}":     one(servicePrincipals),
		"GET /{version}/{keyed}":                    byKey,
		"GET /{version}/applications":               list(applications),
		"GET /{version}/applications/{id}":          one(applications),
		"GET /{version}/users":                      list(users),
		"GET /{version}/users/{id}":                 one(users),
		"GET /{version}/groups":                     list(nobody),
		"GET /{version}/groups/{id}":                one(nobody),
		"GET /{version}/directoryObjects/{id}":      one(everybody),
		"POST /{version}/directoryObjects/{action}": byIDs,
	} {
		mux.Handle(pattern, answering(t, serve))
	}
	mux.Handle("/", answering(t, func(r *request) (any, *failure) {
		return nil, &failure{http.StatusBadRequest, "BadRequest", fmt.Sprintf("Resource not found for the segment '%s'.", lastSegment(r.URL.Path))}
	}))
	return mux
}

type request struct {
	*http.Request
	tenant *entra.Tenant
	caller bearer.Caller
}

// failure is an error answer.
// https://learn.microsoft.com/graph/errors
type failure struct {
	status        int
	code, message string
}

func answering(t *entra.Tenant, serve func(*request) (any, *failure)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := uuid.NewString()
		w.Header().Set("request-id", id)
		w.Header().Set("client-request-id", id)
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		w.Header().Set("Cache-Control", "no-cache")
		req := &request{Request: r, tenant: t}
		var body any
		var f *failure
		caller, err := bearer.Read(r, t.PublicKey, audiences...)
		switch version := strings.ToLower(strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")[0]); {
		case err != nil && r.Header.Get("Authorization") == "":
			f = &failure{http.StatusUnauthorized, "InvalidAuthenticationToken", "Access token is empty."}
		case err != nil:
			f = &failure{http.StatusUnauthorized, "InvalidAuthenticationToken", "Access token validation failure: " + err.Error() + "."}
		case version != "v1.0" && version != "beta":
			f = &failure{http.StatusBadRequest, "BadRequest", "Invalid version: " + version}
		case !strings.EqualFold(caller.Tenant, t.ID()):
			f = &failure{http.StatusUnauthorized, "InvalidAuthenticationToken", "Access token validation failure: the token is of another tenant."}
		default:
			req.caller = caller
			body, f = serve(req)
		}
		status := http.StatusOK
		if f != nil {
			status = f.status
			if status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", `Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", client_id="00000003-0000-0000-c000-000000000000"`)
			}
			body = map[string]any{"error": map[string]any{"code": f.code, "message": f.message, "innerError": map[string]string{
				"date": time.Now().UTC().Format("2006-01-02T15:04:05"), "request-id": id, "client-request-id": id}}}
		}
		raw, err := json.Marshal(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8")
		w.WriteHeader(status)
		_, _ = w.Write(raw)
	})
}

// kind is a collection of principals with the shape that it shows them in.
type kind struct {
	name string
	of   func(entra.Principal) bool
	show func(entra.Principal) map[string]any
}

var (
	servicePrincipals = kind{"servicePrincipals", func(p entra.Principal) bool { return p.Kind != entra.PrincipalUser }, showServicePrincipal}
	applications      = kind{"applications", func(p entra.Principal) bool { return p.Kind == entra.PrincipalApplication }, showApplication}
	users             = kind{"users", func(p entra.Principal) bool { return p.Kind == entra.PrincipalUser }, showUser}
	nobody            = kind{"groups", func(entra.Principal) bool { return false }, nil}
	everybody         = kind{"directoryObjects", func(entra.Principal) bool { return true }, showAny}
)

func showServicePrincipal(p entra.Principal) map[string]any {
	names := []string{p.AppID}
	alternative := []string{}
	if p.ResourceID != "" {
		alternative = []string{"isExplicit=False", p.ResourceID}
	}
	return map[string]any{"id": p.ObjectID, "appId": p.AppID, "displayName": p.Name, "appDisplayName": p.Name, "accountEnabled": true,
		"servicePrincipalType": string(p.Kind), "servicePrincipalNames": names, "alternativeNames": alternative, "appRoles": []any{}, "oauth2PermissionScopes": []any{}}
}

func showApplication(p entra.Principal) map[string]any {
	// An application object has an id of its own beside its service principal's.
	return map[string]any{"id": uuid.NewSHA1(uuid.NameSpaceOID, []byte("application/"+p.AppID)).String(), "appId": p.AppID, "displayName": p.Name,
		"identifierUris": []string{}, "signInAudience": "AzureADMyOrg", "passwordCredentials": []any{}, "keyCredentials": []any{}}
}

func showUser(p entra.Principal) map[string]any {
	return map[string]any{"id": p.ObjectID, "displayName": p.Name, "userPrincipalName": p.UserName, "mail": nil, "businessPhones": []string{},
		"givenName": nil, "surname": nil, "jobTitle": nil, "mobilePhone": nil, "officeLocation": nil, "preferredLanguage": nil}
}

func showAny(p entra.Principal) map[string]any {
	if p.Kind == entra.PrincipalUser {
		return tagged("user", showUser(p))
	}
	return tagged("servicePrincipal", showServicePrincipal(p))
}

func tagged(typ string, m map[string]any) map[string]any {
	m["@odata.type"] = "#microsoft.graph." + typ
	return m
}

func metadata(what string) string { return "https://" + Host + "/v1.0/$metadata#" + what }

// me is for people alone.
func me(r *request) (any, *failure) {
	for _, p := range r.tenant.Principals() {
		if p.Kind == entra.PrincipalUser && p.ObjectID == r.caller.ObjectID {
			m := showUser(p)
			m["@odata.context"] = metadata("users/$entity")
			return m, nil
		}
	}
	return nil, &failure{http.StatusBadRequest, "BadRequest", "/me request is only valid with delegated authentication flow."}
}

func list(k kind) func(*request) (any, *failure) {
	return func(r *request) (any, *failure) {
		match, f := filter(r.URL.Query().Get("$filter"))
		if f != nil {
			return nil, f
		}
		value := []any{}
		for _, p := range r.tenant.Principals() {
			if k.of(p) && match(p) {
				value = append(value, k.show(p))
			}
		}
		out := map[string]any{"@odata.context": metadata(k.name), "value": value}
		if strings.EqualFold(r.URL.Query().Get("$count"), "true") {
			out["@odata.count"] = len(value)
		}
		return out, nil
	}
}

func one(k kind) func(*request) (any, *failure) {
	return func(r *request) (any, *failure) { return find(r, k, r.PathValue("id")) }
}

func find(r *request, k kind, id string) (any, *failure) {
	for _, p := range r.tenant.Principals() {
		if !k.of(p) {
			continue
		}
		m := k.show(p)
		if strings.EqualFold(m["id"].(string), id) || p.UserName != "" && strings.EqualFold(p.UserName, id) {
			m["@odata.context"] = metadata(k.name + "/$entity")
			return m, nil
		}
	}
	return nil, notFound(id)
}

func notFound(id string) *failure {
	return &failure{http.StatusNotFound, "Request_ResourceNotFound",
		fmt.Sprintf("Resource '%s' does not exist or one of its queried reference-property objects are not present.", id)}
}

var keyPattern = regexp.MustCompile(`(?i)^(servicePrincipals|applications)\(appId='([^']*)'\)$`)

// byKey answers servicePrincipals(appId='…').
func byKey(r *request) (any, *failure) {
	m := keyPattern.FindStringSubmatch(r.PathValue("keyed"))
	if m == nil {
		return nil, &failure{http.StatusBadRequest, "BadRequest", fmt.Sprintf("Resource not found for the segment '%s'.", r.PathValue("keyed"))}
	}
	k := servicePrincipals
	if strings.EqualFold(m[1], "applications") {
		k = applications
	}
	for _, p := range r.tenant.Principals() {
		if k.of(p) && strings.EqualFold(p.AppID, m[2]) {
			return k.show(p), nil
		}
	}
	return nil, notFound(m[2])
}

// byIDs is directoryObjects/getByIds: unknown ids are left out.
func byIDs(r *request) (any, *failure) {
	if !strings.EqualFold(strings.TrimPrefix(r.PathValue("action"), "microsoft.graph."), "getByIds") {
		return nil, &failure{http.StatusBadRequest, "BadRequest", fmt.Sprintf("Resource not found for the segment '%s'.", r.PathValue("action"))}
	}
	var body struct {
		IDs   []string `json:"ids"`
		Types []string `json:"types"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<20)).Decode(&body); err != nil {
		return nil, &failure{http.StatusBadRequest, "BadRequest", "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format."}
	}
	if len(body.IDs) > 1000 {
		return nil, &failure{http.StatusBadRequest, "Request_BadRequest", "Too many ids: the limit is 1000."}
	}
	value := []any{}
	for _, p := range r.tenant.Principals() {
		typ := "servicePrincipal"
		if p.Kind == entra.PrincipalUser {
			typ = "user"
		}
		wanted := len(body.Types) == 0 || slices.ContainsFunc(body.Types, func(t string) bool {
			return strings.EqualFold(t, typ) || strings.EqualFold(t, "directoryObject")
		})
		if wanted && slices.ContainsFunc(body.IDs, func(id string) bool { return strings.EqualFold(id, p.ObjectID) }) {
			value = append(value, showAny(p))
		}
	}
	return map[string]any{"@odata.context": metadata("directoryObjects"), "value": value}, nil
}

var (
	equals     = regexp.MustCompile(`(?i)^\s*(appId|id|displayName|userPrincipalName|mail|servicePrincipalType)\s+eq\s+'((?:[^']|'')*)'\s*$`)
	startswith = regexp.MustCompile(`(?i)^\s*startswith\(\s*(displayName|userPrincipalName)\s*,\s*'((?:[^']|'')*)'\s*\)\s*$`)
	anyName    = regexp.MustCompile(`(?i)^\s*(?:servicePrincipalNames|identifierUris|alternativeNames)/any\(\s*(\w+)\s*:\s*(\w+)\s+eq\s+'((?:[^']|'')*)'\s*\)\s*$`)
	joinOr     = regexp.MustCompile(`(?i)\s+or\s+`)
)

// filter reads the OData filters that az sends, joined by "or".
func filter(expr string) (func(entra.Principal) bool, *failure) {
	if strings.TrimSpace(expr) == "" {
		return func(entra.Principal) bool { return true }, nil
	}
	var terms []func(entra.Principal) bool
	for _, part := range joinOr.Split(expr, -1) {
		if m := equals.FindStringSubmatch(part); m != nil {
			want := strings.ReplaceAll(m[2], "''", "'")
			terms = append(terms, func(p entra.Principal) bool { return strings.EqualFold(field(p, m[1]), want) && want != "" })
		} else if m := startswith.FindStringSubmatch(part); m != nil {
			want := strings.ToLower(strings.ReplaceAll(m[2], "''", "'"))
			terms = append(terms, func(p entra.Principal) bool { return strings.HasPrefix(strings.ToLower(field(p, m[1])), want) })
		} else if m := anyName.FindStringSubmatch(part); m != nil && m[1] == m[2] {
			want := strings.ReplaceAll(m[3], "''", "'")
			terms = append(terms, func(p entra.Principal) bool {
				return want != "" && (strings.EqualFold(p.AppID, want) || strings.EqualFold(p.ResourceID, want))
			})
		} else {
			return nil, &failure{http.StatusBadRequest, "BadRequest", fmt.Sprintf("Invalid filter clause: '%s' is not among the filters that this simulation answers.", part)}
		}
	}
	return func(p entra.Principal) bool {
		return slices.ContainsFunc(terms, func(f func(entra.Principal) bool) bool { return f(p) })
	}, nil
}

func field(p entra.Principal, name string) string {
	switch strings.ToLower(name) {
	case "appid":
		return p.AppID
	case "id":
		return p.ObjectID
	case "displayname":
		return p.Name
	case "userprincipalname":
		return p.UserName
	case "serviceprincipaltype":
		return string(p.Kind)
	}
	return ""
}

func lastSegment(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
