package entra

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/acrlab/acrlab/fakes/azure/https"
	"github.com/acrlab/acrlab/fakes/netio"
	"github.com/acrlab/acrlab/fakes/pki"
)

// Host is the authority that clients of Azure's public cloud sign in at.
const Host = "login.microsoftonline.com"

// aliases are the names of the same authority, as instance discovery lists them.
var aliases = []string{Host, "login.windows.net", "login.microsoft.com", "sts.windows.net"}

// Server is a running sign-in endpoint.
type Server struct {
	*https.Server
	tenant *Tenant
}

var _ netio.Server = (*Server)(nil)

// Serve answers for one tenant at every address of listen. ctx governs only
// the listening.
func Serve(ctx context.Context, n netio.Net, listen []netip.AddrPort, t *Tenant, ca *pki.Authority) (*Server, error) {
	s, err := https.Serve(ctx, n, listen, ca, aliases, Handler(t))
	if err != nil {
		return nil, fmt.Errorf("serving Entra: %w", err)
	}
	return &Server{Server: s, tenant: t}, nil
}

// Update changes the tenant's applications.
func (s *Server) Update(cfg Config) error { return s.tenant.Update(cfg) }

// Handler is the server without sockets.
func Handler(t *Tenant) http.Handler {
	h := handler{t}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /common/discovery/instance", h.instance)
	mux.HandleFunc("GET /{tenant}/v2.0/.well-known/openid-configuration", h.configuration("/v2.0"))
	mux.HandleFunc("GET /{tenant}/.well-known/openid-configuration", h.configuration(""))
	mux.HandleFunc("GET /{tenant}/discovery/v2.0/keys", h.keys)
	mux.HandleFunc("GET /{tenant}/discovery/keys", h.keys)
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/token", h.token)
	mux.HandleFunc("POST /{tenant}/oauth2/token", h.token)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Cache-Control", "no-store, no-cache")
		head.Set("Pragma", "no-cache")
		head.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("x-ms-request-id", uuid.NewString())
		if id := r.Header.Get("client-request-id"); id != "" && len(id) <= 64 {
			head.Set("client-request-id", id)
		}
		mux.ServeHTTP(w, r)
	})
}

type handler struct{ t *Tenant }

// known reports whether a path names the tenant, or stands for any.
func (h handler) known(tenant string) bool {
	return strings.EqualFold(tenant, h.t.ID()) || slices.Contains([]string{"common", "organizations"}, strings.ToLower(tenant))
}

// instance is asked by MSAL whether an authority may be trusted. Both versions
// of the API answer the same.
func (h handler) instance(w http.ResponseWriter, r *http.Request) {
	at, err := url.Parse(r.URL.Query().Get("authorization_endpoint"))
	if err != nil || !slices.Contains(aliases, strings.ToLower(at.Hostname())) {
		fail(http.StatusBadRequest, "invalid_instance", 50049, "Unknown or invalid instance.").write(w, correlation(r))
		return
	}
	tenant, _, _ := strings.Cut(strings.TrimPrefix(at.Path, "/"), "/")
	writeJSON(w, http.StatusOK, map[string]any{
		"tenant_discovery_endpoint": "https://" + Host + "/" + tenant + "/v2.0/.well-known/openid-configuration",
		"api-version":               r.URL.Query().Get("api-version"),
		"metadata": []any{map[string]any{
			"preferred_network": Host, "preferred_cache": "login.windows.net", "aliases": aliases}},
	})
}

func (h handler) configuration(version string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		tenant := r.PathValue("tenant")
		if !h.known(tenant) {
			f := tenantNotFound(tenant)
			f.code = "invalid_tenant"
			f.write(w, correlation(r))
			return
		}
		base, id := "https://"+Host+"/"+tenant, h.t.ID()
		issuer := "https://" + Host + "/" + id + "/v2.0"
		if version == "" {
			issuer = "https://sts.windows.net/" + id + "/"
		}
		writeJSON(w, http.StatusOK, map[string]any{
			"token_endpoint":                        base + "/oauth2" + version + "/token",
			"token_endpoint_auth_methods_supported": []string{"client_secret_post", "private_key_jwt", "client_secret_basic"},
			"jwks_uri":                              base + "/discovery" + version + "/keys",
			"response_modes_supported":              []string{"query", "fragment", "form_post"},
			"subject_types_supported":               []string{"pairwise"},
			"id_token_signing_alg_values_supported": []string{"RS256"},
			"response_types_supported":              []string{"code", "id_token", "code id_token", "id_token token"},
			"scopes_supported":                      []string{"openid", "profile", "email", "offline_access"},
			"issuer":                                issuer,
			"authorization_endpoint":                base + "/oauth2" + version + "/authorize",
			"device_authorization_endpoint":         base + "/oauth2" + version + "/devicecode",
			"end_session_endpoint":                  base + "/oauth2" + version + "/logout",
			"tenant_region_scope":                   "NA",
			"cloud_instance_name":                   "microsoftonline.com",
			"cloud_graph_host_name":                 "graph.windows.net",
			"msgraph_host":                          "graph.microsoft.com",
		})
	}
}

