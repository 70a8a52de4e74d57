package registry

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// authorizeOpen is Microsoft Artifact Registry (mcr.microsoft.com): whatever a
// client could pull it may read, without a challenge and whatever credentials
// it sends; it has no token service and takes nothing in.
// https://github.com/microsoft/containerregistry/blob/main/docs/client-firewall-rules.md
func (h *handler) authorizeOpen(w http.ResponseWriter, r *request, need []grant) bool {
	for _, g := range need {
		for _, a := range g.Actions {
			if !slices.Contains([]string{"pull", "metadata_read"}, a) && g.Type != "registry" {
				(&apiError{status: http.StatusMethodNotAllowed, code: "UNSUPPORTED", message: "The operation is unsupported."}).write(w)
				return false
			}
		}
	}
	return true
}

// serveOpen is the only front of such a registry.
func (h *handler) serveOpen(w http.ResponseWriter, r *request) {
	if r.URL.Path != "/v2" && !strings.HasPrefix(r.URL.Path, "/v2/") {
		openHeaders(w.Header())
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusNotFound)
		return
	}
	apiHeaders(w.Header())
	openHeaders(w.Header())
	h.serveV2(w, r)
}

// openHeaders makes an answer Microsoft Artifact Registry's: behind Azure Front
// Door, which marks what it passed on, and without the registry's own name.
func openHeaders(h http.Header) {
	h.Del("Server")
	h.Del("Connection")
	h["Strict-Transport-Security"] = []string{"max-age=31536000; includeSubDomains"}
	h.Set("X-Cache", "CONFIG_NOCACHE")
	h.Set("X-Azure-Ref", azureRef())
}

// azureRef looks like Front Door's reference of a request.
func azureRef() string {
	id := uuid.New()
	return strings.ToUpper(id.String()[:8]) + base64.RawStdEncoding.EncodeToString(id[:])
}
