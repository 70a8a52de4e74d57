// Package sentence reads the sentences in which a scenario says what proves its
// fault: "client resolves myregistry.azurecr.io to a public address".
//
// It knows words alone. Package prove carries them out on a running network;
// package topology uses this package to refuse a scenario whose sentences say
// nothing.
package sentence

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Kind is what must be done to see whether a sentence holds.
type Kind string

const (
	Resolve Kind = "resolve" // a lookup that must give an address
	Lookup  Kind = "lookup"  // a lookup that must fail in the named way
	Chain   Kind = "chain"   // a lookup that must pass a CNAME
	Connect Kind = "connect" // a TCP handshake
	TLS     Kind = "tls"     // a TLS handshake
	HTTP    Kind = "http"    // GET https://NAME/v2/
	Proxy   Kind = "proxy"   // CONNECT at the proxy
	Count   Kind = "count"   // the packet counter of a rule
)

// Outcome is what must be seen.
type Outcome string

const (
	Public      Outcome = "public"  // Resolve: every address is public
	Private     Outcome = "private" // Resolve: every address is private
	ToAddress   Outcome = "address" // Resolve: Address is among them
	NXDomain    Outcome = "NXDOMAIN"
	NoData      Outcome = "NODATA"
	ServFail    Outcome = "SERVFAIL"
	Refused     Outcome = "REFUSED"
	NoAnswer    Outcome = "no answer" // Lookup, Connect: silence
	Connected   Outcome = "connects"
	Reset       Outcome = "refused"     // Connect: RST; TLS: RST during the handshake
	Unreachable Outcome = "unreachable" // Connect: ICMP unreachable of any code
	Verified    Outcome = "verified"
	Closed      Outcome = "closed" // TLS, Proxy: FIN instead of an answer
	Silent      Outcome = "silent" // TLS, Proxy: the connection stands, nothing comes
	SignedBy    Outcome = "signed by"
	NotTrusted  Outcome = "not trusted"
	WrongName   Outcome = "not valid for its name"
	Status      Outcome = "status" // HTTP, Proxy
	Positive    Outcome = "positive"
	Passes      Outcome = "passes"
)

// Sentence is what a sentence says.
type Sentence struct {
	// Text is the sentence as it was written.
	Text    string
	Kind    Kind
	Outcome Outcome
	// Host is the host of the plan from which it is seen (Count: whose rule it
	// is). Empty: the plan's client.
	Host string
	// Resolver is asked instead of the host's own; zero: the host's own.
	Resolver netip.Addr
	// Name is the DNS name or literal address that it is about; Port its TCP port.
	Name string
	Port uint16
	// Address is the expected address (ToAddress), or the client address that
	// the registry must name (HTTP).
	Address netip.Addr
	// ServerName is sent in the ClientHello instead of Name (TLS).
	ServerName string
	// Through is the name that the CNAME chain must pass (Chain).
	Through string
	// Issuer is the common name of the expected issuer (SignedBy).
	Issuer string
	// Status is the expected HTTP status.
	Status int
	// Denied: the answer must be the registry's own refusal, error code DENIED.
	Denied bool
	// Rule is the name of the filter or redirect rule (Count).
	Rule string
}

// Parse reads a sentence. The error names the form that comes closest.
func Parse(text string) (Sentence, error) {
	words := strings.Join(strings.Fields(text), " ")
	if words == "" {
		return Sentence{}, fmt.Errorf("the sentence is empty; for example: %s", forms[0].text)
	}
	for _, f := range compiled() {
		m := f.expression.FindStringSubmatch(words)
		if m == nil {
			continue
		}
		s := Sentence{Text: words, Kind: f.kind, Outcome: f.outcome}
		for i, group := range f.expression.SubexpNames() {
			if group == "" || m[i] == "" {
				continue
			}
			if err := s.set(group, m[i]); err != nil {
				return Sentence{}, fmt.Errorf("%q: %w; the form is %q", words, err, f.text)
			}
		}
		return s, nil
	}
	return Sentence{}, fmt.Errorf("no proof sentence reads %q; the closest form is %q", words, closestForm(words))
}

func (s *Sentence) set(group, value string) error {
	switch group {
	case "HOST":
		s.Host = value
	case "NAME":
		s.Name = strings.ToLower(value)
		return checkName(value)
	case "NAME2":
		s.Through = strings.ToLower(value)
		return checkName(value)
	case "SNI":
		s.ServerName = strings.ToLower(value)
		return checkName(value)
	case "PORT":
		p, err := strconv.ParseUint(value, 10, 16)
		if err != nil || p == 0 {
			return fmt.Errorf("%q is no port; want 1 to 65535", value)
		}
		s.Port = uint16(p)
	case "ADDRESS", "RESOLVER":
		a, err := netip.ParseAddr(value)
		if err != nil {
			return fmt.Errorf("%q is no IP address", value)
		}
		if group == "RESOLVER" {
			s.Resolver = a
		} else {
			s.Address = a
		}
	case "STATUS":
		n, err := strconv.Atoi(value)
		if err != nil || n < 100 || n > 599 {
			return fmt.Errorf("%q is no HTTP status", value)
		}
		s.Status = n
	case "DENIED":
		s.Denied = true
	case "CN":
		s.Issuer = value
	case "RULE":
		s.Rule = value
	}
	return nil
}

// checkName takes DNS names and literal addresses.
func checkName(name string) error {
	if _, err := netip.ParseAddr(name); err == nil {
		return nil
	}
	if len(name) > 253 || !strings.Contains(name, ".") {
		return fmt.Errorf("%q is no full DNS name", name)
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return fmt.Errorf("%q is no DNS name", name)
		}
	}
	return nil
}

// String is the sentence as it was written.
func (s Sentence) String() string { return s.Text }
