package kql

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

type tokenKind int

const (
	tokenEnd tokenKind = iota
	tokenName
	tokenString
	tokenNumber
	tokenTimespan
	tokenDatetime
	tokenPunct
)

// token is one word of a query. value is that of a literal.
type token struct {
	kind         tokenKind
	text         string
	value        any
	line, column int
}

const maxQuery = 64 << 10

// hyphenated are the words with a hyphen in them.
var hyphenated = []string{"project-away", "project-keep", "project-rename", "project-reorder", "mv-expand", "mv-apply", "make-series",
	"parse-kv", "parse-where", "sample-distinct", "top-hitters", "top-nested", "graph-match"}

// scan cuts a query into tokens.
func scan(q string) ([]token, error) {
	if len(q) > maxQuery {
		return nil, &Error{Kind: Syntax, Message: fmt.Sprintf("a query of %d bytes is longer than %d", len(q), maxQuery)}
	}
	var out []token
	line, start := 1, 0
	for i := 0; i < len(q); {
		c := q[i]
		t := token{line: line, column: i - start}
		switch {
		case c == '\n':
			i++
			line, start = line+1, i
			continue
		case c == ' ' || c == '\t' || c == '\r':
			i++
			continue
		case strings.HasPrefix(q[i:], "//"):
			for i < len(q) && q[i] != '\n' {
				i++
			}
			continue
		case c == '"' || c == '\'' || c == '@' && i+1 < len(q) && (q[i+1] == '"' || q[i+1] == '\''):
			value, n, ok := quoted(q[i:])
			if !ok {
				return nil, &Error{Syntax, "a string has no end", t.line, t.column, snippet(q[i:])}
			}
			t.kind, t.text, t.value = tokenString, q[i:i+n], value
			i += n
		case isDigit(c):
			n, err := number(q[i:], &t)
			if err != nil {
				return nil, err
			}
			i += n
		case isLetter(c):
			n := 1
			for i+n < len(q) && (isLetter(q[i+n]) || isDigit(q[i+n])) {
				n++
			}
			for _, h := range hyphenated {
				if strings.HasPrefix(q[i:], h) && (i+len(h) == len(q) || !isLetter(q[i+len(h)]) && !isDigit(q[i+len(h)])) {
					n = len(h)
				}
			}
			t.kind, t.text = tokenName, q[i:i+n]
			i += n
			if t.text == "datetime" && strings.HasPrefix(q[i:], "(") {
				n, err := datetime(q[i:], &t)
				if err != nil {
					return nil, err
				}
				i += n
			}
			// in~ is one word.
			if t.text == "in" && i < len(q) && q[i] == '~' {
				t.text = "in~"
				i++
			}
		default:
			n := punctuation(q[i:])
			if n == 0 {
				return nil, &Error{Syntax, fmt.Sprintf("the character %q has no meaning here", snippet(q[i:])), t.line, t.column, snippet(q[i:])}
			}
			t.kind, t.text = tokenPunct, q[i:i+n]
			i += n
		}
		out = append(out, t)
	}
	return append(out, token{kind: tokenEnd, line: line, column: len(q) - start}), nil
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' }

// snippet is the first character of s.
func snippet(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return s[:n]
}

func punctuation(s string) int {
	for _, p := range []string{"==", "!=", "=~", "!~", "<=", ">=", "<>", ".."} {
		if strings.HasPrefix(s, p) {
			return 2
		}
	}
	// "!contains" and the like are "!" and a name.
	if strings.ContainsRune("|(),=<>+-*/%!;.", rune(s[0])) {
		return 1
	}
	return 0
}

// quoted reads a string literal; "@" takes backslashes literally.
func quoted(s string) (value string, n int, ok bool) {
	verbatim := s[0] == '@'
	i := 0
	if verbatim {
		i = 1
	}
	quote := s[i]
	var b strings.Builder
	for i++; i < len(s) && s[i] != '\n'; i++ {
		switch {
		case s[i] == quote && verbatim && i+1 < len(s) && s[i+1] == quote:
			b.WriteByte(quote)
			i++
		case s[i] == quote:
			return b.String(), i + 1, true
		case s[i] == '\\' && !verbatim && i+1 < len(s):
			i++
			switch s[i] {
			case 'n':
				b.WriteByte('\n')
			case 't':
				b.WriteByte('\t')
			case 'r':
				b.WriteByte('\r')
			default:
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(s[i])
		}
	}
	return "", 0, false
}

// units of timespan literals.
// https://learn.microsoft.com/kusto/query/scalar-data-types/timespan
var units = map[string]time.Duration{
	"d": 24 * time.Hour, "day": 24 * time.Hour, "days": 24 * time.Hour, "h": time.Hour, "hr": time.Hour, "hour": time.Hour, "hours": time.Hour,
	"m": time.Minute, "min": time.Minute, "minute": time.Minute, "minutes": time.Minute, "s": time.Second, "sec": time.Second,
	"second": time.Second, "seconds": time.Second, "ms": time.Millisecond, "millisecond": time.Millisecond, "milliseconds": time.Millisecond,
	"microsecond": time.Microsecond, "microseconds": time.Microsecond, "tick": 100, "ticks": 100,
}

// number reads a number or timespan.
func number(s string, t *token) (int, error) {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	real := false
	if n+1 < len(s) && s[n] == '.' && isDigit(s[n+1]) { // not the ".." of between
		real = true
		for n++; n < len(s) && isDigit(s[n]); n++ {
		}
	}
	digits := s[:n]
	end := n
	for end < len(s) && (isLetter(s[end]) || isDigit(s[end])) {
		end++
	}
	t.text = s[:end]
	bad := func() (int, error) {
		return 0, &Error{Syntax, fmt.Sprintf("'%s' is no number", t.text), t.line, t.column, t.text}
	}
	if unit := s[n:end]; unit != "" {
		d, ok := units[unit]
		f, err := strconv.ParseFloat(digits, 64)
		if !ok || err != nil || f > float64(1<<62)/float64(d) {
			return bad()
		}
		t.kind, t.value = tokenTimespan, time.Duration(f*float64(d))
		return end, nil
	}
	t.kind = tokenNumber
	if real {
		f, err := strconv.ParseFloat(digits, 64)
		if err != nil {
			return bad()
		}
		t.value = f
		return end, nil
	}
	i, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return bad()
	}
	t.value = i
	return end, nil
}

// datetime reads the inside of datetime(2026-01-05T09:00:00Z), which needs no quotes.
func datetime(s string, t *token) (int, error) {
	inside, _, ok := strings.Cut(s[1:], ")")
	text := strings.Trim(inside, " \t\"'")
	t.kind = tokenDatetime
	if ok && text == "null" {
		return len(inside) + 2, nil
	}
	at, parsed := parseTime(text)
	if !ok || !parsed {
		return 0, &Error{Syntax, fmt.Sprintf("'%s' is no date and time", text), t.line, t.column, "datetime"}
	}
	t.value = at
	return len(inside) + 2, nil
}
