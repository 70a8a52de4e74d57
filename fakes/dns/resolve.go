package dns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// RCode is how a resolver answered (RFC 1035 section 4.1.1, with NODATA of
// RFC 2308 section 2.2 told apart from NOERROR).
type RCode string

const (
	NoError       RCode = "NOERROR" // with addresses
	NoData        RCode = "NODATA"  // the name exists and has no address
	NXDomain      RCode = "NXDOMAIN"
	RCodeServFail RCode = "SERVFAIL"
	RCodeRefused  RCode = "REFUSED"
	RCodeOther    RCode = "OTHER"
)

// maxChain is how many CNAMEs are followed; more than any real chain has.
const maxChain = 16

// Result is what a resolver says about one name.
type Result struct {
	RCode RCode
	// Records are the CNAMEs in order of the chain, then the addresses.
	Records []Record
	// Zone is the private zone that the last name was looked up in, if any.
	Zone string
}

// Addrs are the addresses of the answer.
func (a Result) Addrs() []netip.Addr {
	var out []netip.Addr
	for _, r := range a.Records {
		if r.A.IsValid() {
			out = append(out, r.A)
		}
	}
	return out
}

// Resolve answers an A query of from for name, without forwarding, as a server
// with these records and views does. It is a pure function.
func Resolve(records []Record, views []View, from netip.Addr, name string) (Result, error) {
	t, err := compile(Config{Records: records, Views: views})
	if err != nil {
		return Result{}, err
	}
	w := t.walk(from, name, func(r Record) bool { return r.A.IsValid() }, true)
	return Result{RCode: w.rcode, Records: w.records, Zone: w.zone}, nil
}

// table is a checked configuration, made for looking up.
type table struct {
	cfg     Config
	public  *names
	views   []view
	forward []forward // longest suffix first
}

type view struct {
	source []netip.Prefix
	zones  []zone // longest name first
}

type zone struct {
	*names
	fallback bool
}

type forward struct {
	suffix string
	to     netip.AddrPort
}

func compile(cfg Config) (*table, error) {
	switch cfg.Behaviour {
	case Answer, Silence, ServFail, Refused:
	default:
		return nil, fmt.Errorf("configuring DNS: behaviour %q is none of answer (empty), silence, servfail, refused", cfg.Behaviour)
	}
	t := &table{cfg: cfg}
	var err error
	if t.public, err = newNames("", cfg.Records); err != nil {
		return nil, fmt.Errorf("configuring DNS: %w", err)
	}
	for i, v := range cfg.Views {
		out := view{source: v.Source}
		for _, z := range v.Zones {
			name := canonical(z.Name)
			if err := checkName(name); err != nil {
				return nil, fmt.Errorf("configuring DNS: views[%d]: zone: %w", i, err)
			}
			n, err := newNames(name, z.Records)
			if err != nil {
				return nil, fmt.Errorf("configuring DNS: views[%d]: zone %s: %w", i, name, err)
			}
			out.zones = append(out.zones, zone{n, z.Fallback})
		}
		slices.SortStableFunc(out.zones, func(a, b zone) int { return len(b.apex) - len(a.apex) })
		t.views = append(t.views, out)
	}
	for _, f := range cfg.Forward {
		if !f.To.IsValid() {
			return nil, fmt.Errorf("configuring DNS: forwarder of %q has no address", f.Suffix)
		}
		t.forward = append(t.forward, forward{canonical(f.Suffix), f.To})
	}
	slices.SortStableFunc(t.forward, func(a, b forward) int { return len(b.suffix) - len(a.suffix) })
	return t, nil
}

// viewOf is the first view that holds from.
func (t *table) viewOf(from netip.Addr) (view, bool) {
	from = from.Unmap()
	for _, v := range t.views {
		if slices.ContainsFunc(v.source, func(p netip.Prefix) bool { return p.Contains(from) }) {
			return v, true
		}
	}
	return view{}, false
}

// walked is how far a lookup came.
type walked struct {
	rcode   RCode
	records []Record
	name    string // the last name of the chain
	zone    string // private zone that answered for it
	// ask are the servers that must be asked for name, in order; rcode is
	// empty then.
	ask []netip.AddrPort
}

// walk follows the chain from name. At each name a private zone of the asker's
// view comes first, then forwarders, then public records. A private zone is
// authoritative for everything below it: what it does not hold does not exist,
// though the public may have it, unless it falls back.
// https://learn.microsoft.com/azure/dns/private-dns-fallback
//
// want selects records of the type asked for; CNAMEs are followed if follow is set.
func (t *table) walk(from netip.Addr, name string, want func(Record) bool, follow bool) walked {
	w := walked{name: canonical(name)}
	v, _ := t.viewOf(from)
	for range maxChain + 1 {
		w.zone = ""
		found, exists, decided := []Record(nil), false, false
		for _, z := range v.zones {
			if below(w.name, z.apex) {
				found, exists = z.find(w.name)
				if decided = exists || !z.fallback; decided {
					w.zone = z.apex
				}
				break // the longest zone alone
			}
		}
		if !decided {
			if w.ask = t.forwarders(w.name); len(w.ask) > 0 {
				return w
			}
			found, exists = t.public.find(w.name)
		}
		if !exists {
			w.rcode = NXDomain
			return w
		}
		if len(found) == 1 && found[0].CNAME != "" && (follow || want(found[0])) {
			w.records = append(w.records, found[0])
			if !follow {
				w.rcode = NoError
				return w
			}
			w.name = found[0].CNAME
			continue
		}
		w.rcode = NoData
		for _, r := range found {
			if want(r) {
				w.records = append(w.records, r)
				w.rcode = NoError
			}
		}
		return w
	}
	// A loop, or as good as one.
	w.rcode, w.records = RCodeServFail, nil
	return w
}

// forwarders are the servers of the longest suffix that name lies below.
func (t *table) forwarders(name string) []netip.AddrPort {
	var out []netip.AddrPort
	longest := -1
	for _, f := range t.forward {
		if below(name, f.suffix) && (longest < 0 || len(f.suffix) == longest) {
			out, longest = append(out, f.to), len(f.suffix)
		}
	}
	return out
}

// authority is the zone that a negative answer for name comes from: the
// private zone, or for the public tree the registered domain.
func (w walked) authority() (zone, server, mail string, ttl uint32) {
	if w.zone != "" {
		return w.zone, "azureprivatedns.net", "azureprivatedns-host.microsoft.com", 10
	}
	labels := strings.Split(w.name, ".")
	if len(labels) > 2 {
		labels = labels[len(labels)-2:]
	}
	return strings.Join(labels, "."), "ns1-06.azure-dns.com", "azuredns-hostmaster.microsoft.com", 60
}
