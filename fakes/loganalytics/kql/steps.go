package kql

import (
	"slices"
	"strings"
	"time"
)

// each evaluates expressions on every row, and on one empty row of a table
// without rows, so that a wrong column is an error there too.
func (t *Table) each(s *scope, f func(*row) error) error {
	for _, values := range t.Rows {
		if err := f(&row{s, t, values}); err != nil {
			return err
		}
	}
	return nil
}

// check finds names that are in no column, whatever the rows.
func (t *Table) check(s *scope, list ...expr) error {
	for _, e := range list {
		if c, ok := missing(t, e); ok {
			_, err := c.eval(&row{s, t, nil})
			return err
		}
	}
	return nil
}

// missing is the first column of an expression that a table lacks.
func missing(t *Table, e expr) (column, bool) {
	var parts []expr
	switch x := e.(type) {
	case column:
		return x, t.index(x.at.text) < 0
	case binary:
		parts = []expr{x.left, x.right}
	case in:
		parts = append([]expr{x.left}, x.list...)
	case call:
		parts = x.args
	}
	for _, p := range parts {
		if c, ok := missing(t, p); ok {
			return c, true
		}
	}
	return column{}, false
}

type where struct{ condition expr }

func (w where) apply(s *scope, t Table) (Table, error) {
	out := Table{Columns: t.Columns}
	if err := t.check(s, w.condition); err != nil {
		return out, err
	}
	err := t.each(s, func(r *row) error {
		v, err := w.condition.eval(r)
		if err != nil {
			return err
		}
		keep, ok := v.(bool)
		if !ok && v != nil {
			return &Error{Kind: Semantic, Message: "where clause expression must be of type bool, not " + string(typeOf(v))}
		}
		if keep {
			out.Rows = append(out.Rows, r.values)
		}
		return nil
	})
	return out, err
}

type project struct{ list []assignment }

func (p project) apply(s *scope, t Table) (Table, error) { return compute(s, t, p.list, nil) }

type extend struct{ list []assignment }

func (e extend) apply(s *scope, t Table) (Table, error) {
	made, err := compute(s, t, e.list, nil)
	if err != nil {
		return Table{}, err
	}
	out := Table{Columns: slices.Clone(t.Columns)}
	var at []int
	for _, c := range made.Columns {
		i := out.index(c.Name)
		if i < 0 {
			i = len(out.Columns)
			out.Columns = append(out.Columns, c)
		}
		out.Columns[i] = c
		at = append(at, i)
	}
	for n, values := range t.Rows {
		values = append(slices.Clone(values), make([]any, len(out.Columns)-len(t.Columns))...)
		for k, i := range at {
			values[i] = made.Rows[n][k]
		}
		out.Rows = append(out.Rows, values)
	}
	return out, nil
}

// compute makes a table of expressions. Names must differ.
func compute(s *scope, t Table, list []assignment, rows [][]any) (Table, error) {
	var out Table
	for _, a := range list {
		if out.index(a.name) >= 0 {
			return out, semantic(a.at, "A column with the name '%s' is given twice", a.name)
		}
		if err := t.check(s, a.expr); err != nil {
			return out, err
		}
		out.Columns = append(out.Columns, Column{a.name, t.typeOf(a.expr)})
	}
	err := t.each(s, func(r *row) error {
		values := make([]any, len(list))
		for i, a := range list {
			v, err := a.expr.eval(r)
			if err != nil {
				return err
			}
			values[i] = v
		}
		out.Rows = append(out.Rows, values)
		return nil
	})
	out.Rows = append(rows, out.Rows...)
	return out, err
}

// typeOf is the type of an expression, without a row to look at.
func (t *Table) typeOf(e expr) Type {
	switch x := e.(type) {
	case literal:
		return typeOf(x.value)
	case column:
		if i := t.index(x.at.text); i >= 0 {
			return t.Columns[i].Type
		}
	case in:
		return Bool
	case binary:
		if !slices.Contains([]string{"+", "-", "*", "/", "%"}, x.op) {
			return Bool
		}
		l, r := t.typeOf(x.left), t.typeOf(x.right)
		switch {
		case l == Datetime && r == Datetime:
			return Timespan
		case l == Datetime:
			return Datetime
		case l == Timespan && r == Timespan && x.op == "/":
			return Real
		case l == Timespan || r == Timespan:
			return Timespan
		case l == Real || r == Real:
			return Real
		}
		return Long
	case call:
		switch x.name {
		case "now", "ago", "todatetime", "startofday":
			return Datetime
		case "not", "isempty", "isnotempty", "isnull", "isnotnull":
			return Bool
		case "toint", "tolong", "strlen":
			return Long
		case "bin":
			return t.typeOf(x.args[0])
		case "iff", "iif":
			return t.typeOf(x.args[1])
		}
	}
	return String
}

