package middlebox

import (
	"fmt"

	"github.com/acrlab/acrlab/fakes/middlebox/stream"
)

// validate names what a configuration has wrong.
func (c Config) validate() error {
	switch c.Action {
	case Reset, Close, Silence:
	default:
		return fmt.Errorf("configuring a middlebox: action %q is none of reset (empty), close, silence", c.Action)
	}
	if c.PlainHTTP != nil && (c.PlainHTTP.Status < 200 || c.PlainHTTP.Status > 999) {
		return fmt.Errorf("configuring a middlebox: plainHTTP status %d", c.PlainHTTP.Status)
	}
	return nil
}

// Refuses reports whether a connection for name may not pass. A connection
// without a name ("") is refused as soon as only some names are allowed: it
// cannot be one of them.
func (c Config) Refuses(name string) bool {
	return c.AllowNone || stream.MatchName(c.Block, name) || len(c.Allow) > 0 && !stream.MatchName(c.Allow, name)
}

// Inspects reports whether TLS for name is terminated.
func (c Config) Inspects(name string) bool {
	return c.Inspect && !stream.MatchName(c.Exempt, name)
}
