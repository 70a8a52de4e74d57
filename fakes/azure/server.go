package azure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/acrlab/acrlab/fakes/netio"
	"github.com/acrlab/acrlab/fakes/pki"
	"github.com/acrlab/acrlab/fakes/web"
)

// Host is the name that the server's certificate is for.
const Host = "management.azure.com"

// Server shows a store as Azure Resource Manager.
type Server struct {
	*web.Server
	handler *handler
}

var _ netio.Server = (*Server)(nil)

// Serve answers at every address of listen. ctx governs only the listening.
// verify must not be nil.
func Serve(ctx context.Context, n netio.Net, listen []netip.AddrPort, store *Store, front Front, ca *pki.Authority, verify TokenVerifier) (*Server, error) {
	h := newHandler(store, front, verify)
	s, err := web.ServeTLS(ctx, n, listen, ca, []string{Host}, h)
	if err != nil {
		return nil, fmt.Errorf("serving Azure Resource Manager: %w", err)
	}
	return &Server{Server: s, handler: h}, nil
}

// Update takes a new configuration for requests to come.
func (s *Server) Update(front Front) error {
	s.handler.front.Store(&front)
	return nil
}

// Follow sets what a request that may have written awaits before it is
// answered: that whoever depends on the store has taken note of its revision.
// An [*Error] of f is answered as it stands, any other as InternalServerError;
// the write stays either way.
func (s *Server) Follow(f func(ctx context.Context, revision uint64) error) {
	s.handler.follow.Store(&f)
}

// Handler is the server without sockets.
func Handler(store *Store, front Front, verify TokenVerifier) http.Handler {
	return newHandler(store, front, verify)
}

type handler struct {
	store      *Store
	verify     TokenVerifier
	front      atomic.Pointer[Front]
	operations operations
	follow     atomic.Pointer[func(ctx context.Context, revision uint64) error]
}

func newHandler(store *Store, front Front, verify TokenVerifier) *handler {
	h := &handler{store: store, verify: verify}
	h.front.Store(&front)
	return h
}

// request is one request with what was found out about it.
type request struct {
	*http.Request
	path    string
	version string // api-version
	caller  Caller
	allowed bool // the caller is one of Front.Clients
}

// reply is a success.
type reply struct {
	status int
	body   any // nil: no content
	header map[string]string
}

const maxBody = 4 << 20 // ARM's own limit for request bodies

