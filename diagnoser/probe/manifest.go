package probe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
)

// Media types of manifests: OCI image specification 1.1 and Docker image
// manifest version 2, schema 2.
var manifestTypes = strings.Join([]string{
	"application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json",
	"application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.distribution.manifest.list.v2+json",
}, ", ")

type descriptor struct {
	MediaType string   `json:"mediaType"`
	Digest    string   `json:"digest"`
	Size      int64    `json:"size"`
	URLs      []string `json:"urls"`
	Platform  *struct {
		Architecture string `json:"architecture"`
		OS           string `json:"os"`
	} `json:"platform"`
}

type manifest struct {
	Config    *descriptor  `json:"config"`
	Layers    []descriptor `json:"layers"`
	Manifests []descriptor `json:"manifests"`
}

// image is a manifest that was read.
type image struct {
	repository string
	token      string
	manifest   manifest
}

// fetchManifest reads the manifest of the target, or of any image if the target
// names none. It gives nil if there is none to be had; the step or an omission
// says why.
func (s *session) fetchManifest(ctx context.Context) (*Step, *image) {
	repo, ref := s.r.t.Repository, s.r.t.Reference
	if repo == "" {
		if repo = s.anyRepository(ctx); repo == "" {
			return nil, nil
		}
	}
	s.out.Granted = false // what counts is the pull
	token := s.grant(ctx, "repository:"+repo+":pull")
	if token == "" {
		s.r.omit("manifest", "no token was granted for the repository "+repo)
		return nil, nil
	}
	if ref == "" {
		ref = "latest"
		if s.r.t.Repository == "" {
			ref = ""
		}
	}
	var step *Step
	var m manifest
	if ref != "" {
		step, m = s.readManifest(ctx, repo, ref, token)
	}
	if s.r.t.Reference == "" && (step == nil || step.HTTP.Status == http.StatusNotFound) {
		if tag := s.anyTag(ctx, repo); tag != "" {
			step, m = s.readManifest(ctx, repo, tag, token)
		}
	}
	if step == nil || !step.OK {
		return step, nil
	}
	if len(m.Manifests) > 0 {
		d := choosePlatform(m.Manifests)
		if step, m = s.readManifest(ctx, repo, d.Digest, token); !step.OK {
			return step, nil
		}
	}
	return step, &image{repository: repo, token: token, manifest: m}
}

func (s *session) readManifest(ctx context.Context, repo, ref, token string) (*Step, manifest) {
	a := s.get(ctx, "/v2/"+repo+"/manifests/"+ref, token, request{
		header: http.Header{"Accept": {manifestTypes}}, limit: maxManifest,
	})
	step := &Step{HTTP: a.HTTP}
	step.Denied, step.DeniedIP = parseDenied(a.Status, a.full)
	s.r.learnEgress(step.DeniedIP, "registry")
	var m manifest
	if a.Status != http.StatusOK || a.Err != "" {
		return step, m
	}
	want := a.header.Get("Docker-Content-Digest")
	if strings.Contains(ref, ":") {
		want = ref
	}
	sum := sha256.Sum256(a.full)
	if got := "sha256:" + hex.EncodeToString(sum[:]); strings.HasPrefix(want, "sha256:") && want != got {
		step.HTTP.Err = fmt.Sprintf("the manifest's digest is %s, not %s", got, want)
		return step, m
	}
	if err := json.Unmarshal(a.full, &m); err != nil || m.Config == nil && len(m.Manifests) == 0 && len(m.Layers) == 0 {
		step.HTTP.Err = "the answer is no manifest"
		return step, m
	}
	step.OK = true
	return step, m
}

// choosePlatform prefers this machine's platform, then any that can run.
func choosePlatform(all []descriptor) descriptor {
	for _, want := range []func(d descriptor) bool{
		func(d descriptor) bool { return d.Platform.OS == "linux" && d.Platform.Architecture == runtime.GOARCH },
		func(d descriptor) bool { return d.Platform.OS == "linux" },
		func(d descriptor) bool { return d.Platform.OS != "unknown" }, // attestations
	} {
		if i := slices.IndexFunc(all, func(d descriptor) bool { return d.Platform != nil && want(d) }); i >= 0 {
			return all[i]
		}
	}
	return all[0]
}

// anyRepository lists the catalogue. Anonymous clients may not, but asking for
// the token is worth it: a refusal by network rules shows there.
func (s *session) anyRepository(ctx context.Context) string {
	token := s.grant(ctx, "registry:catalog:*")
	if token == "" {
		s.r.omit("manifest", "the target names no repository, and the registry gives no token to list them")
		return ""
	}
	var list struct {
		Repositories []string `json:"repositories"`
	}
	a := s.get(ctx, "/v2/_catalog?n=1", token, request{limit: 64 << 10})
	if a.Status != http.StatusOK || json.Unmarshal(a.full, &list) != nil || len(list.Repositories) == 0 || !repositoryName.MatchString(list.Repositories[0]) {
		s.r.omit("manifest", fmt.Sprintf("the target names no repository, and the registry lists none (status %d)", a.Status))
		return ""
	}
	return list.Repositories[0]
}

func (s *session) anyTag(ctx context.Context, repo string) string {
	token := s.grant(ctx, "repository:"+repo+":pull,metadata_read")
	if token == "" {
		return ""
	}
	var list struct {
		Tags []string `json:"tags"`
	}
	a := s.get(ctx, "/v2/"+repo+"/tags/list?n=1", token, request{limit: 64 << 10})
	if a.Status != http.StatusOK || json.Unmarshal(a.full, &list) != nil || len(list.Tags) == 0 || !tagName.MatchString(list.Tags[0]) {
		s.r.omit("manifest", fmt.Sprintf("the repository %s has no tag latest and lists none (status %d)", repo, a.Status))
		return ""
	}
	return list.Tags[0]
}
