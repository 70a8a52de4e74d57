//go:build linux

package netns

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"

	"github.com/acrlab/acrlab/harness/plan"
)

// ruleset is the nftables table of a running host:
//
//	table inet acrlab {
//	  chain forward     { type filter hook forward priority filter; jump forwardN }
//	  chain postrouting { type nat hook postrouting priority srcnat; jump postroutingN }
//	  chain prerouting  { type nat hook prerouting priority dstnat; jump preroutingN }
//	  chain forwardN {
//	    ct state related accept
//	    ct state established ct direction reply accept
//	    ct state established ct mark N accept
//	    …the rules of the plan…
//	    ct mark set N
//	  }
//	}
//
// N is the generation. A new generation is built beside the old one, in as many
// transactions as its size needs, and switched to in one. Connections that
// earlier rules let pass carry an older mark, so the next packet of their
// originator is judged by the new rules, while connections that are still
// allowed go on, translated as before.
type ruleset struct {
	conn       *nftables.Conn
	table      *nftables.Table
	base       map[string]*nftables.Chain // by name
	generation uint32
	chains     []*nftables.Chain // of this generation, callers before callees
	sets       []*nftables.Set
	names      map[string][]string // chain → name of each rule, in order; "" for our own
	before     map[string]uint64   // what earlier generations counted, by name
}

// newRuleset must be called on a thread inside the host's namespace.
func newRuleset() (*ruleset, error) {
	conn, err := nftables.New(nftables.AsLasting())
	if err != nil {
		return nil, fmt.Errorf("opening an nftables socket: %w", err)
	}
	return &ruleset{conn: conn, before: map[string]uint64{}}, nil
}

func (r *ruleset) close() error { return r.conn.CloseLasting() }

// messagesPerTransaction keeps the acknowledgements of a transaction within the
// receive buffer that an unprivileged user may have (net.core.rmem_max).
const messagesPerTransaction = 64

// builder fills the next generation.
type builder struct {
	*ruleset
	chains  []*nftables.Chain
	sets    []*nftables.Set
	names   map[string][]string
	pending int
	next    uint32
}

// apply makes the rules of p the host's.
func (r *ruleset) apply(p *plan.Host) (err error) {
	if err := r.carryCounters(); err != nil {
		return err
	}
	b := &builder{ruleset: r, names: map[string][]string{}, next: r.generation + 1}
	first := r.table == nil
	defer func() {
		if err != nil {
			b.discard(first)
		}
	}()
	if first {
		r.table = r.conn.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "acrlab"})
		r.base = map[string]*nftables.Chain{}
		b.addBase("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter)
		b.addBase("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource)
		b.addBase("prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest)
	}
	jumps := map[string]*nftables.Chain{}
	for _, part := range []struct {
		base string
		used bool
		fill func(*nftables.Chain) error
	}{
		{"forward", len(p.Filter) > 0, func(c *nftables.Chain) error { return b.forward(c, p.Filter) }},
		{"postrouting", len(p.NAT) > 0, func(c *nftables.Chain) error { return b.postrouting(c, p.NAT) }},
		{"prerouting", len(p.Redirect) > 0, func(c *nftables.Chain) error { return b.prerouting(c, p.Redirect) }},
	} {
		if !part.used {
			continue
		}
		c, err := b.chain(fmt.Sprintf("%s%d", part.base, b.next))
		if err != nil {
			return err
		}
		if err := part.fill(c); err != nil {
			return err
		}
		jumps[part.base] = c
	}
	for name, base := range r.base {
		if r.generation > 0 {
			r.conn.FlushChain(base)
		}
		if c := jumps[name]; c != nil {
			r.conn.AddRule(&nftables.Rule{Table: r.table, Chain: base,
				Exprs: []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: c.Name}}})
		}
	}
	if err := r.conn.Flush(); err != nil {
		return fmt.Errorf("writing nftables rules: %w", err)
	}
	old, oldSets := r.chains, r.sets
	r.chains, r.sets, r.names, r.generation = b.chains, b.sets, b.names, b.next
	return r.remove(old, oldSets)
}

// discard removes what a failed apply has left; the earlier generation stays.
func (b *builder) discard(first bool) {
	_ = b.conn.Flush() // drops what is still queued, in the worst case after writing it
	if first {
		b.conn.DelTable(b.table)
		_ = b.conn.Flush()
		b.table, b.base = nil, nil
		return
	}
	_ = b.remove(b.chains, b.sets)
	b.generation = b.next // names are not used twice
}

