package dns

import (
	"fmt"
)

// names is a set of records with the names that exist because of them: a name
// above one that owns records exists too, without records (RFC 8020).
type names struct {
	apex    string // exists always; "" for the public tree
	records map[string][]Record
	exists  map[string]bool
}

func newNames(apex string, records []Record) (*names, error) {
	n := &names{apex: apex, records: map[string][]Record{}, exists: map[string]bool{apex: true}}
	for _, r := range records {
		r.Name, r.CNAME = canonical(r.Name), canonical(r.CNAME)
		if err := checkRecord(r); err != nil {
			return nil, err
		}
		if !below(r.Name, apex) {
			return nil, fmt.Errorf("record %s is not below %s", r.Name, apex)
		}
		for _, other := range n.records[r.Name] {
			if r.CNAME != "" || other.CNAME != "" {
				return nil, fmt.Errorf("record %s: a CNAME beside another record (RFC 1034 section 3.6.2)", r.Name)
			}
		}
		n.records[r.Name] = append(n.records[r.Name], r)
		for name := r.Name; name != apex && name != ""; name = parent(name) {
			n.exists[name] = true
		}
	}
	return n, nil
}

func checkRecord(r Record) error {
	if err := checkName(r.Name); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	switch {
	case (r.CNAME != "") == r.A.IsValid():
		return fmt.Errorf("record %s: exactly one of cname and a must be set", r.Name)
	case r.CNAME != "":
		if err := checkName(r.CNAME); err != nil {
			return fmt.Errorf("record %s: cname: %w", r.Name, err)
		}
	case !r.A.Unmap().Is4():
		return fmt.Errorf("record %s: %s is not an IPv4 address", r.Name, r.A)
	}
	return nil
}

// find returns the records that answer for name, if it exists. A wildcard
// answers for names below its parent that do not exist (RFC 4592).
func (n *names) find(name string) (records []Record, exists bool) {
	if n.exists[name] {
		return n.records[name], true
	}
	for closest := parent(name); ; closest = parent(closest) {
		if !n.exists[closest] && closest != "" {
			continue
		}
		wild := n.records["*."+closest]
		if closest == "" {
			wild = nil
		}
		for _, r := range wild {
			r.Name = name
			records = append(records, r)
		}
		return records, len(records) > 0
	}
}
