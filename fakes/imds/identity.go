package imds

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/acrlab/acrlab/fakes/web"
)

// token answers for a managed identity.
// https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
func (h *handler) token(w http.ResponseWriter, r *http.Request, m Machine) {
	q := r.URL.Query()
	resource := q.Get("resource")
	bad := func(text string) { refuse(w, http.StatusBadRequest, true, "invalid_request", text) }
	switch {
	case q.Get("api-version") == "":
		bad("Required query variable 'api-version' is missing")
		return
	case !slices.Contains(versions, q.Get("api-version")) || q.Get("api-version") < "2018-02-01":
		bad("The api-version '" + q.Get("api-version") + "' is not supported")
		return
	case resource == "":
		bad("Required query variable 'resource' is missing")
		return
	}
	id, found, many := m.choose(q)
	switch {
	case many:
		bad("Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request")
		return
	case !found:
		bad("Identity not found")
		return
	}
	now := time.Now()
	token, life, err := h.issue(id, resource, now)
	if err != nil {
		refuse(w, http.StatusInternalServerError, true, "unknown", "Failed to retrieve token from the Active directory. For details see logs in C:\\Packages\\Plugins")
		return
	}
	seconds := strconv.Itoa(int(life.Seconds()))
	web.WriteJSON(w, http.StatusOK, map[string]string{
		"access_token": token, "client_id": id.ClientID, "expires_in": seconds, "ext_expires_in": seconds,
		"expires_on": strconv.FormatInt(now.Add(life).Unix(), 10), "not_before": strconv.FormatInt(now.Add(-5*time.Minute).Unix(), 10),
		"resource": resource, "token_type": "Bearer",
	})
}

// choose finds the identity that a request means: the one it names, else the
// machine's own, else the only user-assigned one.
func (m Machine) choose(q url.Values) (id Identity, found, many bool) {
	for _, by := range []struct {
		value string
		of    func(Identity) string
	}{
		{q.Get("client_id"), func(i Identity) string { return i.ClientID }},
		{q.Get("object_id"), func(i Identity) string { return i.PrincipalID }},
		{q.Get("principal_id"), func(i Identity) string { return i.PrincipalID }},
		{q.Get("msi_res_id"), func(i Identity) string { return i.ResourceID }},
		{q.Get("mi_res_id"), func(i Identity) string { return i.ResourceID }},
	} {
		if by.value == "" {
			continue
		}
		i := slices.IndexFunc(m.Identities, func(i Identity) bool { return strings.EqualFold(by.of(i), by.value) })
		if i < 0 {
			return Identity{}, false, false
		}
		return m.Identities[i], true, false
	}
	if i := slices.IndexFunc(m.Identities, func(i Identity) bool { return i.ResourceID == "" }); i >= 0 {
		return m.Identities[i], true, false
	}
	if len(m.Identities) == 1 {
		return m.Identities[0], true, false
	}
	return Identity{}, false, len(m.Identities) > 1
}
