package main

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/acrlab/acrlab/harness/plan"
	"github.com/acrlab/acrlab/harness/topology"
	"github.com/acrlab/acrlab/harness/trace"
	"github.com/acrlab/acrlab/harness/verdict"
)

func newShow() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "show SCENARIO",
		Short: "Show one scenario: hosts, links, and where the packets die",
		Long: `show plans the network of a scenario and draws it: hosts, links, and the way of the
client's packets before and after the fault, up to the point at which they die.
Nothing is built; root is not needed.`,
		Example: `  acrlab show nsg-outbound-deny
  acrlab show ./my-scenario --format json | jq .broken`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: complete,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := catalogueOf(cmd).find(args[0])
			if err != nil {
				return usage(err)
			}
			p, err := draw(s)
			if err != nil {
				return usage(fmt.Errorf("planning %s: %w", s.ID, err))
			}
			switch format {
			case "json":
				return encode(cmd.OutOrStdout(), p)
			case "text":
				return p.write(cmd.OutOrStdout(), verdict.UseColor(os.Stdout))
			}
			return usage(fmt.Errorf("--format %q: want text or json", format))
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}

// picture is a scenario as show draws it.
type picture struct {
	ID       string        `json:"id"`
	Title    string        `json:"title"`
	Expect   []string      `json:"expect"`
	Prove    []string      `json:"prove"`
	Network  *plan.Network `json:"network"`
	Healthy  []journey     `json:"healthy"`
	Broken   []journey     `json:"broken"`
	scenario *topology.Scenario
}

// journey is the way to one name: how it resolves, then the connection.
type journey struct {
	Name   string       `json:"name"`
	Lookup trace.Answer `json:"lookup"`
	// Connection is nil when the name has no address.
	Connection *trace.Path `json:"connection,omitempty"`
	Via        string      `json:"via,omitempty"` // the proxy, if one is used
}

func draw(s *topology.Scenario) (*picture, error) {
	healthy, err := plan.FromTopology(s.Healthy)
	if err != nil {
		return nil, err
	}
	broken, err := plan.FromTopology(s.Broken)
	if err != nil {
		return nil, err
	}
	p := &picture{ID: s.ID, Title: s.Title, Prove: s.Prove, Network: broken, scenario: s}
	for _, c := range s.Expect.Causes {
		p.Expect = append(p.Expect, string(c))
	}
	if p.Healthy, err = journeys(healthy, s.Healthy); err != nil {
		return nil, err
	}
	if p.Broken, err = journeys(broken, s.Broken); err != nil {
		return nil, err
	}
	return p, nil
}

// journeys are those of a pull: login server, then the host of the layers.
func journeys(n *plan.Network, t topology.Topology) ([]journey, error) {
	login, _, _ := strings.Cut(t.Site.Image, "/")
	names := []string{login}
	for _, r := range n.Registries {
		if r.Name != t.Registry.Name || len(r.Regions) == 0 {
			continue
		}
		if r.DataEndpoints {
			names = append(names, topology.DataEndpoint(r.Name, r.Regions[0].Name))
		} else {
			names = append(names, r.Regions[0].Storage)
		}
	}
	var out []journey
	for _, name := range names {
		j, err := travel(n, t, name)
		if err != nil {
			return nil, err
		}
		out = append(out, j)
	}
	return out, nil
}

func travel(n *plan.Network, t topology.Topology, name string) (journey, error) {
	j := journey{Name: name}
	to, port := name, uint16(443)
	if proxy := t.Site.Shell.ProxyFor(name); proxy != nil {
		j.Via = proxy.Host
		to = proxy.Hostname()
		if _, err := fmt.Sscan(proxy.Port(), &port); err != nil {
			port = 443
		}
	}
	var addr netip.Addr
	if a, err := netip.ParseAddr(to); err == nil {
		addr = a
	} else {
		if j.Lookup, err = trace.Lookup(n, n.Client, to); err != nil {
			return j, err
		}
		if len(j.Lookup.Addrs) == 0 {
			return j, nil
		}
		addr = j.Lookup.Addrs[0]
	}
	p := trace.Follow(n, n.Client, trace.Flow{Protocol: "tcp", Destination: addr, Port: port, ServerName: serverName(j)})
	j.Connection = &p
	return j, nil
}

// serverName is what filters on the way read: nothing within a proxy's tunnel.
func serverName(j journey) string {
	if j.Via != "" {
		return ""
	}
	return j.Name
}

