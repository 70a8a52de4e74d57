package registry

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/google/uuid"
)

// denied answers a client that the registry's network rules keep out: 403 on
// every path, without a challenge, with the address that the registry saw. The
// text is the same whether the address is in no rule or public access is
// disabled; the three wordings were observed on different paths
// (docs/fidelity.md, registry HTTP).
func denied(w http.ResponseWriter, path string, addr netip.Addr) {
	ip := addr.Unmap().WithZone("").String()
	var body string
	switch {
	case strings.HasPrefix(path, "/oauth2/"):
		body = fmt.Sprintf(`{"errors":[{"code":"DENIED","message":"client with IP '%s' is not allowed access. Refer https://aka.ms/acr/firewall to grant access. CorrelationId: %s"}]}`, ip, uuid.NewString())
	case strings.Contains(path, "/manifests/"):
		body = fmt.Sprintf(`{"errors":[{"code":"DENIED","message":"client with IP '%s' is not allowed access, refer https://aka.ms/acr/firewall to grant access"}]}`, ip) + "\n"
	default:
		body = fmt.Sprintf(`{"errors":[{"code":"DENIED","message":"client with IP '%s' is not allowed access. Refer https://aka.ms/acr/firewall to grant access."}]}`, ip)
	}
	writeJSON(w, http.StatusForbidden, []byte(body))
}
