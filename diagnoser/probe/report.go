// Package probe looks at a registry from where it runs, one file a probe, and
// writes down what it saw without concluding anything.
//
// It knows wire protocols. What an observation means is package infer's.
package probe

import (
	"net/netip"
	"time"
)

// Report is everything that the probes saw. A nil pointer or absent entry
// means that the probe was not made; Omitted says why.
type Report struct {
	Target  Target
	Vantage Vantage
	// Lookups: every name asked of every resolver.
	Lookups []Lookup
	// Paths: every endpoint tried, each by each way that clients would take.
	Paths []Path
	// API is the conversation with the registry by the shell's way.
	API *API
	// Control are connections that must work if the network as a whole does
	// (MCR, Entra): they tell a blocked registry from a dead uplink.
	Control []Path
	// Endpoints are connections to the addresses of private endpoints that Azure
	// named, tried whatever DNS says.
	Endpoints []Path
	Omitted   []Omission
	Began     time.Time
	Took      time.Duration
}

// Omission is a probe that was not made.
type Omission struct{ Probe, Because string }

// Target is what the client wants to pull.
type Target struct {
	Host       string // login server as given, lower case
	Repository string // may be empty
	Reference  string // tag or digest, may be empty
	// Suffix of the cloud: azurecr.io, azurecr.us, azurecr.cn; empty if the
	// host has none of them.
	Suffix string
}

// Vantage is the place.
type Vantage struct {
	Source    netip.Addr   // address that packets to the internet leave from
	Resolvers []netip.Addr // of resolv.conf, in order
	Hosts     map[string][]netip.Addr
	// Search are the domains that resolv.conf has names completed with, and NDots
	// how many dots a name needs to be asked as it is first.
	Search []string
	NDots  int
	// InAzureVNet: 168.63.129.16 answers DNS here. Nil: not known.
	InAzureVNet *bool
	Shell       ProxySettings
	Daemon      *DaemonSettings // nil: no container engine's configuration found
	// Egress is the public address as somebody outside saw it, if anybody said.
	Egress     netip.Addr
	EgressFrom string // who said: "registry" (403 body)
	Now        time.Time
	// ClockSkew of this host against a Date header; HasSkew says it was measured.
	ClockSkew time.Duration
	HasSkew   bool
}

// ProxySettings as read from an environment.
type ProxySettings struct {
	HTTPSProxy string // as written, credentials removed
	NoProxy    string
	From       string // "environment HTTPS_PROXY", "/etc/systemd/system/docker.service.d/http-proxy.conf"
	// Malformed says what is wrong with the value, if anything.
	Malformed string
	// Conflict says that the upper and the lower case variable differ, so that
	// programs on this host use different proxies.
	Conflict string
}

// DaemonSettings is what the container engine is configured with.
type DaemonSettings struct {
	Engine string // "docker", "containerd"
	Proxy  ProxySettings
	// Read are the files and processes that were read.
	Read []string
	// NotRestarted says that the running engine's environment differs from its
	// configuration, if it does: the engine was not restarted after a change.
	NotRestarted string
}

// RCode is how a resolver answered.
type RCode string

const (
	NoError     RCode = "NOERROR" // with addresses
	NoData      RCode = "NODATA"  // NOERROR without addresses
	NXDomain    RCode = "NXDOMAIN"
	ServFail    RCode = "SERVFAIL"
	Refused     RCode = "REFUSED"
	OtherCode   RCode = "OTHER"
	Timeout     RCode = "TIMEOUT"     // nothing came back
	Unreachable RCode = "UNREACHABLE" // ICMP port unreachable, no route
	Garbled     RCode = "GARBLED"     // not DNS
)

// ResolverKind is why a resolver was asked.
type ResolverKind string

const (
	Configured ResolverKind = "configured"
	AzureDNS   ResolverKind = "azure"  // 168.63.129.16
	PublicDNS  ResolverKind = "public" // an open resolver of the internet
	HostsFile  ResolverKind = "hosts"
)

