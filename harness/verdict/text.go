package verdict

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"
)

// UseColor says whether to colour what is written to f: only a terminal, and not
// when NO_COLOR is set (https://no-color.org) or TERM is dumb.
func UseColor(f *os.File) bool {
	if os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Table writes results as rows, one by one as they come, in columns that were
// measured before. It is not safe for concurrent use.
type Table struct {
	// Width is the number of columns of the terminal; rows that are longer go on
	// in an indented line. Zero: rows are never broken.
	Width  int
	w      io.Writer
	color  bool
	widths [2]int // scenario, mode
	head   bool
	err    error
}

// NewTable prepares a table for scenarios with these ids, run in these modes.
func NewTable(w io.Writer, color bool, ids []string, modes []Mode) *Table {
	t := &Table{w: w, color: color, widths: [2]int{len("SCENARIO"), len("MODE")}}
	for _, id := range ids {
		t.widths[0] = max(t.widths[0], utf8.RuneCountInString(id))
	}
	for _, m := range modes {
		t.widths[1] = max(t.widths[1], len(m))
	}
	return t
}

// Add writes a row; under one that is not right, the reason.
func (t *Table) Add(r Result) error {
	if !t.head {
		t.head = true
		t.row("", "SCENARIO", "MODE", "VERDICT", "TIME", "FOUND")
	}
	outcome := r.Outcome()
	t.row(colorOf(outcome), r.ID, string(r.Mode), outcome, span(r.Took), found(r))
	if outcome != string(Right) {
		for line := range strings.Lines(clean(r.Reason())) {
			t.line("", "    %s", strings.TrimRight(line, "\n"))
		}
	}
	return t.err
}

// Close writes the summary.
func (t *Table) Close(s Summary) error {
	words := []string{fmt.Sprintf("%d right", s.Right)}
	for _, c := range []struct {
		n    int
		word string
	}{{s.Incomplete, "incomplete"}, {s.Wrong, "wrong"}, {s.Errors, plural(s.Errors, "error")}, {s.Skipped, "skipped"}} {
		if c.n > 0 {
			words = append(words, fmt.Sprintf("%d %s", c.n, c.word))
		}
	}
	t.line("", "%s, in %s", strings.Join(words, ", "), span(s.Took))
	return t.err
}

// WriteText writes results and summary as a table.
func WriteText(w io.Writer, results []Result, s Summary, color bool) error {
	var ids []string
	var modes []Mode
	for _, r := range results {
		ids, modes = append(ids, r.ID), append(modes, r.Mode)
	}
	t := NewTable(w, color, ids, modes)
	for _, r := range results {
		if err := t.Add(r); err != nil {
			return err
		}
	}
	return t.Close(s)
}

func (t *Table) row(color, id, mode, verdict, took, found string) {
	front := fmt.Sprintf("%s  %s  %-10s  %10s", pad(id, t.widths[0]), pad(mode, t.widths[1]), verdict, took)
	fits := func(n int) bool { return t.Width <= 0 || n <= t.Width }
	switch {
	case fits(utf8.RuneCountInString(front) + 2 + utf8.RuneCountInString(found)):
		t.line(color, "%s  %s", front, found)
	case fits(utf8.RuneCountInString(front)):
		t.line(color, "%s", front)
		t.line(color, "    %s", found)
	default:
		t.line(color, "%s  %s", id, mode)
		t.line(color, "    %s  %s  %s", verdict, took, found)
	}
}

func (t *Table) line(color, format string, args ...any) {
	if t.err != nil {
		return
	}
	text := strings.TrimRight(fmt.Sprintf(format, args...), " ")
	if t.color && color != "" {
		text = color + text + "\x1b[0m"
	}
	if _, err := fmt.Fprintln(t.w, text); err != nil {
		t.err = fmt.Errorf("writing the table: %w", err)
	}
}

func colorOf(outcome string) string {
	switch outcome {
	case string(Right):
		return "\x1b[32m"
	case string(Incomplete), "skipped":
		return "\x1b[33m"
	}
	return "\x1b[31m"
}

// found lists the causes of the diagnosis, those not proven with a question mark.
func found(r Result) string {
	if r.Diagnosis == nil {
		return "-"
	}
	if r.Diagnosis.Healthy {
		return "healthy"
	}
	said := statementOf(r.Diagnosis)
	words := make([]string, len(said.all))
	for i, c := range said.all {
		words[i] = string(c)
		if said.certainty[c] != "proven" {
			words[i] += "?"
		}
	}
	return cmp.Or(strings.Join(words, " "), "undecided")
}

// clean keeps what a program said from moving the terminal's cursor.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '�'
		}
		return r
	}, s)
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

// span shows a duration with at most three significant places.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
}