func (h handler) keys(w http.ResponseWriter, r *http.Request) {
	if tenant := r.PathValue("tenant"); !h.known(tenant) {
		tenantNotFound(tenant).write(w, correlation(r))
		return
	}
	set, err := h.t.keySet()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, http.StatusOK, set)
}

// token answers client_credentials (RFC 6749 section 4.4), with scope at the
// v2.0 endpoint and resource at the older one.
func (h handler) token(w http.ResponseWriter, r *http.Request) {
	answer, f := h.grant(w, r)
	if f != nil {
		f.write(w, correlation(r))
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

func (h handler) grant(w http.ResponseWriter, r *http.Request) (any, *failure) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		return nil, fail(http.StatusBadRequest, "invalid_request", 900144, "The request body could not be read.")
	}
	form := r.PostForm
	tenant := r.PathValue("tenant")
	if !strings.EqualFold(tenant, h.t.ID()) {
		// client_credentials has no tenant of its own to fall back on.
		return nil, tenantNotFound(tenant)
	}
	switch form.Get("grant_type") {
	case "client_credentials":
	case "":
		return nil, missing("grant_type")
	default:
		return nil, fail(http.StatusBadRequest, "unsupported_grant_type", 70003, "The app requested an unsupported grant type '%s'.", form.Get("grant_type"))
	}
	app, secret := form.Get("client_id"), form.Get("client_secret")
	if user, password, ok := r.BasicAuth(); ok { // client_secret_basic, RFC 6749 section 2.3.1
		app, secret = unescape(user), unescape(password)
	}
	if app == "" {
		return nil, missing("client_id")
	}
	known, right := h.t.secret(app, secret)
	switch {
	case !known:
		return nil, unknownApplication(app, h.t.ID())
	case secret == "":
		return nil, fail(http.StatusUnauthorized, "invalid_client", 7000218, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.")
	case !right:
		return nil, invalidSecret(app)
	}
	audience, f := audienceOf(r.URL.Path, form)
	if f != nil {
		return nil, f
	}
	now := time.Now()
	token, err := h.t.Token(app, audience, now)
	if err != nil {
		return nil, fail(http.StatusInternalServerError, "server_error", 90033, "A transient error has occurred.")
	}
	seconds := int(Lifetime.Seconds())
	if strings.HasSuffix(r.URL.Path, "/oauth2/v2.0/token") {
		return map[string]any{"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token}, nil
	}
	// The older endpoint spells numbers as strings.
	return map[string]string{"token_type": "Bearer", "expires_in": fmt.Sprint(seconds), "ext_expires_in": fmt.Sprint(seconds),
		"expires_on": fmt.Sprint(now.Add(Lifetime).Unix()), "not_before": fmt.Sprint(now.Unix()), "resource": audience, "access_token": token}, nil
}

// audienceOf is the resource that a token is wanted for. The double slash in
// "https://management.core.windows.net//.default" belongs to the resource,
// whose id ends in a slash.
func audienceOf(path string, form url.Values) (string, *failure) {
	if !strings.HasSuffix(path, "/oauth2/v2.0/token") {
		if form.Get("resource") == "" {
			return "", missing("resource")
		}
		return form.Get("resource"), nil
	}
	scope := form.Get("scope")
	if scope == "" {
		return "", missing("scope")
	}
	resource, ok := strings.CutSuffix(firstField(scope), "/.default")
	if !ok || resource == "" {
		return "", fail(http.StatusBadRequest, "invalid_scope", 1002012,
			"The provided value for scope %s is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).", scope)
	}
	return resource, nil
}

func unescape(s string) string {
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}

func correlation(r *http.Request) string {
	if id, err := uuid.Parse(r.Header.Get("client-request-id")); err == nil {
		return id.String()
	}
	return uuid.NewString()
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(raw)
}

func firstField(s string) string {
	if f := strings.Fields(s); len(f) > 0 {
		return f[0]
	}
	return ""
}
