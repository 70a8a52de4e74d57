package probe

import (
	"context"
	"fmt"
	"time"
)

// registry probes the login server by every way and has the conversation with
// it by the shell's.
func (r *run) registry(ctx context.Context) {
	ep := endpoint{host: r.t.Host, role: RoleLogin, get: "/v2/", everywhere: true}
	r.resolve(ep.host, true)
	r.completions()
	ways := r.ways(ep.host)
	for _, w := range ways[1:] {
		g := r.optional
		if w.used() {
			g = r.required
		}
		g.start(func(ctx context.Context) { r.record(ctx, ep, w) })
	}

	// If the login server is silent, its data endpoint is looked at meanwhile.
	late := time.AfterFunc(slow, r.guessData)
	talking := false
	for at := range r.approach(ctx, ep, ways[0]) {
		r.learnTime(at.head)
		r.addPath(at.path)
		if talking || at.head == nil || at.head.Status == 0 {
			at.close()
			continue
		}
		talking = true
		late.Stop()
		r.required.start(func(ctx context.Context) {
			defer at.close()
			r.converse(ctx, at)
		})
	}
	if !talking {
		r.omit("challenge", "the login server gave no answer by the way that the shell uses")
		r.guessData()
	}
}

// converse walks from the challenge to the layer.
func (r *run) converse(ctx context.Context, at *attempt) {
	api := &API{}
	defer func() {
		r.mu.Lock()
		r.report.API = api
		r.mu.Unlock()
		if api.Blob == nil || api.Blob.Host == "" && !api.Blob.OK {
			r.guessData()
		}
	}()
	api.Challenge = readChallenge(at.head)
	if api.Challenge.Denied {
		r.learnEgress(api.Challenge.DeniedIP, "registry")
		r.omit("token", "the registry's network rules refuse this address")
		return
	}
	if api.Challenge.HTTP.Status != 401 {
		r.omit("token", fmt.Sprintf("the login server answered %d and no challenge", api.Challenge.HTTP.Status))
		return
	}
	s, err := r.newSession(at.client, api.Challenge)
	if err != nil {
		r.omit("token", err.Error())
		return
	}
	api.Token = s.out
	s.login(ctx)
	var img *image
	if api.Manifest, img = s.fetchManifest(ctx); img != nil {
		api.Blob = s.fetchBlob(ctx, img)
		if r.o.Push {
			api.Push = s.tryPush(ctx, img.repository)
		} else {
			r.omit("push", "it would write to the registry; --push opens an upload and cancels it")
		}
	}
}
