package registry

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
)

// maxManifest is the size of a manifest that the service takes: 4 MiB, the
// least that the specification asks for.
const maxManifest = 4 << 20

func (h *handler) serveManifest(w http.ResponseWriter, r *request, rt route) *apiError {
	ref, bad := parseReference(rt.rest)
	if bad != nil {
		return bad
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return h.getManifest(w, rt.name, ref)
	case http.MethodPut:
		return h.putManifest(w, r, rt.name, ref)
	case http.MethodDelete:
		if !h.reg.store.deleteManifest(rt.name, ref) {
			return errManifestUnknown(rt.name, ref)
		}
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusAccepted)
		return nil
	}
	return errUnsupported(w, "GET, HEAD, PUT, DELETE")
}

func (h *handler) getManifest(w http.ResponseWriter, name string, ref reference) *apiError {
	m, known := h.reg.store.manifest(name, ref)
	if !known {
		return errNameUnknown(name)
	}
	if m == nil {
		return errManifestUnknown(name, ref)
	}
	hd := w.Header()
	hd.Set("Content-Type", m.mediaType)
	hd.Set("Docker-Content-Digest", string(m.digest))
	hd.Set("Etag", strconv.Quote(string(m.digest)))
	writeJSON(w, http.StatusOK, m.body)
	return nil
}

// putManifest takes a manifest by tag or digest. By tag the digest is SHA-256.
func (h *handler) putManifest(w http.ResponseWriter, r *request, name string, ref reference) *apiError {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxManifest))
	if err != nil {
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			return &apiError{status: http.StatusRequestEntityTooLarge, code: "SIZE_INVALID", message: "the manifest is larger than 4 MiB"}
		}
		return &apiError{status: http.StatusBadRequest, code: "MANIFEST_INVALID", message: "the manifest could not be read"}
	}
	d := digestOf("sha256", body)
	if ref.digest != "" {
		if !ref.digest.matches(body) {
			return errDigestInvalid("provided digest did not match uploaded content")
		}
		d = ref.digest
	}
	m, bad := parseManifest(r.Header.Get("Content-Type"), d, body)
	if bad != nil {
		return bad
	}
	blobs, manifests := m.references()
	if missing := h.reg.store.missing(name, blobs, manifests); len(missing) > 0 {
		return &apiError{status: http.StatusBadRequest, code: "MANIFEST_BLOB_UNKNOWN", message: "blob unknown to registry",
			detail: map[string]string{"digest": string(missing[0])}}
	}
	var tags []string
	if ref.tag != "" {
		tags = []string{ref.tag}
	}
	h.reg.store.putManifest(name, tags, m)

	hd := w.Header()
	hd.Set("Location", "/v2/"+name+"/manifests/"+string(d))
	hd.Set("Docker-Content-Digest", string(d))
	if m.fields.Subject != nil {
		hd.Set("OCI-Subject", string(m.fields.Subject.Digest))
	}
	hd.Set("Content-Length", "0")
	w.WriteHeader(http.StatusCreated)
	return nil
}

// serveReferrers lists the manifests whose subject is a digest. An unknown
// digest has none, and that is no error.
func (h *handler) serveReferrers(w http.ResponseWriter, rt route, r *request) *apiError {
	subject, err := parseDigest(rt.rest)
	if err != nil {
		return errDigestInvalid(err.Error())
	}
	list := []descriptor{}
	for _, m := range h.reg.store.manifests(rt.name) {
		if m.fields.Subject != nil && m.fields.Subject.Digest == subject {
			list = append(list, m.asReferrer())
		}
	}
	if want := r.URL.Query().Get("artifactType"); want != "" {
		list = slices.DeleteFunc(list, func(d descriptor) bool { return d.ArtifactType != want })
		w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	w.Header().Set("Content-Type", typeOCIIndex)
	writeValue(w, http.StatusOK, struct {
		SchemaVersion int          `json:"schemaVersion"`
		MediaType     string       `json:"mediaType"`
		Manifests     []descriptor `json:"manifests"`
	}{2, typeOCIIndex, list})
	return nil
}
