package registry

import (
	"net/http"
	"strconv"
)

// serveBlob redirects downloads and answers everything else itself: uploads and
// HEAD never leave the login server.
// https://learn.microsoft.com/azure/container-registry/container-registry-dedicated-data-endpoints
func (h *handler) serveBlob(w http.ResponseWriter, r *request, rt route) *apiError {
	d, err := parseDigest(rt.rest)
	if err != nil {
		return errDigestInvalid(err.Error())
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodDelete:
		if !h.reg.store.deleteBlob(rt.name, d) {
			return errBlobUnknown(d)
		}
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusAccepted)
		return nil
	default:
		return errUnsupported(w, "GET, HEAD, DELETE")
	}
	content, ok := h.reg.store.blob(rt.name, d)
	if !ok {
		return errBlobUnknown(d)
	}
	hd := w.Header()
	hd.Set("Docker-Content-Digest", string(d))
	if r.Method == http.MethodHead {
		hd.Set("Content-Type", "application/octet-stream")
		hd.Set("Accept-Ranges", "bytes")
		hd.Set("Etag", strconv.Quote(string(d)))
		hd.Set("Content-Length", strconv.Itoa(len(content)))
		w.WriteHeader(http.StatusOK)
		return nil
	}
	hd.Set("Location", h.reg.blobURL(r.cfg, r.front.Region, d))
	hd.Set("Content-Type", "application/octet-stream")
	hd.Set("Content-Length", "0")
	w.WriteHeader(http.StatusTemporaryRedirect)
	return nil
}
