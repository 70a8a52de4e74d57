package kql

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// row is what an expression is evaluated on.
type row struct {
	*scope
	table  *Table
	values []any
}

// expr gives a value for a row: nil is Kusto's null.
type expr interface{ eval(*row) (any, error) }

type literal struct{ value any }

func (l literal) eval(*row) (any, error) { return l.value, nil }

type column struct{ at token }

func (c column) eval(r *row) (any, error) {
	i := r.table.index(c.at.text)
	if i < 0 {
		return nil, semantic(c.at, "Failed to resolve column or scalar expression named '%s'", c.at.text)
	}
	return r.values[i], nil
}

type binary struct {
	at          token
	op          string
	left, right expr
}

func (b binary) eval(r *row) (any, error) {
	x, err := b.left.eval(r)
	if err != nil {
		return nil, err
	}
	if b.op == "and" || b.op == "or" {
		return b.logic(r, x)
	}
	y, err := b.right.eval(r)
	if err != nil {
		return nil, err
	}
	switch b.op {
	case "+", "-", "*", "/", "%":
		return b.arithmetic(x, y)
	case "==", "!=", "<>", "<", "<=", ">", ">=":
		return b.compare(x, y)
	}
	s, okX := text(x)
	needle, okY := text(y)
	if !okX || !okY {
		return nil, semantic(b.at, "Operator '%s' needs strings, not %s and %s", b.op, typeOf(x), typeOf(y))
	}
	switch b.op {
	case "=~":
		return strings.EqualFold(s, needle), nil
	case "!~":
		return !strings.EqualFold(s, needle), nil
	case "matches":
		re, err := regexp.Compile(needle)
		if err != nil {
			return nil, semantic(b.at, "'%s' is no regular expression", needle)
		}
		return re.MatchString(s), nil
	}
	op, sensitive := strings.CutSuffix(b.op, "_cs")
	if !sensitive {
		s, needle = strings.ToLower(s), strings.ToLower(needle)
	}
	switch op {
	case "contains":
		return strings.Contains(s, needle), nil
	case "startswith":
		return strings.HasPrefix(s, needle), nil
	case "endswith":
		return strings.HasSuffix(s, needle), nil
	}
	return hasWord(s, needle), nil
}

// text is a string, or what a null string counts as.
func text(v any) (string, bool) {
	if v == nil {
		return "", true
	}
	s, ok := v.(string)
	return s, ok
}

func (b binary) logic(r *row, x any) (any, error) {
	left, ok := x.(bool)
	if !ok && x != nil {
		return nil, semantic(b.at, "Operator '%s' needs a bool, not %s", b.op, typeOf(x))
	}
	// The other side is evaluated in any case: a wrong name must not depend on rows.
	y, err := b.right.eval(r)
	if err != nil {
		return nil, err
	}
	right, ok := y.(bool)
	if !ok && y != nil {
		return nil, semantic(b.at, "Operator '%s' needs a bool, not %s", b.op, typeOf(y))
	}
	if b.op == "and" {
		return left && right, nil
	}
	return left || right, nil
}

func (b binary) compare(x, y any) (any, error) {
	if x == nil || y == nil {
		both := x == nil && y == nil
		if (x == nil && y == "") || (y == nil && x == "") { // strings are never null
			both = true
		}
		switch b.op {
		case "==", "<=", ">=":
			return both, nil
		case "!=", "<>":
			return !both, nil
		}
		return false, nil
	}
	c, ok := compare(x, y)
	if !ok {
		return nil, semantic(b.at, "Cannot compare values of types %s and %s. Try adding explicit casts", typeOf(x), typeOf(y))
	}
	switch b.op {
	case "==":
		return c == 0, nil
	case "!=", "<>":
		return c != 0, nil
	case "<":
		return c < 0, nil
	case "<=":
		return c <= 0, nil
	case ">":
		return c > 0, nil
	}
	return c >= 0, nil
}

func (b binary) arithmetic(x, y any) (any, error) {
	if x == nil || y == nil {
		return nil, nil
	}
	switch x := x.(type) {
	case time.Time:
		switch y := y.(type) {
		case time.Duration:
			if b.op == "+" {
				return x.Add(y), nil
			} else if b.op == "-" {
				return x.Add(-y), nil
			}
		case time.Time:
			if b.op == "-" {
				return x.Sub(y), nil
			}
		}
	case time.Duration:
		if y, ok := y.(time.Duration); ok {
			switch {
			case b.op == "+":
				return x + y, nil
			case b.op == "-":
				return x - y, nil
			case b.op == "/" && y != 0:
				return float64(x) / float64(y), nil
			}
		}
		if n, ok := toFloat(y); ok && b.op == "*" {
			return time.Duration(float64(x) * n), nil
		}
	case int64:
		if y, ok := y.(int64); ok {
			return integers(b.op, x, y), nil
		}
		if d, ok := y.(time.Duration); ok && (b.op == "*" || b.op == "-" && x == 0) {
			if b.op == "-" {
				return -d, nil
			}
			return time.Duration(x) * d, nil
		}
	}
	p, okX := toFloat(x)
	q, okY := toFloat(y)
	if !okX || !okY {
		return nil, semantic(b.at, "Operator '%s' does not take %s and %s", b.op, typeOf(x), typeOf(y))
	}
	switch b.op {
	case "+":
		return p + q, nil
	case "-":
		return p - q, nil
	case "*":
		return p * q, nil
	case "/":
		return finite(p / q), nil
	}
	return finite(math.Mod(p, q)), nil
}

