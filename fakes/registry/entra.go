package registry

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// entraAudiences are the resources whose Entra tokens the registry exchanges:
// Azure Resource Manager under its names, and the registry service itself.
// https://learn.microsoft.com/azure/container-registry/container-registry-disable-authentication-as-arm
var entraAudiences = []string{
	"https://management.core.windows.net/",
	"https://management.core.windows.net",
	"https://management.azure.com/",
	"https://management.azure.com",
	"https://containerregistry.azure.net/",
	"https://containerregistry.azure.net",
}

// entraClaims are what the exchange reads of an Entra access token. Version 1
// tokens name the application appid, version 2 tokens azp:
// https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
type entraClaims struct {
	jwt.RegisteredClaims
	Tenant string `json:"tid"`
	AppID  string `json:"appid"`
	AZP    string `json:"azp"`
}

// verifyEntra checks signature, expiry, audience, tenant and application.
// tenant is the one that the request names; it may be empty.
func (r *Registry) verifyEntra(token, tenant string) (*entraClaims, error) {
	if r.entraKeys == nil {
		return nil, errors.New("checking an Entra token: no keys are known")
	}
	c := &entraClaims{}
	_, err := jwt.ParseWithClaims(token, c, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		key, err := r.entraKeys(kid)
		if err != nil {
			return nil, fmt.Errorf("looking up key %q: %w", kid, err)
		}
		return key, nil
	}, jwt.WithValidMethods([]string{"RS256", "ES256"}), jwt.WithExpirationRequired(),
		jwt.WithTimeFunc(func() time.Time { return r.now() }))
	if err != nil {
		return nil, fmt.Errorf("checking an Entra token: %w", err)
	}
	cfg := r.config()
	c.AppID = cmp.Or(c.AppID, c.AZP)
	switch {
	case !slices.ContainsFunc(c.Audience, func(a string) bool { return slices.Contains(entraAudiences, a) }):
		return nil, fmt.Errorf("checking an Entra token: its audience is %q", c.Audience)
	case c.Tenant == "" || c.Tenant != cfg.Tenant || tenant != "" && tenant != cfg.Tenant:
		return nil, fmt.Errorf("checking an Entra token: tenant %q is not the registry's", c.Tenant)
	case !slices.Contains(cfg.Clients, c.AppID):
		return nil, fmt.Errorf("checking an Entra token: application %q has no role on the registry", c.AppID)
	}
	return c, nil
}
