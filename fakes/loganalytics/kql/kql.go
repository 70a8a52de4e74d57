// Package kql answers the part of the Kusto Query Language with which the
// registry's documentation reads its logs: where, project, extend, union, top,
// take, order, count, distinct and summarize, over tables in memory. Whatever
// lies outside is an error that names what is understood.
//
// https://learn.microsoft.com/kusto/query/
package kql

import (
	"fmt"
	"strings"
	"time"
)

// Type of a column.
type Type string

const (
	String   Type = "string"
	Long     Type = "long"
	Real     Type = "real"
	Bool     Type = "bool"
	Datetime Type = "datetime"
	Timespan Type = "timespan"
)

// Column of a table.
type Column struct {
	Name string
	Type Type
}

// Table holds rows of string, int64, float64, bool, time.Time, time.Duration or nil.
type Table struct {
	Columns []Column
	Rows    [][]any
}

// Database finds tables by name. Names are case-sensitive, as in Kusto.
type Database map[string]Table

// Kind of an error.
type Kind string

const (
	Syntax      Kind = "SyntaxError"
	Semantic    Kind = "SemanticError"
	Unsupported Kind = "UnsupportedError" // Kusto would understand it
)

// Error says what is wrong with a query, and where.
type Error struct {
	Kind    Kind
	Message string
	Line    int // from 1
	Column  int // in bytes, from 0
	Token   string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Message
	}
	return fmt.Sprintf("%s (line %d, column %d)", e.Message, e.Line, e.Column)
}

// Query runs a query. now is what now() is. The error is an [*Error].
func Query(query string, db Database, now time.Time) (Table, error) {
	tokens, err := scan(query)
	if err != nil {
		return Table{}, err
	}
	p := &parser{tokens: tokens}
	q, err := p.query()
	if err != nil {
		return Table{}, err
	}
	if t := p.peek(); t.kind == tokenPunct && t.text == ";" {
		p.next()
	}
	if t := p.peek(); t.kind != tokenEnd {
		return Table{}, p.unexpected(t)
	}
	return q.run(&scope{db: db, now: now})
}

// operators are what may follow a "|".
var operators = []string{"where", "filter", "project", "project-away", "extend", "union", "top", "take", "limit", "order by", "sort by", "count", "distinct", "summarize"}

// foreign are Kusto's other operators and statements, to tell them from typing errors.
var foreign = []string{"as", "consume", "datatable", "evaluate", "externaldata", "facet", "find", "fork", "getschema", "graph-match", "invoke", "join", "let",
	"lookup", "make-series", "mv-apply", "mv-expand", "parse", "parse-kv", "parse-where", "partition", "print", "project-keep", "project-rename",
	"project-reorder", "range", "reduce", "render", "sample", "sample-distinct", "scan", "search", "serialize", "set", "top-hitters", "top-nested", "declare", "alias"}

func unsupported(t token, what string) *Error {
	return &Error{Unsupported, fmt.Sprintf("%s is not answered by this simulation of Log Analytics; it knows the operators %s", what, strings.Join(operators, ", ")), t.line, t.column, t.text}
}

type scope struct {
	db  Database
	now time.Time
}

// source gives a table.
type source interface{ run(*scope) (Table, error) }

// step turns a table into another.
type step interface {
	apply(*scope, Table) (Table, error)
}

type pipeline struct {
	from  source
	steps []step
}

func (p *pipeline) run(s *scope) (Table, error) {
	t, err := p.from.run(s)
	for _, st := range p.steps {
		if err != nil {
			return Table{}, err
		}
		t, err = st.apply(s, t)
	}
	return t, err
}

type tableName struct{ at token }

func (n tableName) run(s *scope) (Table, error) {
	t, ok := s.db[n.at.text]
	if !ok {
		return Table{}, semantic(n.at, "Failed to resolve table or column expression named '%s'", n.at.text)
	}
	return t, nil
}

func semantic(t token, format string, args ...any) *Error {
	return &Error{Semantic, fmt.Sprintf(format, args...), t.line, t.column, t.text}
}

func (t Table) index(name string) int {
	for i, c := range t.Columns {
		if c.Name == name {
			return i
		}
	}
	return -1
}
