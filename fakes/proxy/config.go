// Package proxy is an explicit HTTPS proxy (RFC 9110 section 9.3.6, CONNECT),
// well- and ill-behaved, with or without TLS inspection.
//
// It is written on net/http's parser and plain sockets. goproxy was compared:
// it answers through http.Server, which greets a TLS ClientHello with "400 Bad
// Request" in cleartext where the proxies to be imitated just close, and it
// inspects by parsing and rewriting HTTP/1.1 requests, where here two TLS
// streams are joined, so that HTTP/2 and half-closes pass unchanged.
package proxy

import "net/netip"

// Config is one proxy. Names may start with "*.".
type Config struct {
	// Allow are the names and addresses it connects to; empty: all but Deny.
	// A refused name gets 403.
	Allow []string `json:"allow,omitempty"`
	Deny  []string `json:"deny,omitempty"`
	// Authenticate answers 407 for names that are not in Anonymous.
	Authenticate bool     `json:"authenticate,omitempty"`
	Anonymous    []string `json:"anonymous,omitempty"`
	// Behaviour is answer (the zero value), close or silence.
	Behaviour Behaviour `json:"behaviour,omitempty"`
	// Inspect terminates TLS under the corporate authority, except for Exempt.
	Inspect bool     `json:"inspect,omitempty"`
	Exempt  []string `json:"exempt,omitempty"`
	// Resolver is the server that the proxy resolves names with, by real packets.
	Resolver netip.AddrPort `json:"resolver"`
}

// Behaviour of a proxy as a whole.
type Behaviour string

const (
	Answer  Behaviour = ""
	Close   Behaviour = "close"   // reads the request, then FIN
	Silence Behaviour = "silence" // reads the request, never answers
)