type projectAway struct{ names []token }

func (p projectAway) apply(_ *scope, t Table) (Table, error) {
	var keep []int
	for _, n := range p.names {
		if t.index(n.text) < 0 {
			return Table{}, semantic(n, "Failed to resolve column or scalar expression named '%s'", n.text)
		}
	}
	var out Table
	for i, c := range t.Columns {
		if !slices.ContainsFunc(p.names, func(n token) bool { return n.text == c.Name }) {
			keep = append(keep, i)
			out.Columns = append(out.Columns, c)
		}
	}
	for _, values := range t.Rows {
		var left []any
		for _, i := range keep {
			left = append(left, values[i])
		}
		out.Rows = append(out.Rows, left)
	}
	return out, nil
}

type take struct{ n int }

func (k take) apply(_ *scope, t Table) (Table, error) {
	t.Rows = t.Rows[:min(len(t.Rows), k.n)]
	return t, nil
}

type count struct{}

func (count) apply(_ *scope, t Table) (Table, error) {
	return Table{Columns: []Column{{"Count", Long}}, Rows: [][]any{{int64(len(t.Rows))}}}, nil
}

type order struct{ keys []sortKey }

func (o order) apply(s *scope, t Table) (Table, error) {
	type keyed struct{ keys, values []any }
	var list []keyed
	for _, k := range o.keys {
		if err := t.check(s, k.expr); err != nil {
			return t, err
		}
	}
	err := t.each(s, func(r *row) error {
		one := keyed{values: r.values}
		for _, k := range o.keys {
			v, err := k.expr.eval(r)
			if err != nil {
				return err
			}
			one.keys = append(one.keys, v)
		}
		list = append(list, one)
		return nil
	})
	if err != nil {
		return t, err
	}
	slices.SortStableFunc(list, func(a, b keyed) int {
		for i, k := range o.keys {
			if c := k.compare(a.keys[i], b.keys[i]); c != 0 {
				return c
			}
		}
		return 0
	})
	out := Table{Columns: t.Columns}
	for _, k := range list {
		out.Rows = append(out.Rows, k.values)
	}
	return out, nil
}

func (k sortKey) compare(a, b any) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil || b == nil:
		if (a == nil) == k.nullsFirst {
			return -1
		}
		return 1
	}
	c, _ := compare(a, b)
	if k.ascending {
		return c
	}
	return -c
}

type top struct {
	n  int
	by order
}

func (o top) apply(s *scope, t Table) (Table, error) {
	t, err := o.by.apply(s, t)
	if err != nil {
		return t, err
	}
	return take{o.n}.apply(s, t)
}

// maxRows is Kusto's own limit for results.
// https://learn.microsoft.com/kusto/concepts/query-limits
const maxRows = 500_000

// union joins rows by the names of their columns.
type union struct{ others []source }

func (u union) apply(s *scope, t Table) (Table, error) {
	out := t
	out.Columns = slices.Clone(t.Columns)
	out.Rows = slices.Clone(t.Rows)
	for _, o := range u.others {
		more, err := o.run(s)
		if err != nil {
			return Table{}, err
		}
		var at []int
		for _, c := range more.Columns {
			i := out.index(c.Name)
			if i < 0 {
				i = len(out.Columns)
				out.Columns = append(out.Columns, c)
			}
			at = append(at, i)
		}
		if len(out.Rows)+len(more.Rows) > maxRows {
			return Table{}, &Error{Kind: Semantic, Message: "Query result set has exceeded the internal record count limit 500000 (E_QUERY_RESULT_SET_TOO_LARGE)"}
		}
		for _, values := range more.Rows {
			wide := make([]any, len(out.Columns))
			for k, i := range at {
				wide[i] = values[k]
			}
			out.Rows = append(out.Rows, wide)
		}
	}
	for i, values := range out.Rows {
		if missing := len(out.Columns) - len(values); missing > 0 {
			out.Rows[i] = append(slices.Clone(values), make([]any, missing)...)
		}
		for k, c := range out.Columns {
			if c.Type == String && out.Rows[i][k] == nil { // strings are never null
				out.Rows[i] = slices.Clone(out.Rows[i])
				out.Rows[i][k] = ""
			}
		}
	}
	return out, nil
}

