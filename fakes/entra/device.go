package entra

import (
	"cmp"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/acrlab/acrlab/fakes/web"
)

// devicePageURL is where the service sends users.
const devicePageURL = "https://login.microsoft.com/device"

// deviceCode begins a sign-in on a device without a browser (RFC 8628).
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code
func (h handler) deviceCode(w http.ResponseWriter, r *http.Request) {
	req, f := h.readToken(w, r)
	if f == nil {
		f = h.checkPublic(req)
	}
	scope, resource := "", ""
	if f == nil {
		scope, resource = req.form.Get("scope"), req.form.Get("resource")
		if req.v1 {
			scope = ""
			if resource == "" {
				f = missing("resource")
			}
		} else if scope == "" {
			f = missing("scope")
		}
	}
	if f != nil {
		f.write(w, correlation(r))
		return
	}
	device, user, ok := h.t.sessions.begin(req.app, scope, resource, req.now)
	if !ok {
		fail(http.StatusTooManyRequests, "temporarily_unavailable", 50196, "The server terminated an operation because it encountered a client request loop.").write(w, correlation(r))
		return
	}
	answer := map[string]any{"user_code": user, "device_code": device, "interval": devicePoll, "expires_in": int(deviceLife.Seconds()),
		"message": fmt.Sprintf("To sign in, use a web browser to open the page %s and enter the code %s to authenticate.", devicePageURL, user)}
	if req.v1 {
		answer["verification_url"] = devicePageURL
		answer["interval"], answer["expires_in"] = strconv.Itoa(devicePoll), strconv.Itoa(int(deviceLife.Seconds()))
	} else {
		answer["verification_uri"] = devicePageURL
	}
	web.WriteJSON(w, http.StatusOK, answer)
}

// redeemDeviceCode answers a device that asks whether its user is done. ADAL
// names the parameter "code".
func (h handler) redeemDeviceCode(req *tokenRequest) (any, *failure) {
	code := cmp.Or(req.form.Get("device_code"), req.form.Get("code"))
	if code == "" {
		return nil, missing("device_code")
	}
	if f := h.checkPublic(req); f != nil {
		return nil, f
	}
	s, ok := h.t.sessions.poll(code, req.now)
	switch {
	case !ok:
		return nil, fail(http.StatusBadRequest, "bad_verification_code", 70018, "Invalid verification code due to User typing in wrong user code for device code flow.")
	case !strings.EqualFold(s.app, req.app):
		return nil, fail(http.StatusBadRequest, "invalid_grant", 700005, "Provided Authorization Code is intended to use against other tenant or application, thus rejected.")
	case s.declined:
		return nil, fail(http.StatusBadRequest, "authorization_declined", 65004, "User declined to consent to access the app.")
	case s.user == "" && !req.now.Before(s.expires):
		return nil, fail(http.StatusBadRequest, "expired_token", 70019, "Verification code expired. Have the user retry the sign-in.")
	case s.user == "":
		return nil, fail(http.StatusBadRequest, "authorization_pending", 70016, "OAuth 2.0 device flow error. Authorization is pending. Continue polling.")
	}
	u := h.t.directory().users[strings.ToLower(s.user)]
	if u == nil { // removed since
		return nil, fail(http.StatusBadRequest, "invalid_grant", 50034, "The user account %s does not exist in the %s directory.", s.user, h.t.ID())
	}
	if req.v1 && req.form.Get("resource") == "" {
		req.form.Set("resource", s.resource)
	}
	return h.userAnswer(req, u, req.form.Get("scope"), s.scope)
}

// devicePage is what a browser shows where users type the code. Who the user is
// need not be proven here.
func (h handler) devicePage(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, `<!DOCTYPE html><title>Sign in to your account</title>
<h1>Enter code to allow access</h1>
<form method="post"><label>Code <input name="otc" value="%s"></label>
<label>User <input name="username"></label>
<button>Allow</button> <button name="decline" value="1">Cancel</button></form>
`, html.EscapeString(r.URL.Query().Get("otc")))
}

// deviceApproval takes that page's form: otc and username, or decline=1.
func (h handler) deviceApproval(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "The form could not be read.", http.StatusBadRequest)
		return
	}
	code, err := r.PostForm.Get("otc"), error(nil)
	if r.PostForm.Get("decline") != "" {
		err = h.t.Decline(code)
	} else {
		err = h.t.Approve(code, r.PostForm.Get("username"))
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, "You have signed in to the application on your device. You may now close this window.")
}

// userRealm tells MSAL how a user signs in: here never at another company's
// federation server.
func (h handler) userRealm(w http.ResponseWriter, r *http.Request) {
	user, err := url.PathUnescape(r.PathValue("user"))
	_, domain, ok := strings.Cut(user, "@")
	if err != nil || !ok {
		fail(http.StatusBadRequest, "invalid_request", 90023, "The user name is not valid.").write(w, correlation(r))
		return
	}
	web.WriteJSON(w, http.StatusOK, map[string]any{"ver": "1.0", "account_type": "Managed", "domain_name": domain,
		"cloud_instance_name": "microsoftonline.com", "cloud_audience_urn": "urn:federation:MicrosoftOnline"})
}
