package entra

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// Lifetime of access tokens. Entra chooses between 60 and 90 minutes.
const Lifetime = 3599 * time.Second

// Tenant signs tokens for its applications, managed identities and users. It is
// safe for concurrent use.
type Tenant struct {
	mu       sync.RWMutex
	dir      *directory
	sessions sessions // device codes and refresh tokens

	now func() time.Time
}

// NewTenant makes a tenant.
func NewTenant(cfg Config) (*Tenant, error) {
	t := &Tenant{now: time.Now}
	return t, t.Update(cfg)
}

// Update changes who is in the tenant. The tenant's id and key stay, and so do
// the sessions of users that stay.
func (t *Tenant) Update(cfg Config) error {
	d, err := newDirectory(cfg)
	if err != nil {
		return fmt.Errorf("configuring Entra tenant %s: %w", cfg.Tenant, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dir != nil && !strings.EqualFold(t.dir.tenant, d.tenant) {
		return fmt.Errorf("configuring Entra tenant %s: its id cannot change to %s", t.dir.tenant, d.tenant)
	}
	t.dir = d
	return nil
}

func (t *Tenant) directory() *directory {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.dir
}

// ID is the tenant's id.
func (t *Tenant) ID() string { return t.directory().tenant }

// secret checks an application's secret.
func (t *Tenant) secret(app, given string) (known, right bool) {
	d := t.directory()
	want, has := d.secrets[strings.ToLower(app)]
	known = d.applications[strings.ToLower(app)] != nil
	return known, has && subtle.ConstantTimeCompare([]byte(want), []byte(given)) == 1
}

// processKey signs for all tenants, as the keys of the service are common to its
// tenants; issuer and tid tell those apart. It is made when the first token is
// asked for, which takes about 100 ms.
var processKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func (t *Tenant) signingKey() (*rsa.PrivateKey, string, error) {
	key, err := processKey()
	if err != nil {
		return nil, "", fmt.Errorf("making the key of tenant %s: %w", t.ID(), err)
	}
	sum := sha256.Sum256(key.N.Bytes())
	return key, base64.RawURLEncoding.EncodeToString(sum[:20]), nil
}

// PublicKey is the key that verifies tokens with this key id.
func (t *Tenant) PublicKey(kid string) (crypto.PublicKey, error) {
	key, have, err := t.signingKey()
	if err != nil {
		return nil, err
	}
	if kid != have {
		return nil, fmt.Errorf("tenant %s has no key %q", t.ID(), kid)
	}
	return &key.PublicKey, nil
}

// ObjectID is the object id of an application's service principal: the same in
// every run.
func (t *Tenant) ObjectID(app string) string {
	d := t.directory()
	if a := d.applications[strings.ToLower(app)]; a != nil {
		return a.objectID
	}
	return objectID(d.tenant, app)
}

func objectID(tenant, app string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://graph.windows.net/"+tenant+"/servicePrincipals/"+strings.ToLower(app))).String()
}

// Token signs an access token of the shape that Entra gives applications for
// Azure's own APIs (version 1.0).
// https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
func (t *Tenant) Token(app, audience string, now time.Time) (string, error) {
	return t.applicationToken(app, "1", audience, now)
}

// IdentityToken is Token for a managed identity, with the claim that names its
// resource. An unknown client id is an error.
func (t *Tenant) IdentityToken(clientID, audience string, now time.Time) (string, error) {
	if a := t.directory().applications[strings.ToLower(clientID)]; a == nil || !a.managed {
		return "", fmt.Errorf("tenant %s has no managed identity with client id %s", t.ID(), clientID)
	}
	return t.applicationToken(clientID, "2", audience, now)
}

// applicationToken is for an application that showed how of itself: "1" a
// secret, "2" a signature (the claim appidacr).
func (t *Tenant) applicationToken(app, how, audience string, now time.Time) (string, error) {
	d := t.directory()
	oid := objectID(d.tenant, app)
	more := jwt.MapClaims{"appid": app, "appidacr": how, "idtyp": "app"}
	if a := d.applications[strings.ToLower(app)]; a != nil {
		oid = a.objectID
		if a.resourceID != "" {
			more["xms_mirid"] = a.resourceID
		}
	}
	more["oid"], more["sub"] = oid, oid
	return t.sign(audience, now, more)
}

// userToken is for a user who signed in to an application.
func (t *Tenant) userToken(u *User, app, audience string, now time.Time) (string, error) {
	return t.sign(audience, now, jwt.MapClaims{
		"appid": app, "appidacr": "0", "idtyp": "user", "acr": "1", "amr": []string{"pwd"}, "scp": "user_impersonation",
		"oid": u.ObjectID, "sub": pairwise(u, app), "name": u.DisplayName, "upn": u.Name, "unique_name": u.Name,
	})
}

// idToken tells an application who signed in (OpenID Connect Core section 2).
func (t *Tenant) idToken(u *User, app string, now time.Time) (string, error) {
	tid := t.ID()
	return t.signClaims(jwt.MapClaims{
		"aud": app, "iss": "https://" + Host + "/" + tid + "/v2.0", "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(Lifetime).Unix(),
		"name": u.DisplayName, "preferred_username": u.Name, "oid": u.ObjectID, "sub": pairwise(u, app), "tid": tid,
		"uti": uuid.NewString(), "ver": "2.0",
	})
}

// pairwise is a subject that differs between applications.
func pairwise(u *User, app string) string {
	sum := sha256.Sum256([]byte(u.ObjectID + strings.ToLower(app)))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// sign adds the claims that all access tokens have.
func (t *Tenant) sign(audience string, now time.Time, c jwt.MapClaims) (string, error) {
	tid := t.ID()
	c["aud"], c["iss"], c["idp"], c["tid"] = audience, "https://sts.windows.net/"+tid+"/", "https://sts.windows.net/"+tid+"/", tid
	c["iat"], c["nbf"], c["exp"] = now.Unix(), now.Unix(), now.Add(Lifetime).Unix()
	c["uti"], c["ver"] = uuid.NewString(), "1.0"
	return t.signClaims(c)
}

func (t *Tenant) signClaims(c jwt.MapClaims) (string, error) {
	key, kid, err := t.signingKey()
	if err != nil {
		return "", err
	}
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, c)
	token.Header["kid"], token.Header["x5t"] = kid, kid
	signed, err := token.SignedString(key)
	if err != nil {
		return "", fmt.Errorf("signing a token for %v: %w", c["aud"], err)
	}
	return signed, nil
}

// keySet is the JSON Web Key Set (RFC 7517) of the tenant.
func (t *Tenant) keySet() (any, error) {
	key, kid, err := t.signingKey()
	if err != nil {
		return nil, err
	}
	enc := base64.RawURLEncoding.EncodeToString
	return map[string]any{"keys": []any{map[string]string{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "x5t": kid,
		"n": enc(key.N.Bytes()), "e": enc(big.NewInt(int64(key.E)).Bytes()),
		"issuer": "https://" + Host + "/" + t.ID() + "/v2.0",
	}}}, nil
}
