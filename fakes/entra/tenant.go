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

// Tenant signs tokens for its applications. Its key is made when the first
// token is asked for. It is safe for concurrent use.
type Tenant struct {
	mu  sync.RWMutex
	cfg Config

	makeKey sync.Once
	key     *rsa.PrivateKey
	kid     string
	keyErr  error
}

// NewTenant makes a tenant.
func NewTenant(cfg Config) (*Tenant, error) {
	t := &Tenant{}
	return t, t.Update(cfg)
}

// Update changes the applications. The tenant's id and key stay.
func (t *Tenant) Update(cfg Config) error {
	if cfg.Tenant == "" || strings.ContainsAny(cfg.Tenant, "/?#%\\ ") {
		return fmt.Errorf("configuring Entra: %q is not a tenant id", cfg.Tenant)
	}
	clients := map[string]string{}
	for id, secret := range cfg.Clients {
		if id == "" || secret == "" {
			return fmt.Errorf("configuring Entra tenant %s: an application without id or secret", cfg.Tenant)
		}
		clients[strings.ToLower(id)] = secret
	}
	cfg.Clients = clients
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cfg.Tenant != "" && !strings.EqualFold(t.cfg.Tenant, cfg.Tenant) {
		return fmt.Errorf("configuring Entra tenant %s: its id cannot change to %s", t.cfg.Tenant, cfg.Tenant)
	}
	t.cfg = cfg
	return nil
}

// ID is the tenant's id.
func (t *Tenant) ID() string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.cfg.Tenant
}

// secret checks an application's secret.
func (t *Tenant) secret(app, given string) (known, right bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	want, known := t.cfg.Clients[strings.ToLower(app)]
	return known, known && subtle.ConstantTimeCompare([]byte(want), []byte(given)) == 1
}

func (t *Tenant) signingKey() (*rsa.PrivateKey, string, error) {
	t.makeKey.Do(func() {
		t.key, t.keyErr = rsa.GenerateKey(rand.Reader, 2048)
		if t.keyErr == nil {
			sum := sha256.Sum256(t.key.N.Bytes())
			t.kid = base64.RawURLEncoding.EncodeToString(sum[:20])
		}
	})
	if t.keyErr != nil {
		return nil, "", fmt.Errorf("making the key of tenant %s: %w", t.ID(), t.keyErr)
	}
	return t.key, t.kid, nil
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
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://graph.windows.net/"+t.ID()+"/servicePrincipals/"+strings.ToLower(app))).String()
}

// Token signs an access token of the shape that Entra gives applications for
// Azure's own APIs (version 1.0).
// https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
func (t *Tenant) Token(app, audience string, now time.Time) (string, error) {
	key, kid, err := t.signingKey()
	if err != nil {
		return "", err
	}
	oid, tid := t.ObjectID(app), t.ID()
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"aud": audience, "iss": "https://sts.windows.net/" + tid + "/",
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(Lifetime).Unix(),
		"appid": app, "appidacr": "1", "idp": "https://sts.windows.net/" + tid + "/", "idtyp": "app",
		"oid": oid, "sub": oid, "tid": tid, "uti": uuid.NewString(), "ver": "1.0",
	})
	token.Header["kid"], token.Header["x5t"] = kid, kid
	signed, err := token.SignedString(key)
	if err != nil {
		return "", fmt.Errorf("signing a token of %s: %w", app, err)
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