// distinct without a list is distinct *.
type distinct struct{ list []assignment }

func (d distinct) apply(s *scope, t Table) (Table, error) {
	if d.list != nil {
		var err error
		if t, err = compute(s, t, d.list, nil); err != nil {
			return t, err
		}
	}
	out, seen := Table{Columns: t.Columns}, map[string]bool{}
	for _, values := range t.Rows {
		if k := key(values); !seen[k] {
			seen[k] = true
			out.Rows = append(out.Rows, values)
		}
	}
	return out, nil
}

// key is a text that is the same for equal values alone.
func key(values []any) string {
	var b strings.Builder
	for _, v := range values {
		s := toString(v)
		b.WriteString(string(typeOf(v)) + ":")
		if v == nil {
			b.WriteString("null")
		}
		b.WriteString(strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), "\x00", `\0`) + "\x00")
	}
	return b.String()
}

// aggregates with how many arguments they take.
var aggregates = map[string]int{"count": 0, "countif": 1, "dcount": 1, "min": 1, "max": 1, "sum": 1, "avg": 1}

type aggregate struct {
	name     string
	function string
	at       token
	arg      expr
}

type summarize struct {
	aggregates []aggregate
	by         []assignment
}

func (z summarize) apply(s *scope, t Table) (Table, error) {
	keys, err := compute(s, t, z.by, nil)
	if err != nil {
		return Table{}, err
	}
	args := make([]Table, len(z.aggregates))
	out := Table{Columns: slices.Clone(keys.Columns)}
	for i, a := range z.aggregates {
		if a.arg != nil {
			if args[i], err = compute(s, t, []assignment{{name: "x", at: a.at, expr: a.arg}}, nil); err != nil {
				return Table{}, err
			}
		}
		typ := Long
		switch {
		case a.function == "avg":
			typ = Real
		case a.function == "min" || a.function == "max" || a.function == "sum":
			typ = args[i].Columns[0].Type
		}
		if out.index(a.name) >= 0 {
			return out, semantic(a.at, "A column with the name '%s' is given twice", a.name)
		}
		out.Columns = append(out.Columns, Column{a.name, typ})
	}
	groups, members := []string{}, map[string][]int{}
	for n := range t.Rows {
		k := key(keys.Rows[n])
		if members[k] == nil {
			groups = append(groups, k)
		}
		members[k] = append(members[k], n)
	}
	if len(z.by) == 0 && len(groups) == 0 { // a summary of nothing has one row
		groups = append(groups, "")
	}
	for _, g := range groups {
		var values []any
		if len(members[g]) > 0 {
			values = slices.Clone(keys.Rows[members[g][0]])
		}
		for i, a := range z.aggregates {
			v, err := a.over(args[i], members[g])
			if err != nil {
				return Table{}, err
			}
			values = append(values, v)
		}
		out.Rows = append(out.Rows, values)
	}
	return out, nil
}

func (a aggregate) over(arg Table, rows []int) (any, error) {
	if a.function == "count" {
		return int64(len(rows)), nil
	}
	var n int64
	var best, sum any
	seen := map[string]bool{}
	for _, i := range rows {
		v := arg.Rows[i][0]
		if v == nil {
			continue
		}
		switch a.function {
		case "countif":
			b, ok := v.(bool)
			if !ok {
				return nil, semantic(a.at, "countif(): argument #1 expected to be a bool expression")
			}
			n += int64(toInt(b))
			continue
		case "dcount":
			seen[key([]any{v})] = true
			continue
		case "min", "max":
			c, ok := compare(v, best)
			if best == nil || ok && (c < 0) == (a.function == "min") && c != 0 {
				best = v
			}
			continue
		}
		n++
		if sum == nil {
			sum = v
			if _, ok := v.(string); ok {
				return nil, semantic(a.at, "%s(): argument #1 expected to be a number", a.function)
			}
			continue
		}
		var err error
		if sum, err = (binary{at: a.at, op: "+"}).arithmetic(sum, v); err != nil {
			return nil, err
		}
	}
	switch a.function {
	case "countif":
		return n, nil
	case "dcount":
		return int64(len(seen)), nil
	case "min", "max":
		return best, nil
	case "sum":
		if sum == nil {
			return int64(0), nil
		}
		return sum, nil
	}
	if d, ok := sum.(time.Duration); ok {
		return d / time.Duration(n), nil
	}
	f, ok := toFloat(sum)
	if !ok || n == 0 {
		return nil, nil
	}
	return finite(f / float64(n)), nil
}
