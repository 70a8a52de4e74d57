package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/term"
)

// progress is one line on a terminal that says what is going on; elsewhere it
// is nothing.
type progress struct {
	mu      sync.Mutex
	w       io.Writer
	width   func() int // of the terminal; 0: there is none
	total   int
	done    int
	running []activity // in the order in which they began
}

// activity is a scenario and the phase that it is in.
type activity struct{ id, phase string }

func newProgress(f *os.File, total int) *progress {
	p := &progress{w: f, total: total, width: func() int { return terminalWidth(f) }}
	if os.Getenv("TERM") == "dumb" {
		p.width = func() int { return 0 }
	}
	return p
}

// phase says that a scenario has come to a phase.
func (p *progress) phase(id, phase string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.running, func(a activity) bool { return a.id == id })
	if i < 0 {
		p.running = append(p.running, activity{id, phase})
	} else {
		p.running[i].phase = phase
	}
	p.draw()
}

// ended takes a scenario off the line and lets print write above it.
func (p *progress) ended(id string, print func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	p.running = slices.DeleteFunc(p.running, func(a activity) bool { return a.id == id })
	p.erase()
	print()
	p.draw()
}

// close takes the line away.
func (p *progress) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
}

func (p *progress) erase() {
	if p.width() > 0 {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

func (p *progress) draw() {
	width := p.width()
	if width == 0 || len(p.running) == 0 {
		return
	}
	fmt.Fprint(p.w, "\r\x1b[K", p.line(width-1)) // the last column would wrap in some terminals
}

// line fits into width columns: as many scenarios as there is room for, and the
// number of the others.
func (p *progress) line(width int) string {
	head := fmt.Sprintf("%d/%d", p.done, p.total)
	for n := len(p.running); n > 0; n-- {
		words := []string{head}
		for _, a := range p.running[:n] {
			words = append(words, a.id+": "+a.phase)
		}
		if rest := len(p.running) - n; rest > 0 {
			words = append(words, fmt.Sprintf("+%d", rest))
		}
		if line := strings.Join(words, "  "); len(line) <= width {
			return line
		}
	}
	return head[:min(len(head), max(0, width))]
}

// terminalWidth is the number of columns of a terminal, 0 for anything else.
func terminalWidth(f *os.File) int {
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	if width == 0 {
		return 80 // a terminal that does not know its size
	}
	return width
}