// Lookup is one query (A, and AAAA merged) to one resolver.
type Lookup struct {
	Name     string
	Kind     ResolverKind
	Resolver netip.Addr // zero for the hosts file
	RCode    RCode
	Chain    []CNAME
	Addrs    []netip.Addr
	TTL      uint32 // of the addresses, seconds
	Took     time.Duration
	Err      string
}

// CNAME is one hop of an alias chain.
type CNAME struct {
	Name, Target string
	TTL          uint32
}

// Via is the way that a connection takes.
type Via string

const (
	Direct   Via = "direct"
	Proxied  Via = "proxy"        // by the shell's proxy
	ByDaemon Via = "daemon-proxy" // by the container engine's proxy
)

// EndpointRole is what an endpoint is for.
type EndpointRole string

const (
	RoleLogin   EndpointRole = "login"
	RoleData    EndpointRole = "data"    // *.data.azurecr.io
	RoleStorage EndpointRole = "storage" // *.blob.core.windows.net
	RoleEntra   EndpointRole = "entra"
	RoleARM     EndpointRole = "arm"
	RoleMCR     EndpointRole = "mcr"
)

// Path is one try to reach one endpoint.
type Path struct {
	Host string
	Port int
	Role EndpointRole
	Via  Via
	// Shell and Daemon say whose traffic takes this way.
	Shell, Daemon bool
	// Addr that was connected to (the proxy's for proxied paths); zero if the
	// name gave none.
	Addr  netip.Addr
	TCP   *TCP
	Proxy *ProxyHop // proxied paths only
	TLS   *TLS
	HTTP  *HTTP
	// OtherName is the TLS handshake on the same address and way with an
	// innocent server name, made when the handshake with the real one failed: of
	// several names the first that passes, www.microsoft.com if none does.
	OtherName *TLS
	// NoName is the same without any server name.
	NoName *TLS
	// SmallSegments is the handshake with the real name over a connection whose
	// segments are held below 536 bytes, made when the handshake with ordinary
	// ones met silence: it passing shows that large packets are lost.
	SmallSegments *TLS
	// Resolved is whose answer Addr is; empty for a literal address. Anything
	// but Configured and HostsFile means that clients here do not get this
	// address: the path was tried to see what lies behind a failed lookup, and
	// neither Shell nor Daemon is set.
	Resolved ResolverKind
	// Guessed says that nobody named this endpoint: it was put together from the
	// registry's name and the region in its alias chain.
	Guessed bool
}

// TCPOutcome is what became of a connect.
type TCPOutcome string

const (
	Connected   TCPOutcome = "connected"
	Silence     TCPOutcome = "silence"    // SYN retransmitted, nothing came back
	Reset       TCPOutcome = "reset"      // RST to the SYN
	HostUnreach TCPOutcome = "icmp-host"  // EHOSTUNREACH: ICMP host unreachable or prohibited
	NetUnreach  TCPOutcome = "icmp-net"   // ENETUNREACH by ICMP
	NoRoute     TCPOutcome = "no-route"   // this host has no route; no packet left
	NoAddress   TCPOutcome = "no-address" // the name did not resolve
	TCPOther    TCPOutcome = "other"
)

// TCP is one connect.
type TCP struct {
	Outcome         TCPOutcome
	Local           netip.AddrPort
	Retransmissions int
	Took            time.Duration
	// Err also holds the ICMP message and its sender where the kernel told.
	Err string
}

// ProxyHop is the conversation with a proxy up to the tunnel.
type ProxyHop struct {
	URL     string // credentials removed
	Scheme  string
	Resolve *Lookup // nil for a literal address
	// Status of the CONNECT answer; 0 when there was none.
	Status     int
	StatusLine string
	Auth       string // Proxy-Authenticate
	Via        string // Via or Server header
	Body       string // first bytes
	// Outcome is answered, closed (EOF instead of an answer), reset, silence,
	// not-tls (https:// proxy URL and the proxy speaks cleartext), or tls-failed.
	Outcome string
	// PlainWorks: an https:// URL failed and the same proxy answers CONNECT in cleartext.
	PlainWorks bool
	Took       time.Duration
	Err        string
}

