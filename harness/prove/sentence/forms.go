package sentence

import (
	"regexp"
	"strings"
	"sync"
)

// form is a sentence with places for words in capitals. What stands in square
// brackets may be left out.
type form struct {
	text    string
	kind    Kind
	outcome Outcome
}

// forms are all sentences, tried in order. HOST is a host of the plan, NAME a
// DNS name or an address, RULE the name of a rule as the plan calls it, CN the
// common name of a certificate authority. Without "from HOST" it is the client
// that looks. A counter counts what came before: place "counts packets" after
// the sentence that makes the packets.
var forms = []form{
	{"[asking RESOLVER, ]HOST resolves NAME to a public address", Resolve, Public},
	{"[asking RESOLVER, ]HOST resolves NAME to a private address", Resolve, Private},
	{"[asking RESOLVER, ]HOST resolves NAME to ADDRESS", Resolve, ToAddress},
	{"[asking RESOLVER, ]HOST gets NXDOMAIN for NAME", Lookup, NXDomain},
	{"[asking RESOLVER, ]HOST gets NODATA for NAME", Lookup, NoData},
	{"[asking RESOLVER, ]HOST gets SERVFAIL for NAME", Lookup, ServFail},
	{"[asking RESOLVER, ]HOST gets REFUSED for NAME", Lookup, Refused},
	{"[asking RESOLVER, ]HOST gets no answer for NAME", Lookup, NoAnswer},
	{"[asking RESOLVER, ][from HOST, ]CNAME chain of NAME passes NAME2", Chain, Passes},

	{"HOST connects to NAME:PORT", Connect, Connected},
	{"HOST gets no answer from NAME:PORT", Connect, NoAnswer},
	{"HOST is refused by NAME:PORT", Connect, Reset},
	{"HOST is told NAME:PORT is unreachable", Connect, Unreachable},

	{"[from HOST, ]TLS to NAME:PORT[ naming SNI] is verified", TLS, Verified},
	{"[from HOST, ]TLS to NAME:PORT[ naming SNI] is reset", TLS, Reset},
	{"[from HOST, ]TLS to NAME:PORT[ naming SNI] is closed", TLS, Closed},
	{"[from HOST, ]TLS to NAME:PORT[ naming SNI] is silent", TLS, Silent},
	{"[from HOST, ]TLS to NAME:PORT[ naming SNI] is not trusted", TLS, NotTrusted},
	{"[from HOST, ]TLS to NAME:PORT[ naming SNI] is not valid for its name", TLS, WrongName},
	{"[from HOST, ]TLS to NAME:PORT[ naming SNI] is signed by CN", TLS, SignedBy},

	{"[from HOST, ]proxy answers STATUS for NAME:PORT", Proxy, Status},
	{"[from HOST, ]proxy closes for NAME:PORT", Proxy, Closed},
	{"[from HOST, ]proxy is silent for NAME:PORT", Proxy, Silent},
	{"[from HOST, ]NAME answers STATUS[ DENIED][ for ADDRESS]", HTTP, Status},

	{"HOST rule RULE counts packets", Count, Positive},
}

// Forms are the sentences that [Parse] knows, for documentation.
func Forms() []string {
	out := make([]string, len(forms))
	for i, f := range forms {
		out[i] = f.text
	}
	return out
}

type compiledForm struct {
	form
	expression *regexp.Regexp
	words      []word
}

var compiled = sync.OnceValue(func() []compiledForm {
	out := make([]compiledForm, len(forms))
	for i, f := range forms {
		out[i] = compiledForm{f, regexp.MustCompile("^" + expression(f.text) + "$"), wordsOf(f.text)}
	}
	return out
})

var placeholder = regexp.MustCompile(`HOST|RESOLVER|NAME2|NAME|SNI|PORT|ADDRESS|STATUS|CN\b|RULE|DENIED`)

