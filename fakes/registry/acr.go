package registry

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// serveACR is the part of the service's own API that Azure CLI reads:
// "az acr repository list", "show" and "show-tags".
// https://learn.microsoft.com/rest/api/containerregistry/
func (h *handler) serveACR(w http.ResponseWriter, r *request) {
	path := strings.TrimPrefix(r.URL.Path, "/acr/v1/")
	name, list := path, ""
	for _, l := range []string{"/_tags", "/_manifests"} {
		if n, ok := strings.CutSuffix(path, l); ok {
			name, list = n, l[1:]
		}
	}
	need := []grant{{Type: "repository", Name: name, Actions: []string{"metadata_read"}}}
	if path == "_catalog" {
		need = []grant{{Type: "registry", Name: "catalog", Actions: []string{"*"}}}
	} else if !validName(name) {
		writeJSON(w, http.StatusNotFound, []byte("404 page not found\n"))
		return
	}
	if !h.authorize(w, r, need) {
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		errUnsupported(w, "GET").write(w)
		return
	}
	if path == "_catalog" {
		if bad := h.serveCatalog(w, r); bad != nil {
			bad.write(w)
		}
		return
	}
	tags, known := h.reg.store.tags(name)
	if !known {
		errNameUnknown(name).write(w)
		return
	}
	at := uploaded.Format(time.RFC3339Nano)
	attributes := map[string]bool{"deleteEnabled": true, "writeEnabled": true, "readEnabled": true, "listEnabled": true}
	type obj = map[string]any
	switch list {
	case "_tags":
		part, next, bad := page(tags, orderless(r.URL.Query()), catalogPage)
		if bad != nil {
			bad.write(w)
			return
		}
		entries := []obj{}
		for _, t := range part {
			m, _ := h.reg.store.manifest(name, reference{tag: t})
			if m == nil {
				continue // deleted since the list was read
			}
			entries = append(entries, obj{"name": t, "digest": m.digest, "createdTime": at, "lastUpdateTime": at,
				"signed": false, "changeableAttributes": attributes})
		}
		link(w, r.URL.Path, next)
		writeValue(w, http.StatusOK, obj{"registry": r.cfg.LoginServer, "imageName": name, "tags": entries})
	case "_manifests":
		entries := []obj{}
		for _, m := range h.reg.store.manifests(name) {
			entries = append(entries, obj{"digest": m.digest, "imageSize": len(m.body), "createdTime": at, "lastUpdateTime": at,
				"mediaType": m.mediaType, "changeableAttributes": attributes})
		}
		writeValue(w, http.StatusOK, obj{"registry": r.cfg.LoginServer, "imageName": name, "manifests": entries})
	default:
		writeValue(w, http.StatusOK, obj{"registry": r.cfg.LoginServer, "imageName": name, "createdTime": at, "lastUpdateTime": at,
			"manifestCount": len(h.reg.store.manifests(name)), "tagCount": len(tags), "changeableAttributes": attributes})
	}
}

// orderless drops orderby: names are always listed in byte order here.
func orderless(q url.Values) url.Values {
	q.Del("orderby")
	return q
}
