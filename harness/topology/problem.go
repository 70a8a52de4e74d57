package topology

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Problem is one mistake in a scenario, with its place.
type Problem struct {
	// File as it was opened; Line and Column count from 1. A Line of 0 means
	// that the place is the file as a whole.
	File         string
	Line, Column int
	// Message says what is wrong and how to mend it, in one line.
	Message string
}

// Error is "file:line:column: message".
func (p *Problem) Error() string {
	switch {
	case p.File == "":
		return p.Message
	case p.Line == 0:
		return p.File + ": " + p.Message
	default:
		return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
	}
}

// join makes one error of problems, in the order of their places.
func join(problems []*Problem) error {
	problems = slices.Clone(problems)
	slices.SortStableFunc(problems, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	errs := make([]error, 0, len(problems))
	seen := map[string]bool{}
	for _, p := range problems {
		if s := p.Error(); !seen[s] {
			seen[s] = true
			errs = append(errs, p)
		}
	}
	return errors.Join(errs...)
}

// path is a place in a document: keys, and list positions as "[0]". Keys may
// hold dots, so it is never split from a string.
type path []string

func (p path) key() string { return strings.Join(p, "\x00") }

// String shows the path to people.
func (p path) String() string {
	var b strings.Builder
	for i, s := range p {
		if i > 0 && !strings.HasPrefix(s, "[") {
			b.WriteByte('.')
		}
		if strings.Contains(s, ".") {
			s = `"` + s + `"`
		}
		b.WriteString(s)
	}
	return b.String()
}

// with is p with more steps, never sharing memory with p.
func (p path) with(steps ...string) path {
	return append(slices.Clip(slices.Clone(p)), steps...)
}
