package main

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
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
		Args:              func(cmd *cobra.Command, args []string) error { return oneArg(cmd, args, "a scenario") },
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

// journey is one request of a pull, and whose it is.
type journey struct {
	// By is who pulls, where shell and container engine have different proxy
	// settings.
	By string `json:"by,omitempty"`
	trace.Journey
}

func draw(s *topology.Scenario) (*picture, error) {
	p := &picture{ID: s.ID, Title: s.Title, Expect: []string{}, Prove: append([]string{}, s.Prove...), scenario: s}
	for _, c := range s.Expect.Causes {
		p.Expect = append(p.Expect, string(c))
	}
	var err error
	if _, p.Healthy, err = journeys(s.Healthy); err != nil {
		return nil, err
	}
	if p.Network, p.Broken, err = journeys(s.Broken); err != nil {
		return nil, err
	}
	return p, nil
}

// journeys are those of a pull from the shell and, where its settings differ,
// from the container engine.
func journeys(t topology.Topology) (*plan.Network, []journey, error) {
	n, err := plan.FromTopology(t)
	if err != nil {
		return nil, nil, err
	}
	type puller struct {
		by       string
		settings topology.ProxySettings
	}
	pullers := []puller{{"", t.Site.Shell}}
	if t.Site.Daemon != t.Site.Shell {
		pullers = []puller{{"shell", t.Site.Shell}, {"container engine", t.Site.Daemon}}
	}
	var out []journey
	for _, p := range pullers {
		list, err := trace.Pull(n, n.Client, t.Site.Image, p.settings.ProxyFor)
		if err != nil {
			return nil, nil, fmt.Errorf("following the pull of %s: %w", t.Site.Image, err)
		}
		for _, j := range list {
			out = append(out, journey{p.by, j})
		}
	}
	return n, out, nil
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
				// Several interfaces of a router may share one.
				if e.Host == h.Name && !slices.Contains(out, a.Addr().String()) {
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
		by := ""
		if j.By != "" {
			by = ", from the " + j.By
		}
		b.line("  %s%s", b.bold(j.Name), by)
		if j.Via != "" {
			b.line("    through proxy %s", j.Via)
		}
		b.lookup(j.Lookup)
		b.connection("packets", j.Connection)
		if t := j.Tunnel; t != nil {
			b.line("    proxy: %s", b.answer(*t))
			b.lookup(t.Lookup)
			b.connection("packets", t.Connection)
		}
		if j.Admission != "" && j.Dies == nil {
			b.line("    registry: %s", j.Admission)
		}
		if d := j.Dies; d != nil {
			b.line("    %s", b.paint("31", "✗ dies at "+d.Host+" ("+string(d.Stage)+"): "+d.Why))
		}
	}
}

func (b *brush) connection(what string, p *trace.Path) {
	if p == nil {
		return
	}
	b.line("    %s: %s", what, b.path(*p))
	for _, h := range p.Hops {
		for _, note := range h.Notes {
			b.line("      %s: %s", h.Host, note)
		}
	}
}

// answer is what the proxy says to CONNECT.
func (b *brush) answer(t trace.Tunnel) string {
	switch t.Answer {
	case "200":
		return b.paint("32", "200") + " to CONNECT, connects on"
	case "closed":
		return b.paint("31", "closes the connection")
	case "silence":
		return b.paint("31", "never answers")
	}
	return b.paint("31", t.Answer) + " to CONNECT"
}

func (b *brush) lookup(l trace.Answer) {
	if l.Name == "" {
		return // an address
	}
	who := "asks " + l.Server.String()
	switch {
	case !l.Server.IsValid() && l.RCode != "":
		who = "hosts file"
	case !l.Server.IsValid():
		who = "asks nobody"
	}
	if len(l.Unanswered) > 0 {
		who = fmt.Sprintf("asks %s in vain, then %s", addressList(l.Unanswered), l.Server)
	}
	for _, t := range l.Through {
		who += ", which asks " + t.String()
	}
	steps := append([]string{l.Name + ": " + who}, l.Chain...)
	switch {
	case l.RCode == "":
		steps = append(steps, b.paint("31", "no answer"))
	case len(l.Addrs) == 0:
		steps = append(steps, b.paint("31", l.RCode))
	default:
		steps = append(steps, addressList(l.Addrs))
	}
	b.line("    name %s", strings.Join(steps, " → "))
}

func addressList(list []netip.Addr) string {
	words := make([]string, len(list))
	for i, a := range list {
		words[i] = a.String()
	}
	return strings.Join(words, ", ")
}

// path is one line: client ─▶ azure ✗ dropped.
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
	return line + " " + b.paint("31", "✗ "+string(p.Fate))
}
