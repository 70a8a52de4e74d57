// Package trace follows a packet through a network plan and says, hop by hop,
// what becomes of it. It is arithmetic on the plan: nothing is sent. What it
// says and what a fabric does must agree; a test holds the two against each other.
package trace

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/acrlab/acrlab/harness/plan"
)

// Flow is the first packet of a connection.
type Flow struct {
	Protocol    string // "tcp" or "udp"
	Source      netip.Addr
	Destination netip.Addr
	Port        uint16
	// ServerName is what a TLS ClientHello on the flow says; a filter on the way
	// that reads names decides by it.
	ServerName string
}

// Fate is what becomes of a flow.
type Fate string

const (
	Delivered Fate = "delivered" // a service listens there
	Closed    Fate = "closed"    // the address exists, nothing listens on the port
	Dropped   Fate = "dropped"   // silence
	Rejected  Fate = "rejected"  // RST
	Forbidden Fate = "forbidden" // ICMP administratively prohibited
	NoRoute   Fate = "no route"
	// NameRefused: a filter accepts the TCP connection and ends the TLS handshake.
	NameRefused Fate = "name refused"
	// Inspected: a filter terminates TLS under its own authority.
	Inspected Fate = "inspected"
)

// Hop is one host on the way and what happened there.
type Hop struct {
	Host string `json:"host"`
	// Notes in the order in which they happened: the route taken, rules that
	// matched, the source after translation, a filter that reads names.
	Notes []string `json:"notes,omitempty"`
}

// Path is the whole way of a flow.
type Path struct {
	Hops []Hop  `json:"hops"`
	Fate Fate   `json:"fate"`
	Why  string `json:"why"` // the rule, route or service that decided
	// NameFilter names the host whose middlebox ends the TCP connection and
	// reads the TLS server name, if any.
	NameFilter string `json:"nameFilter,omitempty"`
	// Source is the address that the last host on the way saw.
	Source netip.Addr `json:"source"`
	// Service that the flow was delivered to.
	Service string `json:"service,omitempty"`
}

// End is the host at which the path ends.
func (p Path) End() string {
	if len(p.Hops) == 0 {
		return ""
	}
	return p.Hops[len(p.Hops)-1].Host
}

// maxHops is beyond any network that a plan describes: more means a loop.
const maxHops = 32

// Follow walks f from host from. f.Source may be zero: the address that the
// host would choose is used.
func Follow(n *plan.Network, from string, f Flow) Path {
	w := walker{n: n, flow: f}
	return w.walk(from)
}

type walker struct {
	n    *plan.Network
	flow Flow
	path Path
	// trustsCorp: the flow's first host takes certificates of the corporate
	// authority, so inspection does not end the flow.
	trustsCorp bool
}

func (w *walker) walk(from string) Path {
	if h := w.host(from); h != nil {
		w.trustsCorp = h.TrustCorp
	}
	name, in := from, ""
	for range maxHops {
		h := w.host(name)
		if h == nil {
			return w.end(NoRoute, fmt.Sprintf("there is no host %q", name))
		}
		w.path.Hops = append(w.path.Hops, Hop{Host: name})
		if w.owns(h, w.flow.Destination) {
			return w.deliver(h)
		}
		if in != "" {
			if !h.Forward {
				return w.end(Dropped, fmt.Sprintf("%s does not forward packets", name))
			}
			if r := w.redirect(h, in); r != nil {
				w.path.NameFilter = name
				w.note("the name filter %s takes the connection", r.Name)
				if fate, why := w.readName(h, r); fate != "" {
					return w.end(fate, why)
				}
				in, w.flow.Source = "", netip.Addr{}
			}
		}
		route, ok := w.route(h, in)
		if !ok {
			return w.end(NoRoute, fmt.Sprintf("%s has no route to %s", name, w.flow.Destination))
		}
		if route.Blackhole {
			return w.end(Dropped, "route "+route.Destination.String()+because(route.Why))
		}
		out, next, nextIn, ok := w.leave(h, route)
		if !ok {
			return w.end(NoRoute, fmt.Sprintf("%s: the route to %s leads to no link", name, route.Destination))
		}
		w.note("route %s%s", route.Destination, because(route.Why))
		if in != "" {
			if verdict, why := w.filter(h.Filter, in, out); verdict != plan.Accept {
				return w.end(fates[verdict], why)
			}
		}
		w.source(h, out)
		w.translate(h, in, out)
		name, in = next, nextIn
	}
	return w.end(NoRoute, "the packet goes in a circle")
}