// TLSOutcome is what became of a handshake.
type TLSOutcome string

const (
	Verified     TLSOutcome = "verified"
	UnknownCA    TLSOutcome = "unknown-authority"
	WrongName    TLSOutcome = "wrong-name"
	OutOfTime    TLSOutcome = "expired-or-not-yet-valid"
	TLSReset     TLSOutcome = "reset"   // RST after the ClientHello
	TLSClosed    TLSOutcome = "closed"  // FIN after the ClientHello
	TLSSilence   TLSOutcome = "silence" // ClientHello acknowledged or not, no answer
	NotTLS       TLSOutcome = "not-tls" // cleartext came back
	TLSAlert     TLSOutcome = "alert"
	TLSOtherFail TLSOutcome = "other"
)

// TLS is one handshake.
type TLS struct {
	ServerName string
	Outcome    TLSOutcome
	Issuer     string // of the leaf, as RFC 2253
	IssuerOrg  string
	Subject    string
	Names      []string
	NotBefore  time.Time
	NotAfter   time.Time
	Version    string
	Took       time.Duration
	Err        string
	// TrustedBy is the file of authorities that does trust the certificate when
	// the trust store does not (Outcome unknown-authority), e.g.
	// "/etc/docker/certs.d/myregistry.azurecr.io/ca.crt". Empty if none does.
	TrustedBy string
}

// HTTP is one exchange. Secrets are removed from everything kept.
type HTTP struct {
	Method, URL string
	Status      int
	Header      map[string]string // the few that matter, canonical names
	Body        string            // first 2 KiB
	Took        time.Duration
	Err         string
	// Outcome is answered, or how the answer failed to come: closed, reset,
	// silence, garbled (no HTTP), other.
	Outcome string
}

// AnswerKind says who answered.
type AnswerKind string

const (
	ByRegistry   AnswerKind = "registry" // challenge, or errors JSON, or registry headers
	ByStorage    AnswerKind = "storage"  // Azure Storage XML or headers
	ByOther      AnswerKind = "other"    // a captive portal, a filter, another server
	NotAnswering AnswerKind = "none"
)

// API is the walk from the challenge to the layer.
type API struct {
	Challenge *Challenge
	Token     *Token
	Manifest  *Step
	// Blobs: one for the configuration or smallest layer, by the redirect.
	Blob *Blob
	// Push is the last step of an upload that was tried and cancelled; nil unless
	// Options.Push asked for it.
	Push *Step
}

// Challenge is GET /v2/ without credentials.
type Challenge struct {
	Answer  AnswerKind
	HTTP    HTTP
	Scheme  string // "Bearer"
	Realm   string
	Service string
	// Denied: code DENIED by the registry's network rules; DeniedIP is the
	// address that the registry saw.
	Denied   bool
	DeniedIP netip.Addr
}

// Token is how a token was had.
type Token struct {
	// Source is anonymous, docker-config, entra.
	Source   string
	Steps    []HTTP
	Granted  bool
	Denied   bool // by network rules
	DeniedIP netip.Addr
	Err      string
}

// Step is one authenticated request.
type Step struct {
	HTTP     HTTP
	OK       bool
	Denied   bool
	DeniedIP netip.Addr
}

// Blob is a layer followed through its redirect.
type Blob struct {
	Digest   string
	Redirect HTTP   // answer of the login server
	Host     string // of the Location, empty if served directly
	// Path is the try to reach Host; its HTTP is the download.
	Path *Path
	OK   bool // every byte came and the digest is right
	// Private: the redirect leads to R.<region>.data.azurecr.io.
	Err string
}
