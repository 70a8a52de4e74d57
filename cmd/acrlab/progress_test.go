package main

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func at(width int) (*progress, *bytes.Buffer) {
	var out bytes.Buffer
	return &progress{w: &out, total: 12, width: func() int { return width }}, &out
}

func TestTheProgressLineFitsTheTerminal(t *testing.T) {
	p, _ := at(0)
	p.phase("dns-zone-missing-registry-record", "diagnose")
	p.phase("sni-blocked", "heal")
	p.phase("udr-blackhole", "healthy")
	for width, want := range map[int]string{
		200: "0/12  dns-zone-missing-registry-record: diagnose  sni-blocked: heal  udr-blackhole: healthy",
		79:  "0/12  dns-zone-missing-registry-record: diagnose  sni-blocked: heal  +1",
		60:  "0/12  dns-zone-missing-registry-record: diagnose  +2",
		40:  "0/12",
		2:   "0/",
		0:   "",
	} {
		require.Equal(t, want, p.line(width))
		require.LessOrEqual(t, utf8.RuneCountInString(p.line(width)), width)
	}
}

// Whichever ends first leaves the line, not whichever began first; what is
// printed meanwhile stands on lines of its own.
func TestAScenarioThatEndedLeavesTheProgressLine(t *testing.T) {
	p, out := at(80)
	p.phase("a", "healthy")
	p.phase("b", "healthy")
	out.Reset()
	p.ended("b", func() { out.WriteString("b is right\n") })
	require.Equal(t, "\r\x1b[Kb is right\n\r\x1b[K1/12  a: healthy", out.String())
	out.Reset()
	p.ended("a", func() {})
	p.close()
	require.Equal(t, "\r\x1b[K\r\x1b[K", out.String())
}

func TestWithoutATerminalThereIsNoProgressLine(t *testing.T) {
	p, out := at(0)
	p.phase("a", "healthy")
	p.ended("a", func() {})
	p.close()
	require.Empty(t, out.String())
}
