package entra

import (
	"cmp"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/acrlab/acrlab/fakes/web"
)

// tokenRequest is a request for a token with what was found out about it.
type tokenRequest struct {
	form   url.Values
	v1     bool // the endpoint without "v2.0": "resource" instead of "scope", numbers as strings
	tenant string
	// app and secret are the client's, from the form or from Basic.
	app, secret string
	now         time.Time
}

// token is the token endpoint (RFC 6749 section 3.2), with scope at v2.0 and
// resource at the older one.
func (h handler) token(w http.ResponseWriter, r *http.Request) {
	req, f := h.readToken(w, r)
	var answer any
	if f == nil {
		answer, f = h.grant(req)
	}
	if f != nil {
		f.write(w, correlation(r))
		return
	}
	web.WriteJSON(w, http.StatusOK, answer)
}

// readToken reads the form and the client's credentials.
func (h handler) readToken(w http.ResponseWriter, r *http.Request) (*tokenRequest, *failure) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		return nil, fail(http.StatusBadRequest, "invalid_request", 900144, "The request body could not be read.")
	}
	req := &tokenRequest{form: r.PostForm, v1: !strings.Contains(r.URL.Path, "/oauth2/v2.0/"), tenant: r.PathValue("tenant"), now: h.t.now()}
	if r.Method == http.MethodGet {
		req.form = r.Form
	}
	req.app, req.secret = req.form.Get("client_id"), req.form.Get("client_secret")
	if user, password, ok := r.BasicAuth(); ok { // client_secret_basic, RFC 6749 section 2.3.1
		req.app, req.secret = unescape(user), unescape(password)
	}
	if !h.known(req.tenant) {
		return nil, tenantNotFound(req.tenant)
	}
	return req, nil
}

func (h handler) grant(req *tokenRequest) (any, *failure) {
	kind := req.form.Get("grant_type")
	switch kind {
	case "client_credentials":
		return h.clientCredentials(req)
	case "urn:ietf:params:oauth:grant-type:device_code", "device_code":
		return h.redeemDeviceCode(req)
	case "refresh_token":
		return h.redeemRefreshToken(req)
	case "password":
		return h.password(req)
	case "":
		return nil, missing("grant_type")
	}
	return nil, fail(http.StatusBadRequest, "unsupported_grant_type", 70003, "The app requested an unsupported grant type '%s'.", kind)
}

// clientCredentials is RFC 6749 section 4.4.
func (h handler) clientCredentials(req *tokenRequest) (any, *failure) {
	if !strings.EqualFold(req.tenant, h.t.ID()) {
		// An application has no tenant of its own to fall back on.
		return nil, tenantNotFound(req.tenant)
	}
	if req.app == "" {
		return nil, missing("client_id")
	}
	how := "1"
	if assertion := req.form.Get("client_assertion"); assertion != "" {
		how = "2"
		if f := h.checkAssertion(req, assertion); f != nil {
			return nil, f
		}
	} else if f := h.checkSecret(req); f != nil {
		return nil, f
	}
	audience, f := applicationAudience(req)
	if f != nil {
		return nil, f
	}
	token, err := h.t.applicationToken(req.app, how, audience, req.now)
	if err != nil {
		return nil, transient()
	}
	return tokenAnswer(req, token, audience, nil), nil
}