// integers divides with a fraction cut off; by zero there is no value.
func integers(op string, x, y int64) any {
	switch op {
	case "+":
		return x + y
	case "-":
		return x - y
	case "*":
		return x * y
	}
	if y == 0 || x == math.MinInt64 && y == -1 {
		return nil
	}
	if op == "/" {
		return x / y
	}
	return x % y
}

func finite(f float64) any {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil
	}
	return f
}

type in struct {
	at   token
	left expr
	list []expr
	fold bool
}

func (i in) eval(r *row) (any, error) {
	x, err := i.left.eval(r)
	if err != nil {
		return nil, err
	}
	found := false
	for _, e := range i.list {
		y, err := e.eval(r)
		if err != nil {
			return nil, err
		}
		s, okX := x.(string)
		w, okY := y.(string)
		switch {
		case i.fold && okX && okY:
			found = found || strings.EqualFold(s, w)
		case x == nil || y == nil:
		default:
			c, ok := compare(x, y)
			if !ok {
				return nil, semantic(i.at, "Cannot compare values of types %s and %s. Try adding explicit casts", typeOf(x), typeOf(y))
			}
			found = found || c == 0
		}
	}
	return found, nil
}

// maxString bounds what strcat makes, or a short query could fill the memory.
const maxString = 1 << 20

type call struct {
	at   token
	name string
	args []expr
}

// functions with how many arguments they take.
var functions = map[string]struct{ least, most int }{
	"not": {1, 1}, "now": {0, 1}, "ago": {1, 1}, "bin": {2, 2}, "tolower": {1, 1}, "toupper": {1, 1}, "isempty": {1, 1}, "isnotempty": {1, 1},
	"isnull": {1, 1}, "isnotnull": {1, 1}, "tostring": {1, 1}, "toint": {1, 1}, "tolong": {1, 1}, "todatetime": {1, 1}, "strlen": {1, 1},
	"iff": {3, 3}, "iif": {3, 3}, "strcat": {1, 64}, "startofday": {1, 1},
}

func (c call) eval(r *row) (any, error) {
	args := make([]any, len(c.args))
	for i, a := range c.args {
		v, err := a.eval(r)
		if err != nil {
			return nil, err
		}
		args[i] = v
	}
	wrong := func(want string) error {
		return semantic(c.at, "%s(): argument #1 expected to be a %s expression", c.name, want)
	}
	switch c.name {
	case "not":
		b, ok := args[0].(bool)
		if !ok && args[0] != nil {
			return nil, wrong("bool")
		}
		return !b, nil
	case "now", "ago":
		if len(args) == 0 {
			return r.now, nil
		}
		d, ok := args[0].(time.Duration)
		if !ok {
			return nil, wrong("timespan")
		}
		if c.name == "ago" {
			d = -d
		}
		return r.now.Add(d), nil
	case "bin":
		return c.bin(args[0], args[1])
	case "startofday":
		t, ok := args[0].(time.Time)
		if !ok {
			return nil, wrong("datetime")
		}
		return t.UTC().Truncate(24 * time.Hour), nil
	case "iff", "iif":
		if b, _ := args[0].(bool); b {
			return args[1], nil
		}
		return args[2], nil
	case "isnull", "isnotnull":
		return (args[0] == nil) == (c.name == "isnull"), nil
	case "isempty", "isnotempty":
		return (toString(args[0]) == "") == (c.name == "isempty"), nil
	case "tostring":
		return toString(args[0]), nil
	case "strcat":
		var b strings.Builder
		for _, a := range args {
			b.WriteString(toString(a))
		}
		if b.Len() > maxString {
			return nil, semantic(c.at, "strcat(): the result is longer than %d bytes", maxString)
		}
		return b.String(), nil
	case "toint", "tolong":
		return whole(args[0]), nil
	case "todatetime":
		if t, ok := args[0].(time.Time); ok {
			return t, nil
		}
		if t, ok := parseTime(toString(args[0])); ok {
			return t, nil
		}
		return nil, nil
	}
	s, ok := text(args[0])
	if !ok {
		return nil, wrong("string")
	}
	switch c.name {
	case "tolower":
		return strings.ToLower(s), nil
	case "toupper":
		return strings.ToUpper(s), nil
	}
	return int64(len([]rune(s))), nil // strlen
}

func whole(v any) any {
	switch x := v.(type) {
	case int64:
		return x
	case float64:
		return int64(x)
	case bool:
		return int64(toInt(x))
	case string:
		if n, err := strconv.ParseInt(strings.TrimSpace(x), 10, 64); err == nil {
			return n
		}
	}
	return nil
}

// bin rounds down to a multiple.
func (c call) bin(v, size any) (any, error) {
	switch s := size.(type) {
	case time.Duration:
		if s <= 0 {
			return nil, nil
		}
		switch x := v.(type) {
		case nil:
			return nil, nil
		case time.Time:
			return x.UTC().Truncate(s), nil
		case time.Duration:
			return x.Truncate(s), nil
		}
	case int64:
		if x, ok := v.(int64); ok && s > 0 {
			down := x - x%s
			if x%s < 0 {
				down -= s
			}
			return down, nil
		}
	}
	if x, ok := toFloat(v); ok {
		if s, ok := toFloat(size); ok && s > 0 {
			return finite(math.Floor(x/s) * s), nil
		}
	}
	return nil, semantic(c.at, "bin(): a value of type %s cannot be rounded to %s", typeOf(v), typeOf(size))
}