var fates = map[plan.Verdict]Fate{plan.Drop: Dropped, plan.Reject: Rejected, plan.Prohibit: Forbidden}

func because(why string) string {
	if why == "" {
		return ""
	}
	return " (" + why + ")"
}

func (w *walker) end(f Fate, why string) Path {
	w.path.Fate, w.path.Why, w.path.Source = f, why, w.flow.Source
	return w.path
}

func (w *walker) note(format string, a ...any) {
	h := &w.path.Hops[len(w.path.Hops)-1]
	h.Notes = append(h.Notes, fmt.Sprintf(format, a...))
}

func (w *walker) host(name string) *plan.Host {
	for i := range w.n.Hosts {
		if w.n.Hosts[i].Name == name {
			return &w.n.Hosts[i]
		}
	}
	return nil
}

// ends are the interfaces of a host with the far end of each.
func (w *walker) ends(host string) (near, far []plan.End) {
	for _, l := range w.n.Links {
		for i := range l.Ends {
			if l.Ends[i].Host == host {
				near, far = append(near, l.Ends[i]), append(far, l.Ends[1-i])
			}
		}
	}
	return near, far
}

func (w *walker) owns(h *plan.Host, a netip.Addr) bool {
	if slices.Contains(h.Loopback, a) {
		return true
	}
	near, _ := w.ends(h.Name)
	return slices.ContainsFunc(near, func(e plan.End) bool {
		return slices.ContainsFunc(e.Addresses, func(p netip.Prefix) bool { return p.Addr() == a })
	})
}

func (w *walker) deliver(h *plan.Host) Path {
	for _, s := range h.Services {
		for _, l := range s.Listen {
			if l.Port() == w.flow.Port && (l.Addr() == w.flow.Destination || l.Addr().IsUnspecified()) {
				w.path.Service = s.Name
				return w.end(Delivered, "service "+s.Name)
			}
		}
	}
	return w.end(Closed, fmt.Sprintf("nothing listens on %s", netip.AddrPortFrom(w.flow.Destination, w.flow.Port)))
}

// route is the longest match in the table that the incoming interface selects,
// then in the main table.
func (w *walker) route(h *plan.Host, in string) (plan.Route, bool) {
	near, _ := w.ends(h.Name)
	connected := []plan.Route{}
	for _, e := range near {
		for _, p := range e.Addresses {
			connected = append(connected, plan.Route{Destination: p.Masked(), Interface: e.Interface})
		}
	}
	rules := slices.Clone(h.Rules)
	slices.SortStableFunc(rules, func(a, b plan.RouteRule) int { return cmp.Compare(a.Priority, b.Priority) })
	for _, r := range rules {
		if in != "" && r.Interface == in {
			if best, ok := longest(h.Routes, r.Table, w.flow.Destination); ok {
				return best, true
			}
		}
	}
	return longest(append(slices.Clone(h.Routes), connected...), 0, w.flow.Destination)
}

func longest(routes []plan.Route, table int, to netip.Addr) (best plan.Route, ok bool) {
	for _, r := range routes {
		if r.Table == table && r.Destination.Contains(to) && (!ok || r.Destination.Bits() > best.Destination.Bits()) {
			best, ok = r, true
		}
	}
	return best, ok
}

