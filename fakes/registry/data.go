package registry

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// serveData is a dedicated data endpoint: it hands out blobs to whoever holds a
// link, and answers 403 to everything else while healthy (docs/fidelity.md,
// registry HTTP). The registry's network rules apply to it too (an assumption).
func (h *handler) serveData(w http.ResponseWriter, r *request) {
	hd := w.Header()
	hd.Set("Server", "AzureContainerRegistry")
	hd.Set("Connection", "keep-alive")
	hd.Set("X-Ms-Correlation-Request-Id", uuid.NewString())
	if !h.admitted(r) {
		denied(w, r.URL.Path, r.addr)
		return
	}
	if h.reg.checkSAS(r.host, r.URL.Path, r.URL.Query()) != sasFine {
		hd.Set("Content-Length", "0")
		w.WriteHeader(http.StatusForbidden)
		return
	}
	d, err := parseBlobPath(r.URL.Path)
	content, ok := h.reg.store.content(d)
	if err != nil || !ok {
		hd.Set("Content-Length", "0")
		w.WriteHeader(http.StatusNotFound)
		return
	}
	serveContent(w, r.Request, d, content)
}

// serveStorage is a blob storage account. It knows nothing of the registry's
// network rules and speaks XML:
// https://learn.microsoft.com/rest/api/storageservices/status-and-error-codes2
func (h *handler) serveStorage(w http.ResponseWriter, r *request) {
	id := uuid.NewString()
	hd := w.Header()
	hd.Set("Server", "Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0")
	hd.Set("X-Ms-Request-Id", id)
	hd.Set("X-Ms-Version", sasVersion)
	now := h.reg.now()
	if r.Header.Get("Authorization") != "" {
		// A client that keeps its registry token along the redirect:
		// https://learn.microsoft.com/azure/container-registry/container-registry-faq
		storageError(w, http.StatusBadRequest, "InvalidAuthenticationInfo",
			"Authentication information is not given in the correct format. Check the value of Authorization header.", "", id, now)
		return
	}
	q := r.URL.Query()
	const refused = "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature."
	switch h.reg.checkSAS(r.host, r.URL.Path, q) {
	case sasUnsigned:
		storageError(w, http.StatusForbidden, "AuthenticationFailed", refused, "", id, now)
		return
	case sasMismatch:
		storageError(w, http.StatusForbidden, "AuthenticationFailed", refused, "Signature did not match.", id, now)
		return
	case sasExpired:
		end := q.Get("se")
		if t, err := time.Parse(time.RFC3339, end); err == nil {
			end = t.UTC().Format(http.TimeFormat)
		}
		storageError(w, http.StatusForbidden, "AuthenticationFailed", refused,
			fmt.Sprintf("Signed expiry time [%s] has to be after signed start time [%s]", end, now.UTC().Format(http.TimeFormat)), id, now)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		storageError(w, http.StatusForbidden, "AuthorizationPermissionMismatch",
			"This request is not authorized to perform this operation using this permission.", "", id, now)
		return
	}
	d, err := parseBlobPath(r.URL.Path)
	content, ok := h.reg.store.content(d)
	if err != nil || !ok {
		storageError(w, http.StatusNotFound, "BlobNotFound", "The specified blob does not exist.", "", id, now)
		return
	}
	hd.Set("X-Ms-Blob-Type", "BlockBlob")
	hd.Set("X-Ms-Lease-State", "available")
	hd.Set("X-Ms-Lease-Status", "unlocked")
	hd.Set("X-Ms-Server-Encrypted", "true")
	serveContent(w, r.Request, d, content)
}

// uploaded is the time that all blobs carry, so that answers do not differ
// between runs.
var uploaded = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// serveContent answers GET and HEAD with ranges (RFC 9110 section 14).
func serveContent(w http.ResponseWriter, r *http.Request, d digest, content []byte) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Etag", strconv.Quote("0x"+strings.ToUpper(d.hex()[:15])))
	http.ServeContent(w, r, "", uploaded, bytes.NewReader(content))
}

// storageError writes the XML of Azure Storage behind a byte order mark, at
// which Docker's JSON parser stops: invalid character 'ï' looking for beginning
// of value (docs/fidelity.md, blob download).
func storageError(w http.ResponseWriter, status int, code, message, detail, id string, now time.Time) {
	body := struct {
		XMLName xml.Name `xml:"Error"`
		Code    string   `xml:"Code"`
		Message string   `xml:"Message"`
		Detail  string   `xml:"AuthenticationErrorDetail,omitempty"`
	}{Code: code, Detail: detail,
		Message: fmt.Sprintf("%s\nRequestId:%s\nTime:%s", message, id, now.UTC().Format("2006-01-02T15:04:05.0000000Z"))}
	b, err := xml.Marshal(body)
	if err != nil { // strings always marshal
		b = nil
	}
	// encoding/xml writes line feeds as character references; storage does not.
	b = bytes.ReplaceAll(b, []byte("&#xA;"), []byte("\n"))
	out := append([]byte("\ufeff"+`<?xml version="1.0" encoding="utf-8"?>`), b...)
	hd := w.Header()
	hd.Set("Content-Type", "application/xml")
	hd.Set("X-Ms-Error-Code", code)
	hd.Set("Content-Length", strconv.Itoa(len(out)))
	w.WriteHeader(status)
	_, _ = w.Write(out)
}
