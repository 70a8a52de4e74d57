package entra

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
)

// federation is a Federation whose keys were read.
type federation struct {
	issuer, subject, audience string
	keys                      map[string]crypto.PublicKey // by key id
}

func parseFederations(list []Federation) ([]federation, error) {
	var out []federation
	for _, f := range list {
		if f.Issuer == "" || f.Subject == "" {
			return nil, fmt.Errorf("a federated credential needs issuer and subject, not %q and %q", f.Issuer, f.Subject)
		}
		keys, err := parseKeys(f.Keys)
		if err != nil {
			return nil, fmt.Errorf("keys of the federated issuer %s: %w", f.Issuer, err)
		}
		out = append(out, federation{f.Issuer, f.Subject, cmp.Or(f.Audience, federationAudience), keys})
	}
	return out, nil
}

// parseKeys reads the RSA and the P-256, P-384 and P-521 keys of a JSON Web Key
// Set (RFC 7517, RFC 7518 section 6). Other kinds are left out.
func parseKeys(raw json.RawMessage) (map[string]crypto.PublicKey, error) {
	out := map[string]crypto.PublicKey{}
	if len(raw) == 0 {
		return out, nil
	}
	var set struct {
		Keys []struct {
			Kty, Kid, N, E, Crv, X, Y string
		}
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return nil, fmt.Errorf("reading the key set: %w", err)
	}
	for _, k := range set.Keys {
		var key crypto.PublicKey
		var err error
		switch k.Kty {
		case "RSA":
			key, err = rsaKey(k.N, k.E)
		case "EC":
			key, err = ecKey(k.Crv, k.X, k.Y)
		default:
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", k.Kid, err)
		}
		out[k.Kid] = key
	}
	return out, nil
}

func rsaKey(n, e string) (crypto.PublicKey, error) {
	modulus, err := base64.RawURLEncoding.DecodeString(n)
	if err != nil {
		return nil, fmt.Errorf("reading n: %w", err)
	}
	exponent, err := base64.RawURLEncoding.DecodeString(e)
	if err != nil {
		return nil, fmt.Errorf("reading e: %w", err)
	}
	x := new(big.Int).SetBytes(exponent)
	if len(modulus) < 128 || len(modulus) > 1024 || !x.IsInt64() || x.Int64() < 3 || x.Int64() > 1<<31-1 {
		return nil, fmt.Errorf("an RSA key of %d bits with exponent %s is not usable", len(modulus)*8, x)
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: int(x.Int64())}, nil
}

func ecKey(curve, x, y string) (crypto.PublicKey, error) {
	c := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[curve]
	if c == nil {
		return nil, fmt.Errorf("unknown curve %q", curve)
	}
	point := []byte{4} // uncompressed, SEC 1 section 2.3.3
	for _, v := range []string{x, y} {
		raw, err := base64.RawURLEncoding.DecodeString(v)
		if err != nil {
			return nil, fmt.Errorf("reading a coordinate: %w", err)
		}
		size := (c.Params().BitSize + 7) / 8
		if len(raw) != size {
			return nil, fmt.Errorf("a coordinate of %d bytes on %s", len(raw), curve)
		}
		point = append(point, raw...)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(c, point)
	if err != nil {
		return nil, fmt.Errorf("a point that is not on %s: %w", curve, err)
	}
	return key, nil
}
