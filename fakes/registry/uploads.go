package registry

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/google/uuid"
)

// maxBlob bounds a blob, since content is kept in memory.
const maxBlob = 512 << 20

// upload is a blob upload under way. mu is held while a request writes to it.
type upload struct {
	mu   sync.Mutex
	name string
	id   string
	data []byte
	done bool
}

// serveUploads begins an upload, takes a whole blob at once or mounts one:
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs
func (h *handler) serveUploads(w http.ResponseWriter, r *request, rt route) *apiError {
	if r.Method != http.MethodPost {
		return errUnsupported(w, "POST")
	}
	q := r.URL.Query()
	if mount := q.Get("mount"); mount != "" {
		d, err := parseDigest(mount)
		if err != nil {
			return errDigestInvalid(err.Error())
		}
		// Without a source the upload just begins: a token names the
		// repositories that it opens.
		if from := q.Get("from"); from != "" && h.reg.store.mount(from, rt.name, d) {
			created(w, rt.name, d)
			return nil
		}
	}
	u := &upload{name: rt.name, id: uuid.NewString()}
	if q.Get("digest") != "" {
		return h.finish(w, r, u)
	}
	s := h.reg.store
	s.mu.Lock()
	s.uploads[u.id] = u
	s.mu.Unlock()
	h.progress(w, u, http.StatusAccepted)
	return nil
}

// serveUpload continues, completes, reports on or cancels an upload.
func (h *handler) serveUpload(w http.ResponseWriter, r *request, rt route) *apiError {
	s := h.reg.store
	s.mu.RLock()
	u := s.uploads[rt.rest]
	s.mu.RUnlock()
	if u == nil || u.name != rt.name || !hmac.Equal([]byte(r.URL.Query().Get("_state")), []byte(h.state(u))) {
		return errUploadUnknown()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.done {
		return errUploadUnknown()
	}
	switch r.Method {
	case http.MethodGet:
		h.progress(w, u, http.StatusNoContent)
		return nil
	case http.MethodPatch:
		if bad := h.receive(w, r, u); bad != nil {
			return bad
		}
		h.progress(w, u, http.StatusAccepted)
		return nil
	case http.MethodPut:
		return h.finish(w, r, u)
	case http.MethodDelete:
		h.forget(u)
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return errUnsupported(w, "GET, PATCH, PUT, DELETE")
}

// receive appends a request's body. A chunk that does not begin where the last
// one ended changes nothing.
func (h *handler) receive(w http.ResponseWriter, r *request, u *upload) *apiError {
	chunk := int64(-1) // bytes after the first, by Content-Range
	if value := r.Header.Get("Content-Range"); value != "" {
		first, last, err := parseContentRange(value)
		if err != nil {
			return &apiError{status: http.StatusBadRequest, code: "BLOB_UPLOAD_INVALID", message: err.Error()}
		}
		if first != int64(len(u.data)) {
			h.place(w, u)
			return &apiError{status: http.StatusRequestedRangeNotSatisfiable, code: "BLOB_UPLOAD_INVALID",
				message: fmt.Sprintf("the chunk begins at byte %d, the upload is at %d", first, len(u.data))}
		}
		chunk = last - first
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(maxBlob-len(u.data))))
	if err != nil {
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			return &apiError{status: http.StatusRequestEntityTooLarge, code: "SIZE_INVALID", message: "the blob is larger than 512 MiB"}
		}
		return &apiError{status: http.StatusBadRequest, code: "BLOB_UPLOAD_INVALID", message: "the chunk could not be read"}
	}
	if chunk >= 0 && int64(len(body))-1 != chunk {
		return &apiError{status: http.StatusBadRequest, code: "SIZE_INVALID",
			message: fmt.Sprintf("the chunk has %d bytes, its range is %s", len(body), r.Header.Get("Content-Range"))}
	}
	u.data = append(u.data, body...)
	return nil
}

// finish takes what is left of a blob and keeps it if the digest is right.
func (h *handler) finish(w http.ResponseWriter, r *request, u *upload) *apiError {
	d, err := parseDigest(r.URL.Query().Get("digest"))
	if err != nil {
		return errDigestInvalid(err.Error())
	}
	if bad := h.receive(w, r, u); bad != nil {
		return bad
	}
	h.forget(u)
	if !d.matches(u.data) {
		return errDigestInvalid("provided digest did not match uploaded content")
	}
	h.reg.store.putBlob(u.name, d, u.data)
	created(w, u.name, d)
	return nil
}

func (h *handler) forget(u *upload) {
	u.done = true
	s := h.reg.store
	s.mu.Lock()
	delete(s.uploads, u.id)
	s.mu.Unlock()
}

func created(w http.ResponseWriter, name string, d digest) {
	hd := w.Header()
	hd.Set("Location", "/v2/"+name+"/blobs/"+string(d))
	hd.Set("Docker-Content-Digest", string(d))
	hd.Set("Content-Length", "0")
	w.WriteHeader(http.StatusCreated)
}

// place says where an upload goes on and what of it is there. Range is
// inclusive, so an empty upload cannot be told from one byte: distribution
// registries answer 0-0 for both.
func (h *handler) place(w http.ResponseWriter, u *upload) {
	hd := w.Header()
	hd.Set("Location", "/v2/"+u.name+"/blobs/uploads/"+u.id+"?"+url.Values{"_nouploadcache": {"false"}, "_state": {h.state(u)}}.Encode())
	hd.Set("Docker-Upload-Uuid", u.id)
	hd.Set("Range", "0-"+strconv.Itoa(max(0, len(u.data)-1)))
}

func (h *handler) progress(w http.ResponseWriter, u *upload, status int) {
	h.place(w, u)
	if status != http.StatusNoContent {
		w.Header().Set("Content-Length", "0")
	}
	w.WriteHeader(status)
}

// state is the opaque parameter of an upload's location. Clients must send the
// location back as they got it.
func (h *handler) state(u *upload) string {
	mac := hmac.New(sha256.New, h.reg.sasKey)
	_, _ = fmt.Fprintf(mac, "upload\n%s\n%s\n", u.name, u.id)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// parseContentRange reads "first-last", the form of the distribution
// specification, with or without the unit of RFC 9110.
func parseContentRange(s string) (first, last int64, err error) {
	v := strings.TrimSpace(strings.TrimPrefix(s, "bytes "))
	v, _, _ = strings.Cut(v, "/")
	a, b, ok := strings.Cut(v, "-")
	if !ok {
		return 0, 0, fmt.Errorf("content range %q is not first-last", s)
	}
	first, errFirst := strconv.ParseInt(a, 10, 64)
	last, errLast := strconv.ParseInt(b, 10, 64)
	if errFirst != nil || errLast != nil || first < 0 || last < first {
		return 0, 0, fmt.Errorf("content range %q is not first-last", s)
	}
	return first, last, nil
}