// remove deletes an earlier generation, to which nothing leads any more.
func (r *ruleset) remove(chains []*nftables.Chain, sets []*nftables.Set) error {
	pending := 0
	step := func() error {
		if pending++; pending%messagesPerTransaction != 0 {
			return nil
		}
		return r.conn.Flush()
	}
	var errs []error
	for _, c := range chains {
		r.conn.DelChain(c)
		errs = append(errs, step())
	}
	for _, s := range sets {
		r.conn.DelSet(s)
		errs = append(errs, step())
	}
	if err := errors.Join(append(errs, r.conn.Flush())...); err != nil {
		return fmt.Errorf("removing old nftables rules: %w", err)
	}
	return nil
}

func (b *builder) addBase(name string, t nftables.ChainType, hook *nftables.ChainHook, prio *nftables.ChainPriority) {
	b.base[name] = b.conn.AddChain(&nftables.Chain{Name: name, Table: b.table, Type: t, Hooknum: hook, Priority: prio})
	b.pending += 2
}

// written counts a message and ends the transaction when it is big enough.
func (b *builder) written() error {
	if b.pending++; b.pending < messagesPerTransaction {
		return nil
	}
	b.pending = 0
	if err := b.conn.Flush(); err != nil {
		return fmt.Errorf("writing nftables rules: %w", err)
	}
	return nil
}

func (b *builder) chain(name string) (*nftables.Chain, error) {
	c := b.conn.AddChain(&nftables.Chain{Name: name, Table: b.table})
	b.chains = append(b.chains, c)
	return c, b.written()
}

// rule appends to a chain. name is that of the plan's rule, or empty.
func (b *builder) rule(c *nftables.Chain, name string, e ...expr.Any) error {
	var comment []byte
	if name != "" {
		comment = userdata.AppendString(nil, userdata.TypeComment, name[:min(len(name), 120)])
	}
	b.conn.AddRule(&nftables.Rule{Table: b.table, Chain: c, Exprs: e, UserData: comment})
	b.names[c.Name] = append(b.names[c.Name], name)
	return b.written()
}

// set makes a set of intervals.
func (b *builder) set(keyType nftables.SetDatatype, elements []nftables.SetElement) (*nftables.Set, error) {
	return b.addSet(&nftables.Set{KeyType: keyType, Interval: true}, elements)
}

func (b *builder) plainSet(keyType nftables.SetDatatype, elements []nftables.SetElement) (*nftables.Set, error) {
	return b.addSet(&nftables.Set{KeyType: keyType}, elements)
}

// addSet writes elements in pieces, since an attribute holds 64 KiB.
func (b *builder) addSet(s *nftables.Set, elements []nftables.SetElement) (*nftables.Set, error) {
	s.Table = b.table
	s.ID = uint32(len(b.sets) + 1) // the library's own numbering is not safe for concurrent use
	s.Name = fmt.Sprintf("set%d_%d", b.next, s.ID)
	if err := b.conn.AddSet(s, nil); err != nil {
		return nil, fmt.Errorf("making a set: %w", err)
	}
	b.sets = append(b.sets, s)
	if err := b.written(); err != nil {
		return nil, err
	}
	const piece = 400 // even, so that the two ends of an interval stay together
	for len(elements) > 0 {
		n := min(piece, len(elements))
		if err := b.conn.SetAddElements(s, elements[:n]); err != nil {
			return nil, fmt.Errorf("filling a set: %w", err)
		}
		elements = elements[n:]
		// Elements weigh more than one message.
		b.pending += 20
		if err := b.written(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (b *builder) forward(c *nftables.Chain, rules []plan.FilterRule) error {
	accept := &expr.Verdict{Kind: expr.VerdictAccept}
	state := func(bits uint32) []expr.Any {
		return []expr.Any{
			&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
			&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: make([]byte, 4)},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
		}
	}
	const replyDirection = 1 // IP_CT_DIR_REPLY
	if err := b.rule(c, "", append(state(expr.CtStateBitRELATED), accept)...); err != nil {
		return err
	}
	if err := b.rule(c, "", append(state(expr.CtStateBitESTABLISHED),
		&expr.Ct{Key: expr.CtKeyDIRECTION, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{replyDirection}}, accept)...); err != nil {
		return err
	}
	if err := b.rule(c, "", append(state(expr.CtStateBitESTABLISHED),
		&expr.Ct{Key: expr.CtKeyMARK, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(b.next)}, accept)...); err != nil {
		return err
	}
	if err := b.filterRules(c, rules, append(b.mark(), accept)); err != nil {
		return err
	}
	return b.rule(c, "", b.mark()...)
}

// mark records that this generation's rules let the connection pass.
func (b *builder) mark() []expr.Any {
	return []expr.Any{
		&expr.Immediate{Register: 1, Data: binaryutil.NativeEndian.PutUint32(b.next)},
		&expr.Ct{Key: expr.CtKeyMARK, Register: 1, SourceRegister: true},
	}
}

// filterRules appends rules; accept is what an accepting rule does.
func (b *builder) filterRules(c *nftables.Chain, rules []plan.FilterRule, accept []expr.Any) error {
	for _, r := range rules {
		if err := b.filterRule(c, r, accept); err != nil {
			return fmt.Errorf("filter rule %q: %w", r.Name, err)
		}
	}
	return nil
}

func (b *builder) filterRule(c *nftables.Chain, r plan.FilterRule, accept []expr.Any) error {
	matches, err := b.variants(r.Match)
	if err != nil {
		return err
	}
	var endings []ending
	if len(r.Group) > 0 {
		group, err := b.chain(fmt.Sprintf("group%d_%d", b.next, len(b.chains)))
		if err != nil {
			return err
		}
		back := []expr.Any{&expr.Verdict{Kind: expr.VerdictReturn}}
		if err := b.filterRules(group, r.Group, back); err != nil {
			return err
		}
		endings = []ending{{do: []expr.Any{&expr.Verdict{Kind: expr.VerdictJump, Chain: group.Name}}}}
	} else if endings, err = endingsOf(r, accept); err != nil {
		return err
	}
	for _, m := range matches {
		for _, end := range endings {
			e := slices.Clone(m)
			if end.tcp {
				e = append(e, &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
					&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}})
			}
			e = append(e, &expr.Counter{})
			if err := b.rule(c, r.Name, append(e, end.do...)...); err != nil {
				return err
			}
		}
	}
	return nil
}

