package kql

import (
	"fmt"
	"slices"
	"strings"
)

// maxDepth bounds nesting, so that no query exhausts the stack.
const maxDepth = 200

type parser struct {
	tokens []token
	at     int
	depth  int
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != tokenEnd {
		p.at++
	}
	return t
}

// is reports whether the next token is the word or sign, and takes it.
func (p *parser) is(text string) bool {
	t := p.peek()
	if (t.kind == tokenName || t.kind == tokenPunct) && t.text == text {
		p.next()
		return true
	}
	return false
}

func (p *parser) need(text string) error {
	if !p.is(text) {
		return p.expected(fmt.Sprintf("'%s'", text))
	}
	return nil
}

func (p *parser) name() (token, error) {
	t := p.peek()
	if t.kind != tokenName {
		return t, p.expected("a name")
	}
	return p.next(), nil
}

func (p *parser) unexpected(t token) *Error {
	at := "the end"
	if t.kind != tokenEnd {
		at = "'" + t.text + "'"
	}
	return &Error{Syntax, "Query could not be parsed at " + at, t.line, t.column, t.text}
}

func (p *parser) expected(what string) *Error {
	e := p.unexpected(p.peek())
	e.Message += ": expected " + what
	return e
}

func (p *parser) enter() error {
	if p.depth++; p.depth > maxDepth {
		t := p.peek()
		return &Error{Syntax, fmt.Sprintf("the query is nested more than %d deep", maxDepth), t.line, t.column, t.text}
	}
	return nil
}

func (p *parser) leave() { p.depth-- }

// query = source { "|" step }
func (p *parser) query() (*pipeline, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	q := &pipeline{}
	var err error
	if q.from, err = p.source(); err != nil {
		return nil, err
	}
	for p.is("|") {
		s, err := p.step()
		if err != nil {
			return nil, err
		}
		q.steps = append(q.steps, s)
	}
	return q, nil
}

// source = table | "(" query ")" | "union" tables
func (p *parser) source() (source, error) {
	t := p.peek()
	if p.is("(") {
		q, err := p.query()
		if err != nil {
			return nil, err
		}
		return q, p.need(")")
	}
	if t.kind != tokenName {
		return nil, p.expected("a table")
	}
	if p.tokens[p.at+1].kind != tokenEnd { // a table may have any name
		switch {
		case t.text == "union" && p.tokens[p.at+1].text != "|":
			p.next()
			u, err := p.union()
			if err != nil {
				return nil, err
			}
			return &pipeline{from: nothing{}, steps: []step{u}}, nil
		case slices.Contains(foreign, t.text) && p.tokens[p.at+1].text != "|":
			return nil, unsupported(t, "'"+t.text+"'")
		}
	}
	return tableName{p.next()}, nil
}

type nothing struct{}

func (nothing) run(*scope) (Table, error) { return Table{}, nil }

func (p *parser) step() (step, error) {
	t, err := p.name()
	if err != nil {
		return nil, err
	}
	switch t.text {
	case "where", "filter":
		e, err := p.expression()
		return where{e}, err
	case "project":
		list, err := p.assignments()
		return project{list}, err
	case "extend":
		list, err := p.assignments()
		return extend{list}, err
	case "project-away":
		list, err := p.names()
		return projectAway{list}, err
	case "distinct":
		if p.is("*") {
			return distinct{}, nil
		}
		list, err := p.assignments()
		return distinct{list}, err
	case "count":
		return count{}, nil
	case "take", "limit":
		n, err := p.number()
		return take{n}, err
	case "top":
		n, err := p.number()
		if err != nil {
			return nil, err
		}
		if err := p.need("by"); err != nil {
			return nil, err
		}
		k, err := p.sortKey()
		return top{n, order{[]sortKey{k}}}, err
	case "order", "sort":
		if err := p.need("by"); err != nil {
			return nil, err
		}
		var o order
		for {
			k, err := p.sortKey()
			if err != nil {
				return nil, err
			}
			o.keys = append(o.keys, k)
			if !p.is(",") {
				return o, nil
			}
		}
	case "union":
		return p.union()
	case "summarize":
		return p.summarize()
	}
	if slices.Contains(foreign, t.text) {
		return nil, unsupported(t, "the operator '"+t.text+"'")
	}
	return nil, &Error{Syntax, fmt.Sprintf("Query could not be parsed at '%s': there is no operator of that name", t.text), t.line, t.column, t.text}
}

func (p *parser) number() (int, error) {
	t := p.peek()
	n, ok := t.value.(int64)
	if t.kind != tokenNumber || !ok {
		return 0, p.expected("a whole number")
	}
	p.next()
	return int(min(n, 1<<31-1)), nil
}

