package imds

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/acrlab/acrlab/fakes/netio"
	"github.com/acrlab/acrlab/fakes/web"
)

// Issuer signs an access token of an identity for a resource.
type Issuer func(id Identity, resource string, now time.Time) (token string, life time.Duration, err error)

// Server is a running metadata service.
type Server struct {
	*web.Server
	handler *handler
}

var _ netio.Server = (*Server)(nil)

// Serve answers at every address of listen, without TLS as the service does.
// ctx governs only the listening.
func Serve(ctx context.Context, n netio.Net, listen []netip.AddrPort, cfg Config, issue Issuer) (*Server, error) {
	h := newHandler(cfg, issue)
	s, err := web.Serve(ctx, n, listen, h)
	if err != nil {
		return nil, fmt.Errorf("serving instance metadata: %w", err)
	}
	return &Server{Server: s, handler: h}, nil
}

// Update takes another configuration for requests to come.
func (s *Server) Update(cfg Config) error {
	s.handler.cfg.Store(&cfg)
	return nil
}

// handler answers for the machine at Request.RemoteAddr.
type handler struct {
	cfg   atomic.Pointer[Config]
	issue Issuer
}

func newHandler(cfg Config, issue Issuer) *handler {
	h := &handler{issue: issue}
	h.cfg.Store(&cfg)
	return h
}

// versions are the api-versions of the service, oldest first.
var versions = []string{
	"2017-03-01", "2017-04-02", "2017-08-01", "2017-10-01", "2017-12-01", "2018-02-01", "2018-04-02", "2018-10-01", "2019-02-01",
	"2019-03-11", "2019-04-30", "2019-06-01", "2019-06-04", "2019-08-01", "2019-08-15", "2019-11-01", "2020-06-01", "2020-07-15",
	"2020-09-01", "2020-10-01", "2020-12-01", "2021-01-01", "2021-02-01", "2021-03-01", "2021-05-01", "2021-10-01", "2021-11-01",
	"2021-11-15", "2021-12-13", "2023-07-01", "2023-11-15", "2024-03-15", "2024-07-17", "2025-04-07",
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m, ok := h.machine(r)
	if !ok {
		// Nobody but a virtual machine reaches the service: no answer at all.
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Server", "IMDS/150.870.65.1854")
	w.Header().Set("x-ms-request-id", uuid.NewString())
	path := strings.TrimSuffix(strings.ToLower(r.URL.Path), "/")
	identity := strings.HasPrefix(path, "/metadata/identity")
	switch {
	// Forwarded requests are refused: a proxy must not hand a machine's
	// metadata out. The header of its own keeps others from being tricked into asking.
	case r.Header.Get("X-Forwarded-For") != "":
		refuse(w, http.StatusBadRequest, identity, "invalid_request", "Required metadata header not specified or X-Forwarded-For header is present")
		return
	case !strings.EqualFold(r.Header.Get("Metadata"), "true"):
		refuse(w, http.StatusBadRequest, identity, "invalid_request", "Required metadata header not specified")
		return
	case r.Method != http.MethodGet && (!identity || r.Method != http.MethodPost):
		w.Header().Set("Allow", http.MethodGet)
		refuse(w, http.StatusMethodNotAllowed, identity, "invalid_request", "Method not allowed")
		return
	}
	switch {
	case path == "/metadata/versions":
		web.WriteJSON(w, http.StatusOK, map[string]any{"apiVersions": versions})
	case path == "/metadata/identity/oauth2/token":
		h.token(w, r, m)
	case path == "/metadata/identity/info" || path == "/metadata/identity":
		web.WriteJSON(w, http.StatusOK, map[string]string{"tenantId": m.Tenant})
	case path == "/metadata/instance" || strings.HasPrefix(path, "/metadata/instance/"):
		h.instance(w, r, m, strings.TrimPrefix(path, "/metadata/instance"))
	default:
		refuse(w, http.StatusNotFound, identity, "Not found", "")
	}
}

// machine is who asks.
func (h *handler) machine(r *http.Request) (Machine, bool) {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return Machine{}, false
	}
	m, ok := h.cfg.Load().Machines[from.Addr().Unmap().String()]
	return m, ok
}

// checkVersion answers what the service answers to a request without a known
// api-version: its newest ones.
func checkVersion(w http.ResponseWriter, r *http.Request) bool {
	version := r.URL.Query().Get("api-version")
	if slices.Contains(versions, version) {
		return true
	}
	text := "Bad request. api-version is invalid or was not specified in the request. For more information refer to aka.ms/azureimds"
	newest := slices.Clone(versions[len(versions)-3:])
	slices.Reverse(newest)
	web.WriteJSON(w, http.StatusBadRequest, map[string]any{"error": text, "newest-versions": newest})
	return false
}

// refuse writes an error. Those of the identity endpoint have OAuth's shape.
func refuse(w http.ResponseWriter, status int, identity bool, code, description string) {
	switch {
	case identity && description != "":
		web.WriteJSON(w, status, map[string]string{"error": code, "error_description": description})
	case description != "":
		web.WriteJSON(w, status, map[string]string{"error": "Bad request. " + description})
	default:
		web.WriteJSON(w, status, map[string]string{"error": code})
	}
}