func (h handler) checkSecret(req *tokenRequest) *failure {
	known, right := h.t.secret(req.app, req.secret)
	switch {
	case !known:
		return unknownApplication(req.app, h.t.ID())
	case req.secret == "":
		return fail(http.StatusUnauthorized, "invalid_client", 7000218, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.")
	case !right:
		return invalidSecret(req.app)
	}
	return nil
}

// password is RFC 6749 section 4.3: "az login --username --password".
func (h handler) password(req *tokenRequest) (any, *failure) {
	if f := h.checkPublic(req); f != nil {
		return nil, f
	}
	u := h.t.directory().users[strings.ToLower(req.form.Get("username"))]
	if u == nil {
		return nil, fail(http.StatusBadRequest, "invalid_grant", 50034,
			"The user account %s does not exist in the %s directory. To sign into this application, the account must be added to the directory.", req.form.Get("username"), h.t.ID())
	}
	if u.Password == "" || subtle.ConstantTimeCompare([]byte(u.Password), []byte(req.form.Get("password"))) != 1 {
		return nil, fail(http.StatusBadRequest, "invalid_grant", 50126, "Error validating credentials due to invalid username or password.")
	}
	return h.userAnswer(req, u, req.form.Get("scope"), "")
}

// checkPublic refuses an application that is neither in the directory nor one
// of Microsoft's own that every directory knows.
func (h handler) checkPublic(req *tokenRequest) *failure {
	switch {
	case req.app == "":
		return missing("client_id")
	case publicClients[strings.ToLower(req.app)] == "" && h.t.directory().applications[strings.ToLower(req.app)] == nil:
		return unknownApplication(req.app, h.t.ID())
	}
	return nil
}

// publicClients are Microsoft's own applications that users sign in with.
// https://learn.microsoft.com/troubleshoot/entra/entra-id/governance/verify-first-party-apps-sign-in
var publicClients = map[string]string{
	AzureCLI:                               "Microsoft Azure CLI",
	"1950a258-227b-4e31-a9cf-717495945fc2": "Microsoft Azure PowerShell",
}

// AzureCLI is the application that az and the Azure SDKs sign users in with.
const AzureCLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"

// userAnswer hands a user's tokens out. before is the scope of the sign-in that
// a refresh token continues.
func (h handler) userAnswer(req *tokenRequest, u *User, scope, before string) (any, *failure) {
	scope = cmp.Or(scope, before)
	audience := userAudience(scope)
	if req.v1 {
		audience = cmp.Or(req.form.Get("resource"), audience)
	}
	token, err := h.t.userToken(u, req.app, audience, req.now)
	if err != nil {
		return nil, transient()
	}
	id, err := h.t.idToken(u, req.app, req.now)
	if err != nil {
		return nil, transient()
	}
	more := map[string]any{"id_token": id}
	wanted := strings.Fields(scope)
	if req.v1 || slices.Contains(wanted, "offline_access") || slices.Contains(strings.Fields(before), "offline_access") {
		more["refresh_token"] = h.t.sessions.refresh(session{app: req.app, user: u.Name, scope: cmp.Or(before, scope), resource: audience}, req.now)
	}
	if req.form.Get("client_info") == "1" {
		more["client_info"] = base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"uid":%q,"utid":%q}`, u.ObjectID, h.t.ID()))
	}
	if !req.v1 {
		more["scope"] = strings.TrimSuffix(audience, "/") + "/user_impersonation " + strings.TrimSuffix(audience, "/") + "/.default"
	}
	if publicClients[strings.ToLower(req.app)] != "" {
		more["foci"] = "1" // applications of one family share refresh tokens
	}
	return tokenAnswer(req, token, audience, more), nil
}

// tokenAnswer is the body of a success. The older endpoint spells numbers as strings.
func tokenAnswer(req *tokenRequest, token, audience string, more map[string]any) any {
	seconds := int(Lifetime.Seconds())
	out := map[string]any{"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token}
	if req.v1 {
		out["expires_in"], out["ext_expires_in"] = strconv.Itoa(seconds), strconv.Itoa(seconds)
		out["expires_on"], out["not_before"] = strconv.FormatInt(req.now.Add(Lifetime).Unix(), 10), strconv.FormatInt(req.now.Unix(), 10)
		out["resource"] = audience
	}
	for k, v := range more {
		out[k] = v
	}
	return out
}

// applicationAudience is the resource that a token is wanted for. The double
// slash in "https://management.core.windows.net//.default" belongs to the
// resource, whose id ends in a slash.
func applicationAudience(req *tokenRequest) (string, *failure) {
	if req.v1 {
		if req.form.Get("resource") == "" {
			return "", missing("resource")
		}
		return req.form.Get("resource"), nil
	}
	scope := req.form.Get("scope")
	if scope == "" {
		return "", missing("scope")
	}
	var first string
	if fields := strings.Fields(scope); len(fields) > 0 {
		first = fields[0]
	}
	resource, ok := strings.CutSuffix(first, "/.default")
	if !ok || resource == "" {
		return "", fail(http.StatusBadRequest, "invalid_scope", 1002012,
			"The provided value for scope %s is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).", scope)
	}
	return resource, nil
}

// userAudience is the resource of the first scope that is not OpenID Connect's
// own; Microsoft Graph where there is none.
func userAudience(scope string) string {
	for _, s := range strings.Fields(scope) {
		if slices.Contains([]string{"openid", "profile", "email", "offline_access"}, s) {
			continue
		}
		if i := strings.LastIndexByte(s, '/'); i > len("https://") {
			return s[:i]
		}
	}
	return "https://graph.microsoft.com"
}

func transient() *failure {
	return fail(http.StatusInternalServerError, "server_error", 90033, "A transient error has occurred. Please try again.")
}
