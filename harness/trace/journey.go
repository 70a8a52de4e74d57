package trace

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/acrlab/acrlab/fakes/proxy"
	"github.com/acrlab/acrlab/fakes/registry"
	"github.com/acrlab/acrlab/harness/plan"
)

// Journey is one HTTPS request to a name, followed as far as it comes: the name
// is resolved, the connection made, a proxy asked, the certificate looked at,
// the registry's network rules applied.
type Journey struct {
	Name string `json:"name"`
	// Via is the proxy that the client's settings choose, "host:port". Lookup
	// and Connection are the client's own, so they lead to the proxy then.
	Via    string `json:"via,omitempty"`
	Lookup Answer `json:"lookup,omitzero"`
	// Connection is nil when there is no address to connect to.
	Connection *Path `json:"connection,omitempty"`
	// Tunnel is what the proxy does.
	Tunnel *Tunnel `json:"tunnel,omitempty"`
	// Admission is what the registry's network rules say about the source.
	Admission string `json:"admission,omitempty"`
	// Dies is nil when the request is served.
	Dies *Death `json:"dies,omitempty"`

	front *registry.Front // that serves the request
}

// Tunnel is what a proxy answers to CONNECT, and its own way on.
type Tunnel struct {
	Answer     string `json:"answer"` // "200", "403", "407", "503", "closed" or "silence"
	Why        string `json:"why,omitempty"`
	Lookup     Answer `json:"lookup,omitzero"`
	Connection *Path  `json:"connection,omitempty"`
}

// Stage of a journey.
type Stage string

// The stages, in order.
const (
	AtName     Stage = "name"
	AtPackets  Stage = "packets"
	AtProxy    Stage = "proxy"
	AtTLS      Stage = "tls"
	AtRegistry Stage = "registry"
)

// Death is where a journey ends without an answer that a pull can go on with.
type Death struct {
	Stage Stage  `json:"stage"`
	Host  string `json:"host,omitempty"` // of the network
	Why   string `json:"why"`
}

// Pull follows what a pull of image does from a host: to the login server, and
// from there to the host of the layers, which is that of the replica which the
// login server's name has led to. proxyFor gives the proxy for a name, if any.
func Pull(n *plan.Network, from, image string, proxyFor func(name string) *url.URL) ([]Journey, error) {
	login, _, _ := strings.Cut(image, "/")
	first, err := Travel(n, from, login, proxyFor(login))
	if err != nil {
		return nil, err
	}
	out := []Journey{first}
	name := layers(n, login, first.front)
	if name == "" {
		return out, nil
	}
	second, err := Travel(n, from, name, proxyFor(name))
	if err != nil {
		return nil, err
	}
	return append(out, second), nil
}

// layers is the name of the host that a registry redirects layers to; empty
// when there is no such registry. Unless a front has answered it is that of the
// home region.
func layers(n *plan.Network, login string, front *registry.Front) string {
	i := slices.IndexFunc(n.Registries, func(r registry.Config) bool { return strings.EqualFold(r.LoginServer, login) })
	if i < 0 || len(n.Registries[i].Regions) == 0 {
		return ""
	}
	r := n.Registries[i]
	at := 0
	if front != nil {
		at = max(0, slices.IndexFunc(r.Regions, func(g registry.Region) bool { return g.Name == front.Region }))
	}
	if !r.DataEndpoints {
		return r.Regions[at].Storage
	}
	label, suffix, _ := strings.Cut(r.LoginServer, ".")
	return label + "." + r.Regions[at].Name + ".data." + suffix
}

// Travel follows one HTTPS request from a host to a name, through a proxy if
// one is given.
func Travel(n *plan.Network, from, name string, through *url.URL) (Journey, error) {
	j := Journey{Name: name}
	to, port, hello := name, uint16(443), name
	if through != nil {
		var err error
		if to, port, err = addressOf(through); err != nil {
			return j, err
		}
		j.Via = to + ":" + strconv.Itoa(int(port))
		if hello = ""; through.Scheme == "https" {
			hello = to
		}
	}
	path, why, err := connect(n, from, to, port, hello, &j.Lookup, nil)
	if err != nil {
		return j, err
	}
	if path == nil {
		j.die(AtName, from, why)
		return j, nil
	}
	j.Connection = path
	client := (&walker{n: n}).host(from)
	switch {
	case path.Fate != Delivered:
		j.die(stageOf(path.Fate), path.End(), string(path.Fate)+", "+path.Why)
	case through != nil:
		return j, j.tunnel(n, client, through.Scheme)
	default:
		j.serve(n, *path)
	}
	return j, nil
}

// addressOf is where a proxy is, with the port that its scheme implies.
func addressOf(u *url.URL) (host string, port uint16, err error) {
	number := u.Port()
	if number == "" {
		number = map[string]string{"http": "80", "https": "443", "socks5": "1080"}[u.Scheme]
	}
	p, err := strconv.ParseUint(number, 10, 16)
	if err != nil || u.Hostname() == "" {
		return "", 0, fmt.Errorf("the proxy %s has no host or port", u.Redacted())
	}
	return u.Hostname(), uint16(p), nil
}

func stageOf(f Fate) Stage {
	if f == NameRefused || f == Inspected {
		return AtTLS
	}
	return AtPackets
}

func (j *Journey) die(at Stage, host, why string) { j.Dies = &Death{at, host, why} }