// ending is what a matching rule does, to TCP alone or to all.
type ending struct {
	tcp bool
	do  []expr.Any
}

// endingsOf gives one ending, or for Reject two: TCP is told by a reset, the
// rest by ICMP. The kernel has no reset for other protocols.
func endingsOf(r plan.FilterRule, accept []expr.Any) ([]ending, error) {
	icmp := func(code uint8) ending {
		return ending{do: []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: code}}}
	}
	switch r.Verdict {
	case plan.Accept:
		return []ending{{do: accept}}, nil
	case plan.Drop:
		return []ending{{do: []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}}}}, nil
	case plan.Prohibit:
		return []ending{icmp(unix.NFT_REJECT_ICMPX_ADMIN_PROHIBITED)}, nil
	case plan.Reject:
		tcp := ending{tcp: true, do: []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_TCP_RST}}}
		rest := icmp(unix.NFT_REJECT_ICMPX_PORT_UNREACH)
		switch r.Match.Protocol {
		case "tcp":
			return []ending{tcp}, nil
		case "":
			return []ending{tcp, rest}, nil
		}
		return []ending{rest}, nil
	case "":
		return nil, errors.New("neither a verdict nor a group")
	}
	return nil, fmt.Errorf("unknown verdict %q", r.Verdict)
}

func (b *builder) postrouting(c *nftables.Chain, rules []plan.NATRule) error {
	for i, r := range rules {
		matches, err := b.variants(r.Match)
		if err != nil {
			return fmt.Errorf("translation rule %d: %w", i+1, err)
		}
		for _, m := range matches {
			if r.Keep {
				m = append(m, &expr.Verdict{Kind: expr.VerdictAccept})
			} else {
				m = append(familyOf(r.To), append(m,
					&expr.Immediate{Register: 1, Data: r.To.AsSlice()},
					&expr.NAT{Type: expr.NATTypeSourceNAT, Family: nfproto(r.To), RegAddrMin: 1})...)
			}
			if err := b.rule(c, "", m...); err != nil {
				return err
			}
		}
	}
	return nil
}

func nfproto(a netip.Addr) uint32 {
	if a.Is6() {
		return unix.NFPROTO_IPV6
	}
	return unix.NFPROTO_IPV4
}

func familyOf(a netip.Addr) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{byte(nfproto(a))}},
	}
}

func (b *builder) prerouting(c *nftables.Chain, rules []plan.RedirectRule) error {
	for _, r := range rules {
		m := r.Match
		m.Protocol = "tcp"
		matches, err := b.variants(m)
		if err != nil {
			return fmt.Errorf("redirection %q: %w", r.Name, err)
		}
		for _, m := range matches {
			// Only transit: connections to the host itself are its own.
			e := append(m,
				&expr.Fib{Register: 1, FlagDADDR: true, ResultADDRTYPE: true},
				&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
				&expr.Counter{},
				&expr.Immediate{Register: 1, Data: binaryutil.BigEndian.PutUint16(r.Port)},
				&expr.Redir{RegisterProtoMin: 1})
			if err := b.rule(c, r.Name, e...); err != nil {
				return err
			}
		}
	}
	return nil
}