func (p *parser) names() ([]token, error) {
	var out []token
	for {
		t, err := p.name()
		if err != nil {
			return nil, err
		}
		out = append(out, t)
		if !p.is(",") {
			return out, nil
		}
	}
}

// assignment is "name = expression" or an expression that names itself.
type assignment struct {
	name string
	at   token
	expr expr
}

func (p *parser) assignments() ([]assignment, error) {
	var out []assignment
	for {
		a, err := p.assignment(len(out) + 1)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
		if !p.is(",") {
			return out, nil
		}
	}
}

func (p *parser) assignment(position int) (assignment, error) {
	a := assignment{at: p.peek(), name: fmt.Sprintf("Column%d", position)}
	if a.at.kind == tokenName && p.tokens[p.at+1].kind == tokenPunct && p.tokens[p.at+1].text == "=" {
		a.name = p.next().text
		p.next()
	} else if a.at.kind == tokenName {
		a.name = "" // decided by the expression
	}
	e, err := p.expression()
	if err != nil {
		return a, err
	}
	a.expr = e
	if a.name == "" {
		a.name = fmt.Sprintf("Column%d", position)
		switch e := e.(type) {
		case column:
			a.name = e.at.text
		case call: // bin(TimeGenerated, 1h) keeps the column's name
			if len(e.args) > 0 {
				if c, ok := e.args[0].(column); ok {
					a.name = c.at.text
				}
			}
		}
	}
	return a, nil
}

type sortKey struct {
	expr       expr
	ascending  bool
	nullsFirst bool
}

// sortKey: descending unless said otherwise; nulls are last then, else first.
func (p *parser) sortKey() (sortKey, error) {
	e, err := p.expression()
	if err != nil {
		return sortKey{}, err
	}
	k := sortKey{expr: e}
	if p.is("asc") {
		k.ascending, k.nullsFirst = true, true
	} else {
		p.is("desc")
	}
	if p.is("nulls") {
		switch {
		case p.is("first"):
			k.nullsFirst = true
		case p.is("last"):
			k.nullsFirst = false
		default:
			return k, p.expected("'first' or 'last'")
		}
	}
	return k, nil
}

func (p *parser) union() (step, error) {
	t := p.peek()
	if next := p.tokens[min(p.at+1, len(p.tokens)-1)]; t.kind == tokenName && next.text == "=" {
		return nil, unsupported(t, "union with '"+t.text+"='")
	}
	var u union
	for {
		var s source
		if p.is("(") {
			q, err := p.query()
			if err != nil {
				return nil, err
			}
			if err := p.need(")"); err != nil {
				return nil, err
			}
			s = q
		} else {
			t, err := p.name()
			if err != nil {
				return nil, err
			}
			s = tableName{t}
		}
		u.others = append(u.others, s)
		if !p.is(",") {
			return u, nil
		}
	}
}

func (p *parser) summarize() (step, error) {
	var s summarize
	for p.peek().text != "by" {
		a := aggregate{at: p.peek()}
		if p.tokens[min(p.at+1, len(p.tokens)-1)].text == "=" {
			t, err := p.name()
			if err != nil {
				return nil, err
			}
			a.name = t.text
			p.next()
		}
		f, err := p.name()
		if err != nil {
			return nil, err
		}
		a.at, a.function = f, f.text
		arity, known := aggregates[f.text]
		if !known {
			return nil, unsupported(f, "the aggregation '"+f.text+"'")
		}
		if err := p.need("("); err != nil {
			return nil, err
		}
		if arity == 1 {
			if a.arg, err = p.expression(); err != nil {
				return nil, err
			}
		}
		if err := p.need(")"); err != nil {
			return nil, err
		}
		if a.name == "" {
			a.name = f.text + "_"
			if c, ok := a.arg.(column); ok {
				a.name += c.at.text
			}
		}
		s.aggregates = append(s.aggregates, a)
		if !p.is(",") {
			break
		}
	}
	if p.is("by") {
		var err error
		if s.by, err = p.assignments(); err != nil {
			return nil, err
		}
	}
	if len(s.aggregates)+len(s.by) == 0 {
		return nil, p.expected("an aggregation")
	}
	return s, nil
}

// expression = and { "or" and }
func (p *parser) expression() (expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	return p.chain([]string{"or"}, func() (expr, error) {
		return p.chain([]string{"and"}, p.comparison)
	})
}