// expression turns a form into a regular expression. CNAME, NXDOMAIN and the
// like are words of their own and stay.
func expression(text string) string {
	var b strings.Builder
	for text != "" {
		switch {
		case text[0] == '[':
			b.WriteString("(?:")
			text = text[1:]
		case text[0] == ']':
			b.WriteString(")?")
			text = text[1:]
		case strings.HasPrefix(text, "CNAME"):
			b.WriteString("CNAME")
			text = text[len("CNAME"):]
		default:
			if at := placeholder.FindStringIndex(text); at != nil && at[0] == 0 {
				b.WriteString(group(text[:at[1]]))
				text = text[at[1]:]
				continue
			}
			b.WriteString(regexp.QuoteMeta(text[:1]))
			text = text[1:]
		}
	}
	return b.String()
}

func group(name string) string {
	pattern := `[A-Za-z0-9_.-]+` // NAME, NAME2, SNI
	switch name {
	case "HOST":
		pattern = `[A-Za-z0-9][A-Za-z0-9_.-]*`
	case "PORT":
		pattern = `[0-9]+`
	case "ADDRESS", "RESOLVER":
		pattern = `[0-9A-Fa-f:.]+`
	case "STATUS":
		pattern = `[0-9]{3}`
	case "DENIED":
		pattern = `DENIED`
	case "RULE":
		pattern = `\S+`
	case "CN":
		pattern = `.+`
	}
	return "(?P<" + name + ">" + pattern + ")"
}

// closestForm is the form that shares most words in order with the text,
// relative to the length of both. A placeholder matches a word that could stand
// there, for less than a word that is the same.
func closestForm(text string) string {
	words := strings.Fields(text)
	words = words[:min(len(words), 50)] // the longest form has ten
	best, bestScore := forms[0].text, -1.0
	for _, f := range compiled() {
		total := 3 * len(words) // as if each were a plain word
		for _, w := range f.words {
			if !w.optional {
				total += w.weight()
			}
		}
		if score := float64(common(f.words, words)) / float64(total); score > bestScore {
			best, bestScore = f.text, score
		}
	}
	return best
}

// word is one word of a form.
type word struct {
	text string
	// expression is what may stand there; nil for a plain word.
	expression *regexp.Regexp
	// optional words count only when they match.
	optional bool
}

func wordsOf(text string) []word {
	var out []word
	optional := false
	for _, w := range strings.Fields(strings.NewReplacer("[", " [ ", "]", " ] ").Replace(text)) {
		if w == "[" || w == "]" {
			optional = w == "["
			continue
		}
		form := word{text: w, optional: optional}
		if e := expression(w); e != regexp.QuoteMeta(w) {
			form.expression = regexp.MustCompile("^" + e + "$")
		}
		out = append(out, form)
	}
	return out
}

// weight is what a match counts. HOST and CN match nearly everything.
func (w word) weight() int {
	switch {
	case w.expression == nil:
		return 3
	case strings.HasPrefix(w.text, "HOST"), w.text == "CN":
		return 1
	}
	return 2
}

// match is the weight of s standing for w, 0 when it cannot. A plain word that
// only begins alike counts less: it is a slip of typing.
func (w word) match(s string) int {
	switch {
	case strings.HasPrefix(w.text, "NAME") && !strings.Contains(s, "."):
		return 0 // any word could be a label, but is rarely meant as a name
	case w.expression != nil && w.expression.MatchString(s), strings.EqualFold(w.text, s):
		return w.weight()
	case w.expression == nil && len(s) >= 3 && strings.HasPrefix(strings.ToLower(w.text), strings.ToLower(s[:3])):
		return w.weight() - 1
	}
	return 0
}

// common is the weight of the heaviest common subsequence of words.
func common(form []word, words []string) int {
	row := make([]int, len(words)+1)
	for _, w := range form {
		diagonal := 0
		for j, s := range words {
			above := row[j+1]
			row[j+1] = max(row[j+1], row[j])
			if weight := w.match(s); weight > 0 {
				row[j+1] = max(row[j+1], diagonal+weight)
			}
			diagonal = above
		}
	}
	return row[len(words)]
}
