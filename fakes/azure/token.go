package azure

import (
	"crypto"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Caller is who a token speaks for.
type Caller struct {
	AppID    string
	ObjectID string
	Tenant   string
}

// TokenVerifier reads a bearer token. An [*Error] is answered as it is, any
// other error as InvalidAuthenticationToken.
type TokenVerifier func(token string) (Caller, error)

// audiences of ARM tokens, as ARM itself lists them when refusing one.
var audiences = []string{
	"https://management.core.windows.net/", "https://management.core.windows.net",
	"https://management.azure.com/", "https://management.azure.com",
}

type claims struct {
	jwt.RegisteredClaims
	Tenant   string `json:"tid"`
	ObjectID string `json:"oid"`
	AppID    string `json:"appid"`
}

// VerifyEntra accepts unexpired tokens for ARM, signed with a key that keys
// knows by its key id.
func VerifyEntra(keys func(kid string) (crypto.PublicKey, error)) TokenVerifier {
	return func(token string) (Caller, error) {
		var c claims
		_, err := jwt.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) {
			kid, _ := t.Header["kid"].(string)
			return keys(kid)
		}, jwt.WithValidMethods([]string{"RS256"}), jwt.WithExpirationRequired())
		switch {
		case errors.Is(err, jwt.ErrTokenExpired):
			return Caller{}, unauthorized("ExpiredAuthenticationToken",
				"The access token expiry UTC time '%s' is earlier than current UTC time '%s'.", stamp(c.ExpiresAt.Time), stamp(time.Now()))
		case err != nil:
			return Caller{}, unauthorized("InvalidAuthenticationToken", "The access token is invalid.")
		case !slices.ContainsFunc(audiences, func(a string) bool { return slices.Contains(c.Audience, a) }):
			return Caller{}, unauthorized("InvalidAuthenticationTokenAudience",
				"The access token has been obtained for wrong audience or resource '%s'. It should exactly match with one of the allowed audiences '%s'.",
				strings.Join(c.Audience, ","), strings.Join(audiences, "','"))
		}
		return Caller{AppID: c.AppID, ObjectID: c.ObjectID, Tenant: c.Tenant}, nil
	}
}

func stamp(t time.Time) string { return t.UTC().Format("1/2/2006 3:04:05 PM") }

// unauthorized is a 401.
func unauthorized(code, format string, args ...any) *Error {
	return errorf(http.StatusUnauthorized, code, format, args...)
}

// challenge is ARM's WWW-Authenticate header. Clients learn the tenant of a
// subscription from it.
func challenge(tenant, message string) string {
	if tenant == "" {
		tenant = "common"
	}
	return fmt.Sprintf(`Bearer authorization_uri="https://login.windows.net/%s", error="invalid_token", error_description="%s"`,
		tenant, strings.ReplaceAll(message, `"`, `'`))
}
