// Package bearer reads the Entra access token of a request, for the APIs that
// accept one.
package bearer

import (
	"cmp"
	"crypto"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// Keys finds the key that verifies tokens by its id.
type Keys func(kid string) (crypto.PublicKey, error)

// Caller is who a token speaks for.
type Caller struct {
	Tenant, AppID, ObjectID string
	// User is the principal name of a person, empty for an application.
	User string
}

type claims struct {
	jwt.RegisteredClaims
	Tenant   string `json:"tid"`
	ObjectID string `json:"oid"`
	AppID    string `json:"appid"`
	AZP      string `json:"azp"`
	UPN      string `json:"upn"`
}

// Read checks signature, expiry and audience. The error says what a client may know.
func Read(r *http.Request, keys Keys, audiences ...string) (Caller, error) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || strings.TrimSpace(token) == "" {
		return Caller{}, errors.New("access token is empty")
	}
	var c claims
	_, err := jwt.ParseWithClaims(strings.TrimSpace(token), &c, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		return keys(kid)
	}, jwt.WithValidMethods([]string{"RS256"}), jwt.WithExpirationRequired())
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return Caller{}, errors.New("the token is expired")
	case err != nil:
		return Caller{}, errors.New("the token is malformed or its signature is not valid")
	case !slices.ContainsFunc(c.Audience, func(a string) bool { return slices.Contains(audiences, a) }):
		return Caller{}, fmt.Errorf("the audience %q is not valid", strings.Join(c.Audience, ","))
	}
	return Caller{Tenant: c.Tenant, AppID: cmp.Or(c.AppID, c.AZP), ObjectID: c.ObjectID, User: c.UPN}, nil
}
