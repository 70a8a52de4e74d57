// Package middlebox is a transparent firewall that reads the server name in a
// TLS ClientHello and then lets the connection pass, resets it, closes it,
// stays silent or terminates TLS itself.
//
// It works on the stream, not on packets: a ClientHello may span several
// segments, and with post-quantum key shares it does.
package middlebox

// Config is one filter. Names may start with "*.".
type Config struct {
	// Block are refused names; when Allow is set every other name is refused too.
	Block []string `json:"block,omitempty"`
	Allow []string `json:"allow,omitempty"`
	// AllowNone refuses every name.
	AllowNone bool `json:"allowNone,omitempty"`
	// Action on a refused name: reset (the zero value), close or silence.
	Action Action `json:"action,omitempty"`
	// Inspect terminates TLS under the corporate authority, except for Exempt.
	Inspect bool     `json:"inspect,omitempty"`
	Exempt  []string `json:"exempt,omitempty"`
	// PlainHTTP, if set, answers cleartext HTTP with this status and body (Azure
	// Firewall: 470).
	PlainHTTP *Page `json:"plainHTTP,omitempty"`
}

// Action on a refused name.
type Action string

const (
	Reset   Action = ""        // TCP RST
	Close   Action = "close"   // FIN without a byte
	Silence Action = "silence" // keeps the connection, says nothing
)

// Page is a whole HTTP answer.
type Page struct {
	Status int    `json:"status"`
	Body   string `json:"body"`
}
