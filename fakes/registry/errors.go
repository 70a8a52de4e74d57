package registry

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// apiError is one entry of the error body of the distribution specification:
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
type apiError struct {
	status  int
	code    string
	message string
	detail  any
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

// body is the JSON that the service sends, with "detail":null where there is
// none, and a line feed as json.Encoder writes it.
func (e *apiError) body() []byte {
	type entry struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Detail  any    `json:"detail"`
	}
	b, err := json.Marshal(struct {
		Errors []entry `json:"errors"`
	}{[]entry{{e.code, e.message, e.detail}}})
	if err != nil { // details are maps and slices of strings
		b = []byte(`{"errors":[{"code":"UNKNOWN","message":"unknown error","detail":null}]}`)
	}
	return append(b, '\n')
}

func (e *apiError) write(w http.ResponseWriter) { writeJSON(w, e.status, e.body()) }

func errDigestInvalid(message string) *apiError {
	return &apiError{status: http.StatusBadRequest, code: "DIGEST_INVALID", message: message}
}

func errNameUnknown(name string) *apiError {
	return &apiError{status: http.StatusNotFound, code: "NAME_UNKNOWN",
		message: fmt.Sprintf("repository %q is not found", name), detail: map[string]string{"name": name}}
}

func errManifestUnknown(name string, ref reference) *apiError {
	message := fmt.Sprintf("manifest %s is not found", ref.digest)
	if ref.tag != "" {
		message = fmt.Sprintf("manifest tagged by %q is not found", ref.tag)
	}
	return &apiError{status: http.StatusNotFound, code: "MANIFEST_UNKNOWN", message: message,
		detail: map[string]string{"Name": name, "Revision": string(ref.digest)}}
}

func errBlobUnknown(d digest) *apiError {
	return &apiError{status: http.StatusNotFound, code: "BLOB_UNKNOWN", message: "blob unknown to registry",
		detail: map[string]string{"digest": string(d)}}
}

func errUploadUnknown() *apiError {
	return &apiError{status: http.StatusNotFound, code: "BLOB_UPLOAD_UNKNOWN", message: "blob upload unknown to registry"}
}

func errUnsupported(w http.ResponseWriter, allow string) *apiError {
	w.Header().Set("Allow", allow)
	return &apiError{status: http.StatusMethodNotAllowed, code: "UNSUPPORTED", message: "The operation is unsupported."}
}

// writeJSON sends a complete body. net/http leaves it out of answers to HEAD.
func writeJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json; charset=utf-8")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func writeValue(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		(&apiError{status: 500, code: "UNKNOWN", message: "unknown error"}).write(w)
		return
	}
	writeJSON(w, status, b)
}