func (p *picture) write(out io.Writer, color bool) error {
	w := &brush{w: out, color: color}
	w.line("%s", w.bold(p.ID+": "+p.Title))
	w.line("base %s, client at %s, pulls %s", p.scenario.Base, p.scenario.Broken.Site.At, p.scenario.Broken.Site.Image)
	if len(p.Expect) > 0 {
		w.line("expected: %s", strings.Join(p.Expect, ", "))
	}
	w.line("\n%s", w.bold("Hosts"))
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, h := range p.Network.Hosts {
		fmt.Fprintf(tw, "  %s\t%s\t%s\n", h.Name, strings.Join(addresses(p.Network, h), " "), h.Role)
	}
	w.check(tw.Flush())
	w.line("\n%s", w.bold("Links"))
	for _, l := range p.Network.Links {
		w.line("  %s %s ─── %s %s", l.Ends[0].Host, l.Ends[0].Interface, l.Ends[1].Interface, l.Ends[1].Host)
	}
	if len(p.Expect) > 0 {
		w.journeys("Before the fault", p.Healthy)
		w.journeys("With the fault", p.Broken)
	} else {
		w.journeys("The way of the packets", p.Broken)
	}
	if len(p.Prove) > 0 {
		w.line("\n%s", w.bold("The fault is there when"))
		for _, s := range p.Prove {
			w.line("  %s", s)
		}
	}
	return w.err
}

// addresses of a host; of a host with many, the first few.
func addresses(n *plan.Network, h plan.Host) []string {
	var out []string
	for _, l := range n.Links {
		for _, e := range l.Ends {
			for _, a := range e.Addresses {
				if e.Host == h.Name {
					out = append(out, a.Addr().String())
				}
			}
		}
	}
	for _, a := range h.Loopback {
		out = append(out, a.String())
	}
	if len(out) > 4 {
		out = append(out[:3], fmt.Sprintf("and %d more", len(out)-3))
	}
	return out
}

// brush writes lines and remembers the first error.
type brush struct {
	w     io.Writer
	color bool
	err   error
}

func (b *brush) check(err error) {
	if b.err == nil {
		b.err = err
	}
}

func (b *brush) line(format string, a ...any) {
	_, err := fmt.Fprintf(b.w, format+"\n", a...)
	b.check(err)
}

func (b *brush) paint(code, s string) string {
	if !b.color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (b *brush) bold(s string) string { return b.paint("1", s) }

func (b *brush) journeys(title string, list []journey) {
	b.line("\n%s", b.bold(title))
	for _, j := range list {
		b.line("  %s", j.Name)
		b.line("    name: %s", b.lookup(j))
		if j.Connection == nil {
			continue
		}
		b.line("    packets: %s", b.path(*j.Connection))
		for _, h := range j.Connection.Hops {
			for _, note := range h.Notes {
				b.line("      %s: %s", h.Host, note)
			}
		}
	}
}

func (b *brush) lookup(j journey) string {
	l := j.Lookup
	who := "asks " + l.Server.String()
	switch {
	case l.Name == "":
		return "through proxy " + j.Via
	case !l.Server.IsValid() && l.RCode != "":
		who = "hosts file"
	case !l.Server.IsValid():
		return b.paint("31", "no name server is configured")
	}
	if j.Via != "" {
		who = "proxy " + j.Via + ": " + who
	}
	for _, t := range l.Through {
		who += ", which asks " + t.String()
	}
	switch {
	case l.RCode == "":
		why := ""
		if l.Path != nil && l.Path.Fate != trace.Delivered {
			why = ": " + b.path(*l.Path)
		}
		return who + " → " + b.paint("31", "no answer") + why
	case len(l.Addrs) == 0:
		return who + " → " + strings.Join(append(append([]string{}, l.Chain...), b.paint("31", l.RCode)), " → ")
	}
	hops := append([]string{}, l.Chain...)
	for _, a := range l.Addrs {
		hops = append(hops, a.String())
	}
	return who + " → " + strings.Join(hops, " → ")
}

// path is one line: client ─▶ azure ─✗ dropped (rule …).
func (b *brush) path(p trace.Path) string {
	names := make([]string, len(p.Hops))
	for i, h := range p.Hops {
		names[i] = h.Host
		if h.Host == p.NameFilter {
			names[i] += " [reads TLS names]"
		}
	}
	line := strings.Join(names, " ─▶ ")
	if p.Fate == trace.Delivered {
		return line + "  " + b.paint("32", "delivered") + ", " + p.Why
	}
	return line + " " + b.paint("31", "✗ "+string(p.Fate)) + ", " + p.Why
}
