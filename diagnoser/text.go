package diagnoser

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/acrlab/acrlab/diagnosis"
)

// WriteText writes a diagnosis for a person: what is wrong, how one knows, what
// else it could have been, what decides, what to type, what was not looked at.
func WriteText(w io.Writer, d *diagnosis.Diagnosis, color bool) error {
	p := &printer{w: w, color: color}
	switch {
	case d == nil:
		p.line("", "No diagnosis.")
	case len(d.Findings) > 0:
		p.findings(d)
	case d.Healthy:
		p.line("", "%s: %s", clean(d.Registry), p.paint(green, "healthy. An image can be pulled from here."))
	default:
		p.line("", "%s: %s", clean(d.Registry), p.paint(yellow, "undecided. Nothing was found wrong, and not everything that a pull needs was seen to work."))
	}
	if d != nil {
		p.rest(d)
	}
	return p.err
}

const (
	red    = "31"
	green  = "32"
	yellow = "33"
	bold   = "1"
	faint  = "2"
)

// printer keeps the first error of many writes.
type printer struct {
	w     io.Writer
	color bool
	err   error
}

func (p *printer) paint(code, s string) string {
	if !p.color {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p *printer) line(indent, format string, args ...any) {
	if p.err != nil {
		return
	}
	_, p.err = fmt.Fprintln(p.w, indent+fmt.Sprintf(format, args...))
}

func (p *printer) findings(d *diagnosis.Diagnosis) {
	certain, open := 0, 0
	for _, f := range d.Findings {
		if f.Certainty == diagnosis.Possible {
			open++
		} else {
			certain++
		}
	}
	var parts []string
	if certain > 0 {
		parts = append(parts, plural(certain, "cause", "causes"))
	}
	if open > 0 {
		parts = append(parts, plural(open, "possible cause", "possible causes")+" that look alike from here")
	}
	p.line("", "%s: %s", clean(d.Registry), p.paint(red, strings.Join(parts, " and ")+"."))
	for i := range d.Findings {
		p.line("", "")
		// Causes that look alike rest on the same evidence: it is shown once.
		same := i > 0 && d.Findings[i].Certainty == diagnosis.Possible &&
			slices.Equal(d.Findings[i].Evidence, d.Findings[i-1].Evidence) && slices.Equal(d.Findings[i].Excluded, d.Findings[i-1].Excluded)
		p.finding(i+1, &d.Findings[i], same)
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func (p *printer) finding(n int, f *diagnosis.Finding, sameEvidence bool) {
	p.line("", "%d. %s", n, p.paint(bold, clean(f.Summary)))
	p.line("   ", "%s, %s", p.paint(faint, string(f.Cause)), f.Certainty)
	if sameEvidence {
		p.line("   ", "Evidence as before")
	} else {
		p.evidence(f)
	}
	if f.DecidedBy != "" {
		p.line("   ", "Decided by %s", clean(f.DecidedBy))
	}
	p.line("   ", "Remedy: %s", clean(f.Remedy.Summary))
	for _, c := range f.Remedy.Commands {
		p.line("     ", "%s %s", p.paint(faint, "$"), clean(c))
	}
}

func (p *printer) evidence(f *diagnosis.Finding) {
	if len(f.Evidence) > 0 {
		p.line("   ", "Evidence")
	}
	for _, e := range f.Evidence {
		p.line("     ", "%-9s %s", e.Probe, clean(e.Saw))
		if e.Means != "" {
			p.line("               ", "%s", p.paint(faint, clean(e.Means)))
		}
	}
	if len(f.Excluded) > 0 {
		p.line("   ", "Ruled out")
	}
	for _, e := range f.Excluded {
		p.line("     ", "%s: %s", e.Cause, clean(e.Because))
	}
}

func (p *printer) rest(d *diagnosis.Diagnosis) {
	if len(d.Observations) > 0 {
		p.line("", "")
		p.line("", "This place")
	}
	for _, o := range d.Observations {
		p.line("  ", "%-9s %s", o.Probe, clean(o.Saw))
	}
	if len(d.NotChecked) > 0 {
		p.line("", "")
		p.line("", "Not checked")
	}
	for _, o := range d.NotChecked {
		p.line("  ", "%s: %s", clean(o.Check), clean(o.Because))
	}
}
