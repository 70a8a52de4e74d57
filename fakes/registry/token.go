package registry

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// Kinds of tokens, in the claim grant_type.
const (
	grantRefresh = "refresh_token"
	grantAccess  = "access_token"
)

const (
	tokenIssuer = "Azure Container Registry"
	// accessLife was seen in tokens of the service (docs/fidelity.md, token service).
	accessLife = 4500 * time.Second
	// refreshLife: "The token is valid for 3 hours",
	// https://learn.microsoft.com/azure/container-registry/container-registry-authentication
	refreshLife = 3 * time.Hour
)

// claims of a token of the service.
type claims struct {
	jwt.RegisteredClaims
	Version     string      `json:"version"`
	RID         string      `json:"rid"`
	GrantType   string      `json:"grant_type"`
	Tenant      string      `json:"tenant,omitempty"`
	Access      []grant     `json:"access,omitempty"`
	Permissions permissions `json:"permissions"`
	Roles       []string    `json:"roles"`
}

type permissions struct {
	Actions    []string `json:"actions"`
	NotActions []string `json:"notActions"`
}

// processKey is the RSA key of all registries of a process. Making one takes
// about 100 ms, and no client can tell: the audience keeps tokens of different
// registries apart.
var processKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// signer makes and checks tokens. The key is made when the first is needed.
type signer struct {
	rid string // the registry's own id, 32 hexadecimal digits
}

func newSigner() (*signer, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return nil, fmt.Errorf("choosing the registry's id: %w", err)
	}
	return &signer{rid: strings.ReplaceAll(id.String(), "-", "")}, nil
}

// issue signs a token with RS256 and the key id in twelve groups, as the
// service does.
func (s *signer) issue(kind, subject, audience, tenant string, access []grant, now time.Time) (string, error) {
	key, err := processKey()
	if err != nil {
		return "", fmt.Errorf("making the token key: %w", err)
	}
	kid, err := keyID(&key.PublicKey)
	if err != nil {
		return "", err
	}
	life := accessLife
	if kind == grantRefresh {
		life = refreshLife
	}
	c := claims{
		RegisteredClaims: jwt.RegisteredClaims{
			ID: uuid.NewString(), Subject: subject, Issuer: tokenIssuer,
			Audience:  jwt.ClaimStrings{audience},
			NotBefore: jwt.NewNumericDate(now.Add(-15 * time.Minute)),
			IssuedAt:  jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(life)),
		},
		Version: "1.0", RID: s.rid, GrantType: kind, Tenant: tenant, Access: access,
		Permissions: permissions{Actions: []string{"read", "write", "delete", "metadata/read", "metadata/write"}, NotActions: []string{}},
		Roles:       []string{},
	}
	t := jwt.NewWithClaims(jwt.SigningMethodRS256, singleAudience{c})
	t.Header["kid"] = kid
	signed, err := t.SignedString(key)
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return signed, nil
}

// singleAudience writes aud as a string: the service sends no array.
type singleAudience struct{ claims }

func (s singleAudience) MarshalJSON() ([]byte, error) {
	type flat struct {
		ID          string           `json:"jti"`
		Subject     string           `json:"sub"`
		NotBefore   *jwt.NumericDate `json:"nbf"`
		ExpiresAt   *jwt.NumericDate `json:"exp"`
		IssuedAt    *jwt.NumericDate `json:"iat"`
		Issuer      string           `json:"iss"`
		Audience    string           `json:"aud"`
		Version     string           `json:"version"`
		RID         string           `json:"rid"`
		GrantType   string           `json:"grant_type"`
		Tenant      string           `json:"tenant,omitempty"`
		Access      []grant          `json:"access,omitempty"`
		Permissions permissions      `json:"permissions"`
		Roles       []string         `json:"roles"`
	}
	return json.Marshal(flat{s.ID, s.Subject, s.NotBefore, s.ExpiresAt, s.IssuedAt, s.Issuer, s.Audience[0],
		s.Version, s.RID, s.GrantType, s.Tenant, s.Access, s.Permissions, s.Roles})
}

// verify checks signature, issuer, audience, times and kind.
func (s *signer) verify(token, kind string, audiences []string, now time.Time) (*claims, error) {
	key, err := processKey()
	if err != nil {
		return nil, fmt.Errorf("making the token key: %w", err)
	}
	c := &claims{}
	_, err = jwt.ParseWithClaims(token, c, func(*jwt.Token) (any, error) { return &key.PublicKey, nil },
		jwt.WithValidMethods([]string{"RS256"}), jwt.WithIssuer(tokenIssuer), jwt.WithExpirationRequired(),
		jwt.WithTimeFunc(func() time.Time { return now }))
	if err != nil {
		return nil, fmt.Errorf("checking a token: %w", err)
	}
	if c.GrantType != kind {
		return nil, fmt.Errorf("checking a token: it is a %s, not a %s", c.GrantType, kind)
	}
	if c.RID != s.rid {
		return nil, errors.New("checking a token: it is for another registry")
	}
	if !slices.ContainsFunc(c.Audience, func(a string) bool { return slices.Contains(audiences, a) }) {
		return nil, fmt.Errorf("checking a token: it is for %q", c.Audience)
	}
	return c, nil
}

// keyID is the fingerprint that Docker's registry clients call a key id: the
// first 240 bits of the SHA-256 of the DER public key, in base32, in groups of
// four. https://distribution.github.io/distribution/spec/auth/jwt/
func keyID(key crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("encoding the token key: %w", err)
	}
	sum := sha256.Sum256(der)
	encoded := base32.StdEncoding.EncodeToString(sum[:30])
	groups := make([]string, 0, 12)
	for g := range slices.Chunk([]byte(encoded), 4) {
		groups = append(groups, string(g))
	}
	return strings.Join(groups, ":"), nil
}
