package proxy

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"

	"github.com/acrlab/acrlab/fakes/dns"
	"github.com/acrlab/acrlab/fakes/middlebox/stream"
)

// target is whom a request wants.
type target struct {
	host string // name or address, without brackets
	port string
	url  string // as pages print it
}

func targetOf(req *http.Request) (target, error) {
	if req.Method == http.MethodConnect {
		host, port, err := net.SplitHostPort(req.Host)
		if err != nil || host == "" {
			return target{}, fmt.Errorf("CONNECT %q: host:port was expected", req.Host)
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return target{}, fmt.Errorf("CONNECT %q: port", req.Host)
		}
		return target{host, port, req.Host}, nil
	}
	// Absolute form (RFC 9112 section 3.2.2), cleartext only.
	if req.URL.Scheme != "http" || req.URL.Hostname() == "" {
		return target{}, fmt.Errorf("%s %q: neither CONNECT nor http://", req.Method, req.RequestURI)
	}
	port := req.URL.Port()
	if port == "" {
		port = "80"
	}
	return target{req.URL.Hostname(), port, req.URL.String()}, nil
}

// Refuses reports whether a request for host is answered 403.
func (c Config) Refuses(host string) bool {
	return stream.MatchName(c.Deny, host) || len(c.Allow) > 0 && !stream.MatchName(c.Allow, host)
}

// Challenges reports whether a request for host that is not refused is answered 407.
func (c Config) Challenges(host string) bool {
	return c.Authenticate && !stream.MatchName(c.Anonymous, host)
}

// Inspects reports whether TLS for a name is terminated.
func (c Config) Inspects(name string) bool {
	return c.Inspect && !stream.MatchName(c.Exempt, name)
}

// connect resolves and dials, trying each address in turn as squid does.
func (s *Server) connect(ctx context.Context, cfg Config, to target) (net.Conn, *response) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	addrs, fail := s.resolve(ctx, cfg, to)
	if fail != nil {
		return nil, fail
	}
	var last error
	for _, a := range addrs {
		conn, err := s.net.DialContext(ctx, "tcp", net.JoinHostPort(a.String(), to.port))
		if err == nil {
			return conn, nil
		}
		last = err
	}
	r := connectFailed(to, last)
	return nil, &r
}

func (s *Server) resolve(ctx context.Context, cfg Config, to target) ([]netip.Addr, *response) {
	if a, err := netip.ParseAddr(to.host); err == nil {
		return []netip.Addr{a}, nil
	}
	why := ""
	if !cfg.Resolver.IsValid() {
		why = "No DNS server is configured."
	} else if answer, err := dns.Lookup(ctx, s.net, cfg.Resolver, to.host); err != nil {
		why = "Timeout"
	} else if addrs := answer.Addrs(); len(addrs) > 0 {
		return addrs, nil
	} else {
		why = map[dns.RCode]string{
			dns.NXDomain:      "Name Error: The domain name does not exist.",
			dns.NoData:        "No DNS records",
			dns.RCodeServFail: "Server Failure: The name server was unable to process this query.",
			dns.RCodeRefused:  "Refused: The name server refuses to perform the specified operation.",
		}[answer.RCode]
	}
	r := dnsFailed(to, why)
	return nil, &r
}
