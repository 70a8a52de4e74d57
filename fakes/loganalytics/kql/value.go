package kql

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

func typeOf(v any) Type {
	switch v.(type) {
	case int64:
		return Long
	case float64:
		return Real
	case bool:
		return Bool
	case time.Time:
		return Datetime
	case time.Duration:
		return Timespan
	}
	return String
}

// compare orders two values of one kind; not ok if they cannot be compared.
func compare(a, b any) (int, bool) {
	switch x := a.(type) {
	case string:
		if y, ok := b.(string); ok {
			return strings.Compare(x, y), true
		}
	case time.Time:
		if y, ok := b.(time.Time); ok {
			return x.Compare(y), true
		}
	case time.Duration:
		if y, ok := b.(time.Duration); ok {
			return cmp.Compare(x, y), true
		}
	case bool:
		if y, ok := b.(bool); ok {
			return cmp.Compare(toInt(x), toInt(y)), true
		}
	case int64:
		if y, ok := b.(int64); ok {
			return cmp.Compare(x, y), true
		}
	}
	x, okX := toFloat(a)
	y, okY := toFloat(b)
	return cmp.Compare(x, y), okX && okY
}

func toInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func toFloat(v any) (float64, bool) {
	switch x := v.(type) {
	case int64:
		return float64(x), true
	case float64:
		return x, true
	}
	return 0, false
}

// toString is tostring().
func toString(v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case string:
		return x
	case time.Time:
		return FormatTime(x)
	case time.Duration:
		return FormatTimespan(x)
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	return fmt.Sprint(v)
}

// FormatTime writes a date and time as Kusto does: to 100 ns.
func FormatTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.0000000Z") }

// FormatTimespan writes [-][d.]hh:mm:ss[.fffffff].
func FormatTimespan(d time.Duration) string {
	sign, ticks := "", uint64(d/100)
	if d < 0 {
		sign, ticks = "-", uint64(-(d / 100))
	}
	seconds, fraction := ticks/1e7, ticks%1e7
	days := ""
	if seconds >= 86400 {
		days = strconv.FormatUint(seconds/86400, 10) + "."
	}
	out := fmt.Sprintf("%s%s%02d:%02d:%02d", sign, days, seconds/3600%24, seconds/60%60, seconds%60)
	if fraction != 0 {
		out += fmt.Sprintf(".%07d", fraction)
	}
	return out
}

func parseTime(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil && t.Year() > 0 && t.Year() < 10000 {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// hasWord is the operator "has": the needle stands between characters that are
// neither letters nor digits.
func hasWord(s, needle string) bool {
	if needle == "" {
		return true
	}
	word := func(b byte) bool { return isDigit(b) || isLetter(b) && b != '_' || b >= 0x80 }
	for from := 0; from <= len(s)-len(needle); {
		i := strings.Index(s[from:], needle)
		if i < 0 {
			return false
		}
		i += from
		end := i + len(needle)
		if (i == 0 || !word(s[i-1])) && (end == len(s) || !word(s[end])) {
			return true
		}
		from = i + 1
	}
	return false
}
