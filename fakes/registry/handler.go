package registry

import (
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// handler serves one front. What it may answer depends on the name that the
// client asked for (Host), on the address it comes from and on the front.
type handler struct {
	reg   *Registry
	front func() Front
}

// request is an HTTP request together with what was found out about it.
type request struct {
	*http.Request
	front Front
	cfg   *Config
	host  string // lower case, without port
	addr  netip.Addr
	// identity is who the client says it is, once that was read.
	identity string
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req := &request{Request: r, front: h.front(), cfg: h.reg.config(), host: hostOf(r.Host)}
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		req.addr = ap.Addr()
	}
	switch req.front.Roles[req.host] {
	case Login:
		h.observed(w, req, h.serveLogin)
	case Data:
		h.serveData(w, req)
	case Storage:
		h.serveStorage(w, req)
	default:
		notFound(w)
	}
}

// serveLogin is the login server: authentication, manifests, and every upload.
func (h *handler) serveLogin(w http.ResponseWriter, r *request) {
	if !h.admitted(r) {
		apiHeaders(w.Header())
		denied(w, r.URL.Path, r.addr)
		return
	}
	if r.cfg.Open {
		h.serveOpen(w, r)
		return
	}
	switch {
	case r.URL.Path == "/oauth2/exchange":
		apiHeaders(w.Header())
		h.serveExchange(w, r)
	case r.URL.Path == "/oauth2/token":
		apiHeaders(w.Header())
		h.serveToken(w, r)
	case r.URL.Path == "/v2" || strings.HasPrefix(r.URL.Path, "/v2/"):
		apiHeaders(w.Header())
		h.serveV2(w, r)
	case strings.HasPrefix(r.URL.Path, "/acr/v1/"):
		apiHeaders(w.Header())
		h.serveACR(w, r)
	default:
		notFound(w)
	}
}

// admitted applies the network rules. They do not apply behind a private
// endpoint: https://learn.microsoft.com/azure/container-registry/container-registry-access-selected-networks
func (h *handler) admitted(r *request) bool {
	return r.front.Private || r.cfg.Public.Allows(r.addr)
}

// apiHeaders sets what every answer of the registry API carries
// (docs/fidelity.md, registry HTTP). Strict-Transport-Security is sent twice by
// the service too.
func apiHeaders(h http.Header) {
	h.Set("Server", "AzureContainerRegistry")
	h.Set("Connection", "keep-alive")
	h["Access-Control-Expose-Headers"] = []string{"Docker-Content-Digest", "WWW-Authenticate", "Link", "X-Ms-Correlation-Request-Id"}
	h.Set("Docker-Distribution-Api-Version", "registry/2.0")
	h["Strict-Transport-Security"] = []string{"max-age=31536000; includeSubDomains", "max-age=31536000; includeSubDomains"}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Ms-Correlation-Request-Id", uuid.NewString())
}

// notFound is what the service answers to GET / and to names that are not its
// own: nine bytes (docs/fidelity.md, registry HTTP).
func notFound(w http.ResponseWriter) {
	const body = "Not Found"
	h := w.Header()
	h.Set("Server", "AzureContainerRegistry")
	h.Set("Connection", "keep-alive")
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write([]byte(body))
}

func hostOf(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