// leave finds the link that a route leads over.
func (w *walker) leave(h *plan.Host, r plan.Route) (out, next, nextIn string, ok bool) {
	near, far := w.ends(h.Name)
	for i := range near {
		match := near[i].Interface == r.Interface
		if r.Interface == "" && r.Via.IsValid() {
			match = slices.ContainsFunc(far[i].Addresses, func(p netip.Prefix) bool { return p.Addr() == r.Via })
		}
		if match {
			return near[i].Interface, far[i].Host, far[i].Interface, true
		}
	}
	return "", "", "", false
}

// source chooses the source address of a connection that begins here.
func (w *walker) source(h *plan.Host, out string) {
	if w.flow.Source.IsValid() {
		return
	}
	near, _ := w.ends(h.Name)
	for _, e := range near {
		if e.Interface == out && len(e.Addresses) > 0 {
			w.flow.Source = e.Addresses[0].Addr()
			return
		}
	}
	if len(h.Loopback) > 0 {
		w.flow.Source = h.Loopback[0]
	}
}

// redirect finds the middlebox that takes the flow; datagrams pass by all of them.
func (w *walker) redirect(h *plan.Host, in string) *plan.RedirectRule {
	if w.flow.Protocol != "tcp" {
		return nil
	}
	for i := range h.Redirect {
		if w.matches(h.Redirect[i].Match, in, "") {
			return &h.Redirect[i]
		}
	}
	return nil
}

// readName asks the middlebox behind a redirect about the flow's server name.
// An empty fate lets it pass.
func (w *walker) readName(h *plan.Host, r *plan.RedirectRule) (Fate, string) {
	for _, s := range h.Services {
		for _, l := range s.Listen {
			if s.Middlebox == nil || l.Port() != r.Port || w.flow.ServerName == "" {
				continue
			}
			switch {
			case s.Middlebox.Refuses(w.flow.ServerName):
				return NameRefused, fmt.Sprintf("%s on %s refuses %s", r.Name, h.Name, w.flow.ServerName)
			case s.Middlebox.Inspects(w.flow.ServerName) && w.trustsCorp:
				w.note("terminates TLS for %s; the client trusts its authority", w.flow.ServerName)
			case s.Middlebox.Inspects(w.flow.ServerName):
				return Inspected, fmt.Sprintf("%s on %s terminates TLS for %s", r.Name, h.Name, w.flow.ServerName)
			}
		}
	}
	return "", ""
}

func (w *walker) translate(h *plan.Host, in, out string) {
	for _, r := range h.NAT {
		if !w.matches(r.Match, in, out) {
			continue
		}
		if !r.Keep && r.To.IsValid() {
			w.flow.Source = r.To
			w.note("leaves as %s", r.To)
		}
		return
	}
}

// filter tries rules in order: an accept ends the chain, a group passes on what
// it accepts.
func (w *walker) filter(rules []plan.FilterRule, in, out string) (plan.Verdict, string) {
	for _, r := range rules {
		if !w.matches(r.Match, in, out) {
			continue
		}
		if len(r.Group) > 0 {
			if v, why := w.filter(r.Group, in, out); v != plan.Accept {
				return v, why
			}
			continue
		}
		why := "rule " + r.Name + because(r.Why)
		w.note("%s: %s", why, r.Verdict)
		return r.Verdict, why
	}
	return plan.Accept, ""
}

func (w *walker) matches(m plan.Match, in, out string) bool {
	within := func(list []netip.Prefix, a netip.Addr) bool {
		return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	switch {
	case len(m.In) > 0 && !slices.Contains(m.In, in),
		len(m.Out) > 0 && out != "" && !slices.Contains(m.Out, out),
		len(m.Source) > 0 && !within(m.Source, w.flow.Source),
		len(m.Destination) > 0 && !within(m.Destination, w.flow.Destination),
		len(m.NotDest) > 0 && within(m.NotDest, w.flow.Destination),
		m.Protocol != "" && m.Protocol != w.flow.Protocol:
		return false
	}
	return len(m.Ports) == 0 || slices.ContainsFunc(m.Ports, func(p plan.PortRange) bool {
		return p.First <= w.flow.Port && w.flow.Port <= p.Last
	})
}
