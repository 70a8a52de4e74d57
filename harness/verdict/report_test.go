package verdict

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/acrlab/acrlab/diagnosis"
)

var update = flag.Bool("update", false, "write golden files anew")

// results are one of every kind.
func results() []Result {
	phases := []Phase{{Name: "build", Took: 14 * time.Millisecond}, {Name: "diagnose", Took: 286 * time.Millisecond}}
	return []Result{
		{ID: "dns-zone-not-linked", Title: "The private DNS zone is not linked", Mode: WithAzure, Diagnoser: "acrlab",
			Expected: []diagnosis.Cause{linked}, Phases: phases, Took: 300 * time.Millisecond,
			Verdict: &Verdict{Right, "dns-zone-not-linked, proven"}, Diagnosis: saying("dns-zone-not-linked"),
			Client: &Symptom{Client: "crane", ExitCode: 1, Output: "Error: DENIED: client with IP '198.51.100.4' is not allowed access\n"}},
		{ID: "dns-zone-not-linked", Title: "The private DNS zone is not linked", Mode: NetworkOnly, Diagnoser: "acrlab",
			Expected: []diagnosis.Cause{linked}, Phases: phases, Took: 1300 * time.Millisecond,
			Verdict: &Verdict{Incomplete, "lists dns-zone-not-linked (possible), but dns-private-zone-missing would look the same"}, Diagnosis: saying("dns-zone-not-linked?")},
		{ID: "proxy-denied-403", Title: "The proxy refuses <the registry>", Mode: WithAzure,
			Expected: []diagnosis.Cause{proxy403}, Took: 61 * time.Second,
			Verdict: &Verdict{Wrong, "the diagnoser gave no diagnosis: it did not end within 30s and was killed; stderr ends: \x1b[31mpanic\x1b[0m"}},
		{ID: "udr-blackhole", Title: "A route leads nowhere", Mode: WithAzure, Took: 20 * time.Millisecond,
			Phases: []Phase{{Name: "build", Took: 20 * time.Millisecond}, {Name: "prove", Error: "it does not hold"}},
			Error:  "\"client gets no answer from myregistry.azurecr.io:443\" does not hold: it connected\n\"azure rule x counts packets\" does not hold: no packet hit rule x on azure"},
		{ID: "sni-blocked", Title: "A firewall ends handshakes", Mode: NetworkOnly, Skipped: "needs dockerd: apt-get install docker.io"},
		{ID: "healthy-public", Title: "Nothing is wrong", Mode: WithAzure, Took: 250 * time.Millisecond,
			Verdict: &Verdict{Right, "healthy"}, Diagnosis: healthy()},
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, got, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "run go test ./harness/verdict -update and look at the difference")
}

func TestTheReportsLookAsTheyDid(t *testing.T) {
	rs := results()
	s := Summarize(rs, 62500*time.Millisecond)
	for name, write := range map[string]func(io.Writer) error{
		"report.txt":       func(w io.Writer) error { return WriteText(w, rs, s, false) },
		"report-color.txt": func(w io.Writer) error { return WriteText(w, rs, s, true) },
		"report.json":      func(w io.Writer) error { return WriteJSON(w, rs, s) },
		"report.xml":       func(w io.Writer) error { return WriteJUnit(w, rs, s) },
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			require.NoError(t, write(&b))
			golden(t, name, b.Bytes())
			require.Error(t, write(failing{}), "a writer that fails is reported")
		})
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestTheTableIsAlignedAndWithoutForeignEscapes(t *testing.T) {
	var b bytes.Buffer
	rs := results()
	require.NoError(t, WriteText(&b, rs, Summarize(rs, time.Second), false))
	require.NotContains(t, b.String(), "\x1b")
	lines := strings.Split(b.String(), "\n")
	column := strings.Index(lines[0], "VERDICT")
	for _, line := range lines[1:] {
		if line != "" && !strings.HasPrefix(line, " ") && !strings.Contains(line, " right,") {
			require.Equal(t, byte(' '), line[column-1], line)
			require.NotEqual(t, byte(' '), line[column], line)
		}
	}
}

func TestJUnitCountsAndSortsTrouble(t *testing.T) {
	var b bytes.Buffer
	rs := results()
	require.NoError(t, WriteJUnit(&b, rs, Summarize(rs, time.Second)))
	var got junitSuites
	require.NoError(t, xml.Unmarshal(b.Bytes(), &got))
	require.Equal(t, 6, got.Tests)
	require.Equal(t, 2, got.Failures, "wrong and incomplete verdicts")
	require.Equal(t, 1, got.Errors, "a fault that was not there")
	require.Equal(t, 1, got.Skipped)
	require.Len(t, got.Suites, 2)
	for _, s := range got.Suites {
		require.Len(t, s.Cases, s.Tests)
		for _, c := range s.Cases {
			require.Equal(t, s.Name, c.ClassName)
		}
	}
}

func TestJSONCanBeReadBack(t *testing.T) {
	var b bytes.Buffer
	rs := results()
	require.NoError(t, WriteJSON(&b, rs, Summarize(rs, time.Second)))
	var got report
	require.NoError(t, json.Unmarshal(b.Bytes(), &got))
	require.Equal(t, ReportSchema, got.Schema)
	require.Len(t, got.Results, len(rs))
	require.NotContains(t, b.String(), `"phases": null`)
	require.NotContains(t, b.String(), `"expected": null`)
}

func TestSummaryAndExitCode(t *testing.T) {
	rs := results()
	s := Summarize(rs, time.Second)
	require.Equal(t, Summary{Right: 2, Incomplete: 1, Wrong: 1, Errors: 1, Skipped: 1, Took: time.Second}, s)
	require.Equal(t, 3, s.ExitCode())
	require.Equal(t, 1, Summarize(rs[:3], 0).ExitCode())
	require.Equal(t, 1, Summarize(rs[1:2], 0).ExitCode())
	require.Equal(t, 0, Summarize(rs[:1], 0).ExitCode())
	require.Equal(t, 0, Summarize(rs[4:], 0).ExitCode())
	require.Equal(t, 1, Summarize([]Result{{ID: "forgotten"}}, 0).Errors, "a result without a verdict is an error")
}

func TestColourIsForTerminalsAlone(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	defer f.Close()
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm")
	require.False(t, UseColor(f))
	tty, err := os.Open("/dev/ptmx")
	if err != nil {
		t.Skip("no terminal can be opened here: ", err)
	}
	defer tty.Close()
	require.True(t, UseColor(tty))
	t.Setenv("NO_COLOR", "1")
	require.False(t, UseColor(tty))
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "dumb")
	require.False(t, UseColor(tty))
}

// On a terminal rows are broken between columns, never in the middle of a word.
func TestRowsThatAreTooLongGoOnInAnIndentedLine(t *testing.T) {
	r := Result{ID: "dns-name-wrong", Mode: NetworkOnly, Took: 1500 * time.Millisecond, Verdict: &Verdict{Grade: Right}}
	for width, want := range map[int]string{
		0:  "dns-name-wrong  network-only  right           1.50 s  -\n",
		60: "dns-name-wrong  network-only  right           1.50 s  -\n",
		54: "dns-name-wrong  network-only  right           1.50 s\n    -\n",
		40: "dns-name-wrong  network-only\n    right  1.50 s  -\n",
	} {
		var b bytes.Buffer
		table := NewTable(&b, false, []string{r.ID}, []Mode{r.Mode})
		table.Width = width
		table.head = true
		require.NoError(t, table.Add(r))
		require.Equal(t, want, b.String(), "width %d", width)
	}
}
