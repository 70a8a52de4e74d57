package registry

import (
	"maps"
	"slices"
	"sync"
)

// store is the content of one registry: repositories over shared blobs, and
// uploads under way. Everything is in memory.
type store struct {
	mu      sync.RWMutex
	repos   map[string]*repository
	blobs   map[digest][]byte // content of all repositories
	uploads map[string]*upload
}

// repository is what one name holds. A blob must be in the repository to be
// read through it, though its content is stored once.
type repository struct {
	blobs     map[digest]bool
	manifests map[digest]*manifest
	tags      map[string]digest
}

func newStore() *store {
	return &store{repos: map[string]*repository{}, blobs: map[digest][]byte{}, uploads: map[string]*upload{}}
}

// open finds a repository and makes it where it is missing. mu is held.
func (s *store) open(name string) *repository {
	r := s.repos[name]
	if r == nil {
		r = &repository{blobs: map[digest]bool{}, manifests: map[digest]*manifest{}, tags: map[string]digest{}}
		s.repos[name] = r
	}
	return r
}

func (s *store) putBlob(name string, d digest, content []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blobs[d] = content
	s.open(name).blobs[d] = true
}

// blob reads a blob of a repository. The caller must not change the content.
func (s *store) blob(name string, d digest) ([]byte, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r := s.repos[name]
	if r == nil || !r.blobs[d] {
		return nil, false
	}
	return s.blobs[d], true
}

// content reads a blob by digest alone, as storage does.
func (s *store) content(d digest) ([]byte, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b, ok := s.blobs[d]
	return b, ok
}

// mount makes a blob of one repository readable in another.
func (s *store) mount(from, to string, d digest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[from]
	if r == nil || !r.blobs[d] {
		return false
	}
	s.open(to).blobs[d] = true
	return true
}

func (s *store) deleteBlob(name string, d digest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[name]
	if r == nil || !r.blobs[d] {
		return false
	}
	delete(r.blobs, d)
	s.collect(d)
	return true
}

// collect forgets the content of a blob that no repository holds. mu is held.
func (s *store) collect(d digest) {
	for _, r := range s.repos {
		if r.blobs[d] {
			return
		}
	}
	delete(s.blobs, d)
}

func (s *store) putManifest(name string, tags []string, m *manifest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.open(name)
	r.manifests[m.digest] = m
	for _, t := range tags {
		r.tags[t] = m.digest
	}
}

// manifest finds a manifest by tag or digest. known says whether the
// repository exists at all.
func (s *store) manifest(name string, ref reference) (m *manifest, known bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r := s.repos[name]
	if r == nil {
		return nil, false
	}
	d := ref.digest
	if ref.tag != "" {
		d = r.tags[ref.tag]
	}
	return r.manifests[d], true
}

// missing lists which of the blobs and manifests a repository does not hold.
func (s *store) missing(name string, blobs, manifests []digest) []digest {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r := s.repos[name]
	var out []digest
	for _, d := range blobs {
		if r == nil || !r.blobs[d] {
			out = append(out, d)
		}
	}
	for _, d := range manifests {
		if r == nil || r.manifests[d] == nil {
			out = append(out, d)
		}
	}
	return out
}

// deleteManifest removes a tag alone, or a manifest with all its tags.
func (s *store) deleteManifest(name string, ref reference) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[name]
	if r == nil {
		return false
	}
	if ref.tag != "" {
		_, ok := r.tags[ref.tag]
		delete(r.tags, ref.tag)
		return ok
	}
	if r.manifests[ref.digest] == nil {
		return false
	}
	delete(r.manifests, ref.digest)
	maps.DeleteFunc(r.tags, func(_ string, d digest) bool { return d == ref.digest })
	return true
}

// tags lists a repository's tags in byte order, and whether it exists.
func (s *store) tags(name string) ([]string, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r := s.repos[name]
	if r == nil {
		return nil, false
	}
	return slices.Sorted(maps.Keys(r.tags)), true
}

// catalog lists the repositories that hold a manifest, in byte order.
func (s *store) catalog() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []string
	for name, r := range s.repos {
		if len(r.manifests) > 0 {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// manifests lists a repository's manifests by digest.
func (s *store) manifests(name string) []*manifest {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r := s.repos[name]
	if r == nil {
		return nil
	}
	out := make([]*manifest, 0, len(r.manifests))
	for _, d := range slices.Sorted(maps.Keys(r.manifests)) {
		out = append(out, r.manifests[d])
	}
	return out
}

// reseed replaces the configured images of before by those of after.
func (s *store) reseed(before, after map[string][]string) error {
	images := map[string]map[string]*testImage{}
	for name, tags := range after {
		images[name] = map[string]*testImage{}
		for _, tag := range tags {
			img, err := buildImage(name, tag)
			if err != nil {
				return err
			}
			images[name][tag] = img
		}
	}
	for name, tags := range before {
		for _, tag := range tags {
			if images[name][tag] == nil {
				s.unseed(name, tag)
			}
		}
		if _, ok := after[name]; !ok {
			s.drop(name)
		}
	}
	for name, tags := range images {
		s.mu.Lock()
		s.open(name)
		s.mu.Unlock()
		for tag, img := range tags {
			if slices.Contains(before[name], tag) {
				continue // it may have been pushed over, or deleted, since
			}
			for d, content := range img.blobs {
				s.putBlob(name, d, content)
			}
			s.putManifest(name, []string{tag}, img.manifest)
		}
	}
	return nil
}

// unseed removes a configured image, unless its tag was moved by a push.
func (s *store) unseed(name, tag string) {
	img, err := buildImage(name, tag)
	if err != nil {
		return // it was built before, so this cannot be
	}
	if m, _ := s.manifest(name, reference{tag: tag}); m != nil && m.digest == img.manifest.digest {
		s.deleteManifest(name, reference{digest: m.digest})
	}
}

// drop forgets a repository without manifests.
func (s *store) drop(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[name]
	if r == nil || len(r.manifests) > 0 {
		return
	}
	delete(s.repos, name)
	for d := range r.blobs {
		s.collect(d)
	}
}
