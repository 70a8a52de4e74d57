package entra

import (
	"crypto"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523 section 2.2

// checkAssertion authenticates an application by a token instead of a secret:
// one that it signed itself with a registered certificate, or one of an issuer
// that it is federated with.
func (h handler) checkAssertion(req *tokenRequest, assertion string) *failure {
	if kind := req.form.Get("client_assertion_type"); kind != assertionType {
		if kind == "" {
			return missing("client_assertion_type")
		}
		return fail(http.StatusBadRequest, "invalid_request", 50027, "JWT token is invalid or malformed: client_assertion_type '%s' is not supported.", kind)
	}
	d := h.t.directory()
	app := d.applications[strings.ToLower(req.app)]
	if app == nil {
		return unknownApplication(req.app, d.tenant)
	}
	var c jwt.RegisteredClaims
	token, _, err := jwt.NewParser().ParseUnverified(assertion, &c)
	if err != nil {
		return fail(http.StatusBadRequest, "invalid_request", 50027, "JWT token is invalid or malformed.")
	}
	if strings.EqualFold(c.Issuer, app.id) {
		return h.checkCertificate(req, app, assertion, token, c)
	}
	return checkFederation(app, assertion, c, req.now)
}

// checkCertificate is for an assertion that the application signed itself.
// https://learn.microsoft.com/entra/identity-platform/certificate-credentials
func (h handler) checkCertificate(req *tokenRequest, app *application, assertion string, token *jwt.Token, c jwt.RegisteredClaims) *failure {
	i := slices.IndexFunc(app.certificates, func(cert *x509.Certificate) bool { return names(token.Header, cert) })
	if i < 0 {
		thumbprint, _ := token.Header["x5t"].(string)
		return fail(http.StatusUnauthorized, "invalid_client", 700027,
			"The certificate with identifier used to sign the client assertion is not registered on application. [Reason - The key was not found., Thumbprint of key used by client: '%s', Please visit the Azure Portal, Graph Explorer or directly use MS Graph to see configured keys for app Id '%s'.]", thumbprint, app.id)
	}
	switch {
	case !strings.EqualFold(c.Subject, app.id):
		return fail(http.StatusBadRequest, "invalid_client", 700021, "Client assertion application identifier doesn't match 'client_id' parameter. Review the documentation at https://docs.microsoft.com/en-us/azure/active-directory/develop/active-directory-certificate-credentials .")
	case !slices.ContainsFunc(c.Audience, h.isOwnAudience):
		return fail(http.StatusUnauthorized, "invalid_client", 700023, "Client assertion audience claim does not match Realm issuer. Review the documentation at https://docs.microsoft.com/azure/active-directory/develop/active-directory-certificate-credentials .")
	}
	return verifyAssertion(assertion, app.certificates[i].PublicKey, req.now, 700027)
}

// isOwnAudience says whether an assertion for aud is meant for this tenant's
// token endpoint or issuer.
func (h handler) isOwnAudience(aud string) bool {
	aud = strings.ToLower(aud)
	rest, ok := "", false
	for _, name := range aliases {
		if rest, ok = strings.CutPrefix(aud, "https://"+name+"/"+strings.ToLower(h.t.ID())); ok {
			break
		}
	}
	return ok && slices.Contains([]string{"", "/", "/v2.0", "/oauth2/token", "/oauth2/v2.0/token"}, rest)
}

// names says whether a token's header names a certificate: by its SHA-1 or
// SHA-256 fingerprint (RFC 7515 section 4.1.7), or by kid in hexadecimal.
func names(header map[string]any, cert *x509.Certificate) bool {
	one, two := sha1.Sum(cert.Raw), sha256.Sum256(cert.Raw)
	for name, sum := range map[string][]byte{"x5t": one[:], "x5t#S256": two[:]} {
		value, _ := header[name].(string)
		if value == "" {
			continue
		}
		raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(value, "="))
		if err != nil { // some libraries use the other alphabet
			raw, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "="))
		}
		return err == nil && slices.Equal(raw, sum)
	}
	kid, _ := header["kid"].(string)
	return kid != "" && strings.EqualFold(kid, hexadecimal(one[:]))
}

func hexadecimal(b []byte) string {
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 2*len(b))
	for _, x := range b {
		out = append(out, digits[x>>4], digits[x&15])
	}
	return string(out)
}

// checkFederation is for a token of another issuer. Entra compares issuer,
// subject and audience exactly, in this order.
// https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations
func checkFederation(app *application, assertion string, c jwt.RegisteredClaims, now time.Time) *failure {
	const review = " Please check your federated identity credential Subject, Audience and Issuer against the presented assertion. https://learn.microsoft.com/entra/workload-id/workload-identity-federation"
	list := slices.DeleteFunc(slices.Clone(app.federations), func(f federation) bool { return f.issuer != c.Issuer })
	if len(list) == 0 {
		return fail(http.StatusUnauthorized, "invalid_client", 700211, "No matching federated identity record found for presented assertion issuer '%s'."+review, c.Issuer)
	}
	list = slices.DeleteFunc(list, func(f federation) bool { return f.subject != c.Subject })
	if len(list) == 0 {
		return fail(http.StatusUnauthorized, "invalid_client", 700213, "No matching federated identity record found for presented assertion subject '%s'."+review, c.Subject)
	}
	i := slices.IndexFunc(list, func(f federation) bool { return slices.Contains(c.Audience, f.audience) })
	if i < 0 {
		return fail(http.StatusUnauthorized, "invalid_client", 700212, "No matching federated identity record found for presented assertion audience '%s'."+review, strings.Join(c.Audience, ","))
	}
	return verifyWith(assertion, now, 50013, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		if key := list[i].keys[kid]; key != nil {
			return key, nil
		}
		return nil, errors.New("unknown key")
	})
}

func verifyAssertion(assertion string, key crypto.PublicKey, now time.Time, aadsts int) *failure {
	return verifyWith(assertion, now, aadsts, func(*jwt.Token) (any, error) { return key, nil })
}

// verifyWith checks times and signature.
func verifyWith(assertion string, now time.Time, aadsts int, key jwt.Keyfunc) *failure {
	_, err := jwt.ParseWithClaims(assertion, &jwt.RegisteredClaims{}, key,
		jwt.WithValidMethods([]string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"}),
		jwt.WithExpirationRequired(), jwt.WithLeeway(5*time.Minute), jwt.WithTimeFunc(func() time.Time { return now }))
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jwt.ErrTokenExpired) || errors.Is(err, jwt.ErrTokenNotValidYet) || errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return fail(http.StatusUnauthorized, "invalid_client", 700024, "Client assertion is not within its valid time range. Current time: %s. Review the documentation at https://docs.microsoft.com/azure/active-directory/develop/active-directory-certificate-credentials .", now.UTC().Format(time.RFC3339))
	case aadsts == 700027:
		return fail(http.StatusUnauthorized, "invalid_client", 700027, "Client assertion contains an invalid signature. [Reason - The key was not found or does not match.]")
	}
	return fail(http.StatusUnauthorized, "invalid_client", aadsts, "Assertion failed signature validation. [Reason - The provided signature value did not match the expected signature value.]")
}
