package state

import (
	"crypto/sha1"
	"strings"

	"github.com/google/uuid"
)

// guid is a GUID that depends on names alone (RFC 9562 section 5.5), so that a
// topology gives the same state in every run.
func guid(names ...string) string {
	return uuid.NewHash(sha1.New(), uuid.NameSpaceOID, []byte("acrlab/"+strings.Join(names, "/")), 5).String()
}
