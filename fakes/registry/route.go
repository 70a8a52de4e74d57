package registry

import (
	"net/http"
	"slices"
	"strings"
)

// kind is what a path of the distribution API names.
type kind int

const (
	kindNone kind = iota
	kindBase
	kindCatalog
	kindManifest
	kindBlob
	kindUploads // collection
	kindUpload  // one session
	kindTags
	kindReferrers
)

// route is a parsed path. rest is the reference, digest or upload id.
type route struct {
	kind kind
	name string
	rest string
}

// parsePath splits a path under /v2/. Repository names may contain any of the
// API's own words, so paths are read from their end.
func parsePath(path string) route {
	if path == "/v2" || path == "/v2/" {
		return route{kind: kindBase}
	}
	if path == "/v2/_catalog" {
		return route{kind: kindCatalog}
	}
	after, ok := strings.CutPrefix(path, "/v2/")
	if !ok {
		return route{}
	}
	parts := strings.Split(after, "/")
	n := len(parts)
	name := func(cut int) string { return strings.Join(parts[:n-cut], "/") }
	switch {
	case n >= 4 && parts[n-3] == "blobs" && parts[n-2] == "uploads":
		if parts[n-1] == "" {
			return route{kind: kindUploads, name: name(3)}
		}
		return route{kind: kindUpload, name: name(3), rest: parts[n-1]}
	case n >= 3 && parts[n-2] == "blobs" && parts[n-1] == "uploads":
		return route{kind: kindUploads, name: name(2)}
	case n >= 3 && parts[n-2] == "manifests" && parts[n-1] != "":
		return route{kind: kindManifest, name: name(2), rest: parts[n-1]}
	case n >= 3 && parts[n-2] == "blobs" && parts[n-1] != "":
		return route{kind: kindBlob, name: name(2), rest: parts[n-1]}
	case n >= 3 && parts[n-2] == "tags" && parts[n-1] == "list":
		return route{kind: kindTags, name: name(2)}
	case n >= 3 && parts[n-2] == "referrers" && parts[n-1] != "":
		return route{kind: kindReferrers, name: name(2), rest: parts[n-1]}
	}
	return route{}
}

// needs are the grants that a request must hold: all of them.
// https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md names the actions.
func (rt route) needs(r *http.Request) []grant {
	repo := func(actions ...string) []grant { return []grant{{Type: "repository", Name: rt.name, Actions: actions}} }
	reading := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch rt.kind {
	case kindBase:
		return nil
	case kindCatalog:
		return []grant{{Type: "registry", Name: "catalog", Actions: []string{"*"}}}
	case kindTags:
		return repo("metadata_read")
	case kindUploads, kindUpload:
		need := repo("pull", "push")
		if from := r.URL.Query().Get("from"); rt.kind == kindUploads && validName(from) && from != rt.name {
			need = append(need, grant{Type: "repository", Name: from, Actions: []string{"pull"}})
		}
		return need
	}
	switch {
	case reading:
		return repo("pull")
	case r.Method == http.MethodDelete:
		return repo("delete")
	}
	return repo("pull", "push")
}

// serveV2 authorizes a request of the distribution API and hands it on.
func (h *handler) serveV2(w http.ResponseWriter, r *request) {
	rt := parsePath(r.URL.Path)
	if rt.kind == kindNone {
		writeJSON(w, http.StatusNotFound, []byte("404 page not found\n"))
		return
	}
	if !slices.Contains([]kind{kindBase, kindCatalog}, rt.kind) && !validName(rt.name) {
		(&apiError{status: http.StatusBadRequest, code: "NAME_INVALID", message: "invalid repository name"}).write(w)
		return
	}
	if !h.authorize(w, r, rt.needs(r.Request)) {
		return
	}
	if err := h.dispatch(w, r, rt); err != nil {
		err.write(w)
	}
}

func (h *handler) dispatch(w http.ResponseWriter, r *request, rt route) *apiError {
	const get, head = http.MethodGet, http.MethodHead
	switch rt.kind {
	case kindManifest:
		return h.serveManifest(w, r, rt)
	case kindBlob:
		return h.serveBlob(w, r, rt)
	case kindUploads:
		return h.serveUploads(w, r, rt)
	case kindUpload:
		return h.serveUpload(w, r, rt)
	}
	if r.Method != get && r.Method != head {
		return errUnsupported(w, "GET")
	}
	switch rt.kind {
	case kindCatalog:
		return h.serveCatalog(w, r)
	case kindTags:
		return h.serveTags(w, r, rt)
	case kindReferrers:
		return h.serveReferrers(w, rt, r)
	}
	writeJSON(w, http.StatusOK, []byte("{}"))
	return nil
}