// connect resolves a name, with server if it is not nil, and follows the
// connection. Without a path, why says what is the matter with the name.
func connect(n *plan.Network, from, to string, port uint16, hello string, lookup *Answer, server *netip.Addr) (_ *Path, why string, err error) {
	addr, notAddr := netip.ParseAddr(to)
	if notAddr != nil {
		if server == nil {
			*lookup, err = Lookup(n, from, to)
		} else {
			*lookup, err = LookupAt(n, from, to, *server)
		}
		if err != nil {
			return nil, "", err
		}
		if len(lookup.Addrs) == 0 {
			return nil, lookup.Failure(), nil
		}
		addr = lookup.Addrs[0]
	}
	p := Follow(n, from, Flow{Protocol: "tcp", Destination: addr, Port: port, ServerName: hello})
	return &p, "", nil
}

// Failure says why there is no address.
func (a Answer) Failure() string {
	switch {
	case a.RCode == "" && a.Why != "":
		return a.Why
	case a.RCode == "":
		return "no answer"
	case len(a.Chain) > 0:
		return fmt.Sprintf("%s answers %s for %s, which %s is an alias of", a.Server, a.RCode, a.Chain[len(a.Chain)-1], a.Name)
	}
	return fmt.Sprintf("%s answers %s for %s", a.Server, a.RCode, a.Name)
}

// tunnel asks the proxy that the connection has reached.
func (j *Journey) tunnel(n *plan.Network, client *plan.Host, scheme string) error {
	at := j.Connection.End()
	s := service(n, at, j.Connection.Service)
	if s == nil || s.Proxy == nil {
		j.die(AtProxy, at, j.Via+" is no proxy")
		return nil
	}
	cfg := *s.Proxy
	t := &Tunnel{}
	j.Tunnel = t
	if t.Answer, t.Why = refusal(cfg, scheme, j.Name); t.Answer != "" {
		j.die(AtProxy, at, t.describe())
		return nil
	}
	resolver := cfg.Resolver.Addr()
	path, why, err := connect(n, at, j.Name, 443, j.Name, &t.Lookup, &resolver)
	if err != nil {
		return err
	}
	t.Connection = path
	switch {
	case path == nil:
		t.Answer, t.Why = "503", why
	case stageOf(path.Fate) == AtPackets && path.Fate != Delivered:
		t.Answer, t.Why = "503", fmt.Sprintf("its own connection is %s at %s, %s", path.Fate, path.End(), path.Why)
	default:
		t.Answer = "200"
	}
	switch {
	case t.Answer != "200":
		j.die(AtProxy, at, t.describe())
	case path.Fate != Delivered:
		j.die(AtTLS, path.End(), string(path.Fate)+", "+path.Why)
	case cfg.Inspects(j.Name) && !client.TrustCorp:
		j.die(AtTLS, at, "the proxy terminates TLS for "+j.Name+" under an authority that the client does not trust")
	default:
		j.serve(n, *path)
	}
	return nil
}

// refusal is what the proxy answers without connecting anywhere; empty when it
// goes on.
func refusal(cfg proxy.Config, scheme, name string) (answer, why string) {
	switch {
	case scheme == "https":
		return "closed", "it is addressed by TLS and speaks cleartext HTTP"
	case cfg.Behaviour == proxy.Close:
		return "closed", "it closes every connection after the request"
	case cfg.Behaviour == proxy.Silence:
		return "silence", "it never answers"
	case cfg.Refuses(name):
		return "403", "its rules refuse " + name
	case cfg.Challenges(name):
		return "407", "it demands credentials for " + name
	}
	return "", ""
}

func (t Tunnel) describe() string {
	switch t.Answer {
	case "closed", "silence":
		return t.Why
	}
	return fmt.Sprintf("it answers %s to CONNECT: %s", t.Answer, t.Why)
}

// serve asks the server at the end of a path.
func (j *Journey) serve(n *plan.Network, p Path) {
	s := service(n, p.End(), p.Service)
	if s == nil || s.Registry == nil {
		return
	}
	front := s.Registry
	if names := front.CertificateNames(j.Name); !slices.ContainsFunc(names, func(c string) bool { return covers(c, j.Name) }) {
		j.die(AtTLS, p.End(), fmt.Sprintf("the certificate there is for %s, not for %s", strings.Join(names, ", "), j.Name))
		return
	}
	role := front.RoleOf(j.Name)
	if role == "" {
		j.die(AtRegistry, p.End(), fmt.Sprintf("%s does not answer for %s", p.Service, j.Name))
		return
	}
	j.front = front
	i := slices.IndexFunc(n.Registries, func(r registry.Config) bool { return r.Name == front.Registry })
	if i < 0 || role == registry.Storage {
		return // storage does not know the registry's rules
	}
	public := n.Registries[i].Public
	switch {
	case front.Private:
		j.Admission = "through a private endpoint: network rules do not apply"
	case public.Default:
		j.Admission = fmt.Sprintf("%s is let in, as everybody is", p.Source)
	case public.Allows(p.Source):
		j.Admission = fmt.Sprintf("%s is let in by the network rules", p.Source)
	default:
		why := "is in none of the registry's network rules"
		if len(public.Allow) == 0 {
			why = "comes from the public side, where the registry lets nobody in"
		}
		j.Admission = fmt.Sprintf("403 DENIED: %s %s", p.Source, why)
		j.die(AtRegistry, p.End(), j.Admission)
	}
}

// covers says that a certificate name stands for a host: a wildcard covers one
// label (RFC 9525 section 6.3).
func covers(pattern, host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if suffix, ok := strings.CutPrefix(pattern, "*."); ok {
		_, rest, _ := strings.Cut(host, ".")
		return rest == suffix
	}
	return pattern == host
}

func service(n *plan.Network, host, name string) *plan.Service {
	h := (&walker{n: n}).host(host)
	if h == nil {
		return nil
	}
	i := slices.IndexFunc(h.Services, func(s plan.Service) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &h.Services[i]
}
