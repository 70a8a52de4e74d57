package entra

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/acrlab/acrlab/fakes/netio"
	"github.com/acrlab/acrlab/fakes/pki"
	"github.com/acrlab/acrlab/fakes/web"
)

// Host is the authority that clients of Azure's public cloud sign in at.
const Host = "login.microsoftonline.com"

// aliases are the names of the same authority, as instance discovery lists them.
var aliases = []string{Host, "login.windows.net", "login.microsoft.com", "sts.windows.net"}

// Server is a running sign-in endpoint.
type Server struct {
	*web.Server
	tenant *Tenant
}

var _ netio.Server = (*Server)(nil)

// Serve answers for one tenant at every address of listen. ctx governs only
// the listening.
func Serve(ctx context.Context, n netio.Net, listen []netip.AddrPort, t *Tenant, ca *pki.Authority) (*Server, error) {
	s, err := web.ServeTLS(ctx, n, listen, ca, aliases, Handler(t))
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
	mux.HandleFunc("POST /{tenant}/oauth2/v2.0/devicecode", h.deviceCode)
	mux.HandleFunc("POST /{tenant}/oauth2/devicecode", h.deviceCode)
	mux.HandleFunc("GET /{tenant}/oauth2/devicecode", h.deviceCode) // ADAL asked so
	mux.HandleFunc("GET /common/userrealm/{user}", h.userRealm)
	for _, path := range []string{"/device", "/common/oauth2/deviceauth"} {
		mux.HandleFunc("GET "+path, h.devicePage)
		mux.HandleFunc("POST "+path, h.deviceApproval)
	}
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

// clouds are the authorities that instance discovery knows, as the service
// lists them. Only the first is simulated.
var clouds = []any{
	cloud(Host, "login.windows.net", aliases...),
	cloud("login.partner.microsoftonline.cn", "login.partner.microsoftonline.cn", "login.partner.microsoftonline.cn", "login.chinacloudapi.cn"),
	cloud("login.microsoftonline.de", "login.microsoftonline.de", "login.microsoftonline.de"),
	cloud("login.microsoftonline.us", "login.microsoftonline.us", "login.microsoftonline.us", "login.usgovcloudapi.net"),
	cloud("login-us.microsoftonline.com", "login-us.microsoftonline.com", "login-us.microsoftonline.com"),
}

func cloud(network, cache string, names ...string) any {
	return map[string]any{"preferred_network": network, "preferred_cache": cache, "aliases": names}
}

// instance is asked by MSAL whether an authority may be trusted. Version 1.0 of
// the API leaves the list of clouds out.
func (h handler) instance(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	at, err := url.Parse(q.Get("authorization_endpoint"))
	if err != nil || !slices.Contains(aliases, strings.ToLower(at.Hostname())) {
		fail(http.StatusBadRequest, "invalid_instance", 50049, "Unknown or invalid instance.").write(w, correlation(r))
		return
	}
	tenant, _, _ := strings.Cut(strings.TrimPrefix(at.Path, "/"), "/")
	answer := map[string]any{"tenant_discovery_endpoint": "https://" + Host + "/" + tenant + "/v2.0/.well-known/openid-configuration"}
	if version := q.Get("api-version"); version != "1.0" {
		answer["api-version"], answer["metadata"] = version, clouds
	}
	web.WriteJSON(w, http.StatusOK, answer)
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
		if !strings.EqualFold(tenant, id) {
			id = "{tenantid}" // "common" and "organizations": each token names its own
		}
		issuer := "https://" + Host + "/" + id + "/v2.0"
		if version == "" {
			issuer = "https://sts.windows.net/" + id + "/"
		}
		web.WriteJSON(w, http.StatusOK, map[string]any{
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
	web.WriteJSON(w, http.StatusOK, set)
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
