package client

import "regexp"

// signature is the secret part of a link to a blob.
var signature = regexp.MustCompile(`(?i)\b(sig=)[^&"'\s<>]+`)

// redacted is an error whose text shows no signature of a link.
type redacted struct{ err error }

func redact(err error) error {
	if err == nil {
		return nil
	}
	return redacted{err}
}

func (r redacted) Error() string { return signature.ReplaceAllString(r.err.Error(), "${1}REDACTED") }
func (r redacted) Unwrap() error { return r.err }
