package probe

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/acrlab/acrlab/diagnoser/host"
)

// learnTime compares the Date header of an answer (RFC 9110 section 6.6.1,
// whole seconds) with this host's clock. Positive skew: this host is ahead.
func (r *run) learnTime(a *answered) {
	if a == nil || a.header == nil {
		return
	}
	date, err := http.ParseTime(a.header.Get("Date"))
	if err != nil {
		return
	}
	skew := a.at.Sub(date)
	// The header is cut to the second.
	if skew > 0 {
		skew = max(0, skew-time.Second)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if v := &r.report.Vantage; !v.HasSkew {
		v.ClockSkew, v.HasSkew = skew.Round(time.Millisecond), true
	}
}

// askTime fetches a Date header where the certificate is right but for its
// dates: then it may be this host's clock that is wrong. The request carries
// nothing but its path.
func (r *run) askTime(ctx context.Context, ep endpoint, w way, p Path) {
	raw := r.raw(ctx, &p, w, host.ConnectOptions{})
	if raw == nil {
		return
	}
	conn, _ := r.handshake(ctx, raw, p.Host, true)
	if conn == nil {
		return
	}
	c := newClient(conn, func(context.Context) (net.Conn, error) { return nil, textError("one request only") })
	defer c.close()
	r.learnTime(r.exchange(ctx, c, request{method: "GET", url: "https://" + ep.host + ep.get}))
}
