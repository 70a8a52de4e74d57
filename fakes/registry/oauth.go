package registry

import (
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// maxForm bounds the forms of the token service: tokens take a few kilobytes.
const maxForm = 1 << 20

// readForm decodes the body of a token request.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, *apiError) {
	bad := func(message string) *apiError {
		return &apiError{status: http.StatusBadRequest, code: "UNSUPPORTED", message: message}
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/x-www-form-urlencoded" {
		return nil, bad("the body must be application/x-www-form-urlencoded")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return nil, bad("the form could not be read")
	}
	return r.PostForm, nil
}

// errUnauthorized is the token service's refusal. It carries no challenge and
// no detail: docker prints the body as it is.
func errUnauthorized(w http.ResponseWriter) {
	writeJSON(w, http.StatusUnauthorized,
		[]byte(`{"errors":[{"code":"UNAUTHORIZED","message":"authentication required, visit https://aka.ms/acr/authorization for more information."}]}`+"\n"))
}

// serveExchange turns a token of Microsoft Entra into a refresh token:
// https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md#calling-post-oauth2exchange-to-get-an-acr-refresh-token
func (h *handler) serveExchange(w http.ResponseWriter, r *request) {
	if r.Method != http.MethodPost {
		errUnsupported(w, "POST").write(w)
		return
	}
	form, bad := readForm(w, r.Request)
	if bad != nil {
		bad.write(w)
		return
	}
	service := form.Get("service")
	if !slices.Contains(audiences(r), strings.ToLower(service)) {
		(&apiError{status: http.StatusBadRequest, code: "UNSUPPORTED", message: "invalid service"}).write(w)
		return
	}
	// access_token_refresh_token carries both; the access token decides.
	switch form.Get("grant_type") {
	case "access_token", "access_token_refresh_token":
	default:
		(&apiError{status: http.StatusBadRequest, code: "UNSUPPORTED", message: "invalid grant type"}).write(w)
		return
	}
	who, err := h.reg.verifyEntra(form.Get("access_token"), form.Get("tenant"))
	if err != nil {
		errUnauthorized(w)
		return
	}
	r.identity = who.AppID
	token, err := h.reg.signer.issue(grantRefresh, who.AppID, strings.ToLower(service), who.Tenant, nil, h.reg.now())
	if err != nil {
		(&apiError{status: 500, code: "UNKNOWN", message: "unknown error"}).write(w)
		return
	}
	writeValue(w, http.StatusOK, map[string]string{"refresh_token": token})
}

// serveToken hands out access tokens: POST with a refresh token or a password,
// GET with Basic or, on registries with anonymous pull, with nothing.
func (h *handler) serveToken(w http.ResponseWriter, r *request) {
	var params url.Values
	var subject string
	var known, anonymous bool
	switch r.Method {
	case http.MethodGet:
		params = r.URL.Query()
		anonymous = r.Header.Get("Authorization") == "" && r.cfg.AnonymousPull
		if user, password, ok := r.BasicAuth(); ok {
			subject, known = h.login(r, user, password)
		}
	case http.MethodPost:
		form, bad := readForm(w, r.Request)
		if bad != nil {
			bad.write(w)
			return
		}
		params = form
		user, password := form.Get("username"), form.Get("password")
		switch form.Get("grant_type") {
		case "refresh_token":
			user, password = refreshUser, form.Get("refresh_token")
		case "password":
		default:
			(&apiError{status: http.StatusBadRequest, code: "UNSUPPORTED", message: "invalid grant type"}).write(w)
			return
		}
		subject, known = h.login(r, user, password)
	default:
		errUnsupported(w, "GET, POST").write(w)
		return
	}
	if !known && !anonymous {
		errUnauthorized(w)
		return
	}

	service := strings.ToLower(params.Get("service"))
	if !slices.Contains(audiences(r), service) {
		(&apiError{status: http.StatusBadRequest, code: "UNSUPPORTED", message: "invalid service"}).write(w)
		return
	}
	access, err := parseScopes(params["scope"])
	if err != nil {
		(&apiError{status: http.StatusBadRequest, code: "UNSUPPORTED", message: "invalid scope"}).write(w)
		return
	}
	if anonymous {
		access = anonymousGrants(access)
	}
	token, err := h.reg.signer.issue(grantAccess, subject, service, r.cfg.Tenant, access, h.reg.now())
	if err != nil {
		(&apiError{status: 500, code: "UNKNOWN", message: "unknown error"}).write(w)
		return
	}
	writeValue(w, http.StatusOK, map[string]string{"access_token": token})
}