// chain reads operands joined by operators of one rank.
func (p *parser) chain(signs []string, operand func() (expr, error)) (expr, error) {
	left, err := operand()
	for err == nil {
		t := p.peek()
		if t.kind != tokenName && t.kind != tokenPunct || !slices.Contains(signs, t.text) {
			return left, nil
		}
		p.next()
		var right expr
		if right, err = operand(); err == nil {
			left = binary{at: t, op: t.text, left: left, right: right}
		}
	}
	return nil, err
}

var comparisons = []string{"==", "!=", "<>", "=~", "!~", "<", "<=", ">", ">=", "contains", "contains_cs", "has", "has_cs", "startswith", "startswith_cs",
	"endswith", "endswith_cs"}

// comparison = sum [ operator sum | "in" list | "between" range | "matches" "regex" sum ]
func (p *parser) comparison() (expr, error) {
	left, err := p.sum()
	if err != nil {
		return nil, err
	}
	t := p.peek()
	not := false
	if t.kind == tokenPunct && t.text == "!" {
		p.next()
		not = true
		t = p.peek()
	}
	var e expr
	switch {
	case t.kind != tokenName && t.kind != tokenPunct || t.kind == tokenPunct && not:
		if not {
			return nil, p.expected("an operator")
		}
		return left, nil
	case slices.Contains(comparisons, t.text):
		p.next()
		right, err := p.sum()
		if err != nil {
			return nil, err
		}
		e = binary{at: t, op: t.text, left: left, right: right}
	case t.text == "in" || t.text == "in~":
		p.next()
		list, err := p.arguments()
		if err != nil {
			return nil, err
		}
		e = in{at: t, left: left, list: list, fold: t.text == "in~"}
	case t.text == "between":
		p.next()
		if err := p.need("("); err != nil {
			return nil, err
		}
		low, err := p.sum()
		if err != nil {
			return nil, err
		}
		if err := p.need(".."); err != nil {
			return nil, err
		}
		high, err := p.sum()
		if err != nil {
			return nil, err
		}
		if err := p.need(")"); err != nil {
			return nil, err
		}
		e = binary{at: t, op: "and", left: binary{t, ">=", left, low}, right: binary{t, "<=", left, high}}
	case t.text == "matches":
		p.next()
		if err := p.need("regex"); err != nil {
			return nil, err
		}
		right, err := p.sum()
		if err != nil {
			return nil, err
		}
		e = binary{at: t, op: "matches", left: left, right: right}
	case strings.HasPrefix(t.text, "has") && t.kind == tokenName || t.text == "hasprefix":
		return nil, unsupported(t, "the operator '"+t.text+"'")
	default:
		if not {
			return nil, p.expected("an operator")
		}
		return left, nil
	}
	if not {
		e = call{at: t, name: "not", args: []expr{e}}
	}
	return e, nil
}

func (p *parser) sum() (expr, error) {
	return p.chain([]string{"+", "-"}, func() (expr, error) { return p.chain([]string{"*", "/", "%"}, p.primary) })
}

func (p *parser) arguments() ([]expr, error) {
	if err := p.need("("); err != nil {
		return nil, err
	}
	var out []expr
	if p.is(")") {
		return out, nil
	}
	for {
		e, err := p.expression()
		if err != nil {
			return nil, err
		}
		out = append(out, e)
		if !p.is(",") {
			return out, p.need(")")
		}
	}
}

func (p *parser) primary() (expr, error) {
	t := p.peek()
	switch t.kind {
	case tokenString, tokenNumber, tokenTimespan, tokenDatetime:
		p.next()
		return literal{t.value}, nil
	case tokenPunct:
		switch t.text {
		case "(":
			p.next()
			e, err := p.expression()
			if err != nil {
				return nil, err
			}
			return e, p.need(")")
		case "-":
			if err := p.enter(); err != nil {
				return nil, err
			}
			defer p.leave()
			p.next()
			e, err := p.primary()
			return binary{at: t, op: "-", left: literal{int64(0)}, right: e}, err
		}
	case tokenName:
		p.next()
		switch t.text {
		case "true", "false":
			return literal{t.text == "true"}, nil
		}
		if p.peek().kind != tokenPunct || p.peek().text != "(" {
			return column{t}, nil
		}
		f, ok := functions[t.text]
		if !ok {
			return nil, unsupported(t, "the function '"+t.text+"'")
		}
		args, err := p.arguments()
		if err != nil {
			return nil, err
		}
		if len(args) < f.least || len(args) > f.most {
			return nil, semantic(t, "%s(): function expects between %d and %d argument(s), not %d", t.text, f.least, f.most, len(args))
		}
		return call{at: t, name: t.text, args: args}, nil
	}
	return nil, p.expected("a value")
}
