package registry

import (
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Operations of events, as the service's logs name them.
const (
	OperationLogin = "Login"
	OperationPull  = "Pull"
	OperationPush  = "Push"
	OperationUntag = "Untag"
	OperationPurge = "Delete"
)

// Event is what the service logs about a request: a sign-in, or something done
// to a repository.
// https://learn.microsoft.com/azure/container-registry/monitor-container-registry-reference
type Event struct {
	Time        time.Time
	Duration    time.Duration
	LoginServer string
	Region      string
	Operation   string
	// Identity is a user name, token name or application id; empty when unknown.
	Identity    string
	Caller      netip.Addr
	Status      int // of HTTP
	Correlation string
	UserAgent   string

	Repository, Tag, Digest, MediaType string
	Size                               int64
}

// EventSink takes events. It is called while a request is answered, so it must
// be quick.
type EventSink interface{ Record(Event) }

// WithEvents reports what clients do to the registry.
func WithEvents(sink EventSink) Option {
	return func(r *Registry) { r.events = sink }
}

// observed answers a request and reports it.
func (h *handler) observed(w http.ResponseWriter, r *request, serve func(http.ResponseWriter, *request)) {
	e, logged := h.describe(r)
	if h.reg.events == nil || !logged {
		serve(w, r)
		return
	}
	start := time.Now()
	seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
	serve(seen, r)
	e.Time, e.Duration, e.Status = h.reg.now(), time.Since(start), seen.status
	e.Correlation, e.Identity = w.Header().Get("X-Ms-Correlation-Request-Id"), r.identity
	if e.Operation != OperationLogin {
		if e.Status == http.StatusUnauthorized && r.Header.Get("Authorization") == "" {
			return // the challenge is part of every pull
		}
		e.MediaType = mediaTypeOf(r, w.Header())
		if d := w.Header().Get("Docker-Content-Digest"); d != "" {
			e.Digest = d
		}
		e.Size, _ = strconv.ParseInt(w.Header().Get("Content-Length"), 10, 64)
		if r.Method == http.MethodPut {
			e.Size = max(r.ContentLength, 0)
		}
	}
	if e.Status == http.StatusForbidden && !h.admitted(r) {
		// Network rules refuse before anything is known of the request.
		e.Operation, e.Repository, e.Tag, e.Digest, e.MediaType, e.Size = OperationLogin, "", "", "", "", 0
	}
	h.reg.events.Record(e)
}

func mediaTypeOf(r *request, answer http.Header) string {
	if r.Method == http.MethodPut {
		return r.Header.Get("Content-Type")
	}
	if answer.Get("Docker-Content-Digest") != "" {
		return answer.Get("Content-Type")
	}
	return ""
}

// describe says whether a request is logged, and as what: the token service as
// a sign-in, manifests as what is done to a repository, and whatever the
// network rules refuse. Layers leave no row.
func (h *handler) describe(r *request) (Event, bool) {
	e := Event{LoginServer: r.cfg.LoginServer, Region: r.front.Region, Caller: r.addr, UserAgent: r.UserAgent(), Operation: OperationLogin}
	if slices.Contains([]string{"/oauth2/token", "/oauth2/exchange"}, r.URL.Path) || !h.admitted(r) {
		return e, true
	}
	rt := parsePath(r.URL.Path)
	if rt.kind != kindManifest || !strings.HasPrefix(r.URL.Path, "/v2/") {
		return e, false
	}
	e.Repository = rt.name
	byDigest := strings.Contains(rt.rest, ":")
	if byDigest {
		e.Digest = rt.rest
	} else {
		e.Tag = rt.rest
	}
	switch r.Method {
	case http.MethodGet:
		e.Operation = OperationPull
	case http.MethodPut:
		e.Operation = OperationPush
	case http.MethodDelete:
		if e.Operation = OperationUntag; byDigest {
			e.Operation = OperationPurge
		}
	default:
		return e, false
	}
	return e, true
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
	wrote  bool
}

func (s *statusWriter) WriteHeader(status int) {
	if !s.wrote {
		s.status, s.wrote = status, true
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusWriter) Write(b []byte) (int, error) {
	s.wrote = true
	return s.ResponseWriter.Write(b)
}

// Unwrap is for [http.ResponseController].
func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }
