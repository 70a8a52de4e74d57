package verdict

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// The JUnit XML that CI systems read, as the schema of the Apache Ant task and
// Surefire agree on it: a failure is a wrong or incomplete verdict, an error is
// a scenario without a verdict, skipped did not run.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Skipped  int          `xml:"skipped,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name      string        `xml:"name,attr"`
		ClassName string        `xml:"classname,attr"`
		Time      string        `xml:"time,attr"`
		Skipped   *junitSkipped `xml:"skipped"`
		Error     *junitTrouble `xml:"error"`
		Failure   *junitTrouble `xml:"failure"`
		SystemOut string        `xml:"system-out,omitempty"`
	}
	junitSkipped struct {
		Message string `xml:"message,attr"`
	}
	junitTrouble struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// WriteJUnit writes results as JUnit XML, one test suite per mode. Times are in
// seconds.
func WriteJUnit(w io.Writer, results []Result, s Summary) error {
	out := junitSuites{Name: "acrlab", Time: seconds(s.Took)}
	index := map[Mode]int{}
	took := map[Mode]time.Duration{}
	for _, r := range results {
		i, ok := index[r.Mode]
		if !ok {
			i = len(out.Suites)
			index[r.Mode] = i
			out.Suites = append(out.Suites, junitSuite{Name: suiteName(r)})
		}
		suite := &out.Suites[i]
		c := caseOf(r, suite.Name)
		suite.Cases = append(suite.Cases, c)
		suite.Tests++
		suite.Failures += one(c.Failure != nil)
		suite.Errors += one(c.Error != nil)
		suite.Skipped += one(c.Skipped != nil)
		took[r.Mode] += r.Took
		suite.Time = seconds(took[r.Mode])
	}
	for _, suite := range out.Suites {
		out.Tests += suite.Tests
		out.Failures += suite.Failures
		out.Errors += suite.Errors
		out.Skipped += suite.Skipped
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return fmt.Errorf("writing the JUnit report: %w", err)
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(out); err != nil {
		return fmt.Errorf("writing the JUnit report: %w", err)
	}
	if _, err := io.WriteString(w, "\n"); err != nil {
		return fmt.Errorf("writing the JUnit report: %w", err)
	}
	return nil
}

func suiteName(r Result) string {
	if r.Mode == "" {
		return "acrlab"
	}
	return "acrlab." + string(r.Mode)
}

func caseOf(r Result, class string) junitCase {
	c := junitCase{Name: r.ID, ClassName: class, Time: seconds(r.Took), SystemOut: details(r)}
	reason := clean(r.Reason())
	first, _, _ := strings.Cut(reason, "\n")
	trouble := &junitTrouble{Message: first, Type: r.Outcome(), Text: reason}
	switch r.Outcome() {
	case string(Right):
	case "skipped":
		c.Skipped = &junitSkipped{Message: first}
	case string(Wrong), string(Incomplete):
		c.Failure = trouble
	default:
		c.Error = trouble
	}
	return c
}

// details are what a reader of a CI page wants to see without running it again.
func details(r Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", r.Title)
	for _, p := range r.Phases {
		fmt.Fprintf(&b, "%-12s %s", p.Name, span(p.Took))
		if p.Error != "" {
			fmt.Fprintf(&b, "  %s", p.Error)
		}
		b.WriteByte('\n')
	}
	if r.Client != nil {
		fmt.Fprintf(&b, "%s ended with %d: %s\n", r.Client.Client, r.Client.ExitCode, strings.TrimSpace(r.Client.Output))
	}
	if r.Diagnosis != nil {
		fmt.Fprintf(&b, "found: %s\n", found(r))
	}
	return clean(b.String())
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}