var versionPattern = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}(-[A-Za-z]+)?$`)

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	correlation := r.Header.Get("x-ms-correlation-request-id")
	if correlation == "" || len(correlation) > 64 {
		correlation = uuid.NewString()
	}
	head := w.Header()
	head.Set("Cache-Control", "no-cache")
	head.Set("Pragma", "no-cache")
	head.Set("Expires", "-1")
	head.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("x-ms-request-id", uuid.NewString())
	head.Set("x-ms-correlation-request-id", correlation)
	head.Set("x-ms-routing-request-id", "EASTUS:"+time.Now().UTC().Format("20060102T150405Z")+":"+correlation)
	if id := r.Header.Get("x-ms-client-request-id"); id != "" && len(id) <= 64 {
		head.Set("x-ms-client-request-id", id)
	}
	out, err := h.answer(r)
	if err == nil {
		err = h.followed(r)
	}
	if err != nil {
		writeError(w, err)
		return
	}
	if r.Method == http.MethodGet {
		head.Set("x-ms-ratelimit-remaining-subscription-global-reads", "3749")
	} else {
		head.Set("x-ms-ratelimit-remaining-subscription-global-writes", "2999")
	}
	for k, v := range out.header {
		head.Set(k, v)
	}
	writeJSON(w, out.status, out.body)
}

// followed waits for those who follow the store, unless r can only have read.
func (h *handler) followed(r *http.Request) error {
	f := h.follow.Load()
	if f == nil || *f == nil || r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	return (*f)(r.Context(), h.store.Revision())
}

// answer checks in ARM's order: token, api-version, path.
func (h *handler) answer(r *http.Request) (reply, error) {
	if strings.EqualFold(r.URL.Path, "/metadata/endpoints") && r.Method == http.MethodGet {
		return metadata(), nil
	}
	req := &request{Request: r, path: strings.TrimRight(r.URL.Path, "/"), version: r.URL.Query().Get("api-version")}
	var err error
	if req.caller, err = h.authenticate(r); err != nil {
		return reply{}, err
	}
	req.allowed = slices.ContainsFunc(h.front.Load().Clients, func(id string) bool { return strings.EqualFold(id, req.caller.AppID) })
	switch {
	case req.version == "":
		return reply{}, errorf(http.StatusBadRequest, "MissingApiVersionParameter",
			"The api-version query parameter (?api-version=) is required for all requests.")
	case !versionPattern.MatchString(req.version):
		return reply{}, errorf(http.StatusBadRequest, "InvalidApiVersionParameter",
			"The api-version '%s' is invalid. An api-version is a date, 'YYYY-MM-DD', with '-preview' where it is one.", req.version)
	case r.URL.RawPath != "" && strings.Count(r.URL.EscapedPath(), "/") != strings.Count(r.URL.Path, "/"):
		return reply{}, errorf(http.StatusBadRequest, "InvalidResourceId", "The path '%s' holds an escaped slash.", r.URL.EscapedPath())
	}
	return h.route(req)
}

func (h *handler) authenticate(r *http.Request) (Caller, error) {
	tenant := h.store.tenantID()
	caller, err := h.caller(r)
	if err == nil && tenant != "" && !strings.EqualFold(tenant, caller.Tenant) {
		err = unauthorized("InvalidAuthenticationTokenTenant",
			"The access token is from the wrong issuer 'https://sts.windows.net/%s/'. It must match the tenant 'https://sts.windows.net/%s/' associated with this subscription.",
			caller.Tenant, tenant)
	}
	if e, ok := errors.AsType[*Error](err); ok {
		e.Authenticate = challenge(tenant, e.Message)
	}
	return caller, err
}

func (h *handler) caller(r *http.Request) (Caller, error) {
	auth := r.Header.Get("Authorization")
	if auth == "" {
		return Caller{}, unauthorized("AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.")
	}
	scheme, token, ok := strings.Cut(auth, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || strings.TrimSpace(token) == "" {
		return Caller{}, unauthorized("AuthenticationFailedInvalidHeader",
			"Authentication failed. The 'Authorization' header is provided in an invalid format.")
	}
	caller, err := h.verify(strings.TrimSpace(token))
	if e, ok := errors.AsType[*Error](err); ok {
		copied := *e // the caller adds the header of this request
		return Caller{}, &copied
	}
	if err != nil {
		return Caller{}, unauthorized("InvalidAuthenticationToken", "The access token is invalid.")
	}
	return caller, nil
}

// permit refuses callers without the right. Before any role is assigned, those
// of Front.Clients may do everything and others nothing.
func (h *handler) permit(d *data, req *request, action string, scope ID) error {
	allowed, decided := d.allows(req.caller.ObjectID, action, scope)
	if !decided {
		allowed = req.allowed
	}
	if allowed {
		return nil
	}
	return errorf(http.StatusForbidden, "AuthorizationFailed",
		"The client '%s' with object id '%s' does not have authorization to perform action '%s' over scope '%s' or the scope is invalid. If access was recently granted, please refresh your credentials.",
		req.caller.AppID, req.caller.ObjectID, action, scope)
}

// read decodes the request body as a JSON object.
func (req *request) read() (json.RawMessage, error) {
	raw, err := io.ReadAll(io.LimitReader(req.Body, maxBody+1))
	if err != nil {
		return nil, invalidContent(err)
	}
	if len(raw) > maxBody {
		return nil, errorf(http.StatusRequestEntityTooLarge, "RequestContentTooLarge", "The request content is larger than %d bytes.", maxBody)
	}
	if len(raw) == 0 {
		return nil, errorf(http.StatusBadRequest, "InvalidRequestContent", "The request content is empty.")
	}
	if _, err := object(raw); err != nil {
		return nil, invalidContent(err)
	}
	return raw, nil
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	if body == nil {
		w.WriteHeader(status)
		return
	}
	raw, err := json.Marshal(body)
	if err != nil {
		status, raw = http.StatusInternalServerError, []byte(`{"error":{"code":"InternalServerError","message":"The resource cannot be shown."}}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(raw)
}

func writeError(w http.ResponseWriter, err error) {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = errorf(http.StatusInternalServerError, "InternalServerError", "%s", err)
	}
	type detail struct {
		Code    string   `json:"code"`
		Target  string   `json:"target,omitempty"`
		Message string   `json:"message"`
		Details []detail `json:"details,omitempty"`
		Info    []any    `json:"additionalInfo,omitempty"`
	}
	var details []detail
	for _, x := range e.Details {
		details = append(details, detail{Code: x.Code, Target: x.Target, Message: x.Message})
	}
	if e.Authenticate != "" {
		w.Header().Set("WWW-Authenticate", e.Authenticate)
	}
	w.Header().Set("x-ms-failure-cause", "gateway")
	writeJSON(w, e.Status, map[string]detail{"error": {e.Code, e.Target, e.Message, details, e.Info}})
}
