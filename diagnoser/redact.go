package diagnoser

import (
	"regexp"
	"strings"

	"github.com/acrlab/acrlab/diagnosis"
)

// Secrets that a proxy, a redirect or a header may have carried into text. The
// probes remove what they know of; this is the last door.
var secrets = []struct {
	pattern *regexp.Regexp
	put     string
}{
	// The signature of a shared access signature.
	{regexp.MustCompile(`(?i)([?&](?:sig|access_token|refresh_token|password)=)[^&\s"']+`), "${1}REDACTED"},
	// JSON Web Tokens.
	{regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*`), "REDACTED"},
	// Authorization headers.
	{regexp.MustCompile(`(?i)\b((?:proxy-)?authorization:\s*(?:basic|bearer)\s+)\S+`), "${1}REDACTED"},
	// Credentials in a URL, save the placeholder of a remedy.
	{regexp.MustCompile(`(https?://)([^/\s:@]+):([^/\s@]+)@`), "${1}REDACTED@"},
}

const placeholder = "://USER:PASSWORD@"

var placeholderPattern = regexp.MustCompile(regexp.QuoteMeta(placeholder))

// clean removes secrets, and control characters that an answer from the network
// may have carried here.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r < 0x20 || r >= 0x7f && r < 0xa0:
			return -1
		}
		return r
	}, s)
	if placeholderPattern.MatchString(s) {
		return s
	}
	for _, r := range secrets {
		s = r.pattern.ReplaceAllString(s, r.put)
	}
	return s
}

// redact removes secrets from everything that is text for a person. Changes are
// for a machine and hold none.
func redact(d *diagnosis.Diagnosis) {
	for i := range d.Findings {
		f := &d.Findings[i]
		f.Summary, f.DecidedBy = clean(f.Summary), clean(f.DecidedBy)
		for k := range f.Evidence {
			f.Evidence[k].Saw, f.Evidence[k].Means = clean(f.Evidence[k].Saw), clean(f.Evidence[k].Means)
		}
		for k := range f.Excluded {
			f.Excluded[k].Because = clean(f.Excluded[k].Because)
		}
		f.Remedy.Summary = clean(f.Remedy.Summary)
		for k := range f.Remedy.Commands {
			f.Remedy.Commands[k] = clean(f.Remedy.Commands[k])
		}
	}
	for i := range d.Observations {
		d.Observations[i].Saw = clean(d.Observations[i].Saw)
	}
	for i := range d.NotChecked {
		d.NotChecked[i].Because = clean(d.NotChecked[i].Because)
	}
}
