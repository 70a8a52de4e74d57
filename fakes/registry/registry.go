package registry

import (
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Registry is one registry: its content, keys and rules, shared by all fronts
// that serve it. It is safe for concurrent use.
type Registry struct {
	cfg       atomic.Pointer[Config]
	store     *store
	signer    *signer
	sasKey    []byte // signs links to blobs, see sas.go
	entraKeys func(kid string) (crypto.PublicKey, error)
	now       func() time.Time
	events    EventSink // nil: none is told

	update sync.Mutex // one Update at a time
}

// Option changes how a registry is made.
type Option func(*Registry)

// WithEntraKeys says which keys sign Entra's tokens, by key id. Without it no
// token is exchanged at /oauth2/exchange.
func WithEntraKeys(keys func(kid string) (crypto.PublicKey, error)) Option {
	return func(r *Registry) { r.entraKeys = keys }
}

// WithClock replaces the clock that tokens and links expire by.
func WithClock(now func() time.Time) Option {
	return func(r *Registry) { r.now = now }
}

// New makes a registry that holds the configured images. Repositories nil
// means hello-world:latest.
func New(cfg Config, opts ...Option) (*Registry, error) {
	r := &Registry{store: newStore(), now: time.Now, sasKey: make([]byte, 32)}
	if _, err := rand.Read(r.sasKey); err != nil {
		return nil, fmt.Errorf("making the storage key of registry %q: %w", cfg.Name, err)
	}
	for _, o := range opts {
		o(r)
	}
	s, err := newSigner()
	if err != nil {
		return nil, fmt.Errorf("making registry %q: %w", cfg.Name, err)
	}
	r.signer = s
	if err := r.Update(cfg); err != nil {
		return nil, err
	}
	return r, nil
}

// Update takes a new configuration while the registry serves. Images that the
// configuration names no longer are removed; images that clients pushed stay.
// Tokens and links that were handed out before keep their validity.
func (r *Registry) Update(cfg Config) error {
	cfg, err := normalize(cfg)
	if err != nil {
		return fmt.Errorf("configuring registry %q: %w", cfg.Name, err)
	}
	r.update.Lock()
	defer r.update.Unlock()
	var before map[string][]string
	if old := r.cfg.Load(); old != nil {
		before = old.Repositories
	}
	if err := r.store.reseed(before, cfg.Repositories); err != nil {
		return fmt.Errorf("filling registry %q: %w", cfg.Name, err)
	}
	r.cfg.Store(&cfg)
	return nil
}

// Handler serves one front without sockets. The client's address is taken from
// Request.RemoteAddr, the name it asks for from Request.Host.
func (r *Registry) Handler(front Front) http.Handler {
	front = front.normalize()
	return &handler{reg: r, front: func() Front { return front }}
}

func (r *Registry) config() *Config { return r.cfg.Load() }

// normalize fills defaults in and refuses what cannot be served.
func normalize(cfg Config) (Config, error) {
	if cfg.Name == "" {
		return cfg, errors.New("the registry has no name")
	}
	if cfg.LoginServer == "" {
		cfg.LoginServer = cfg.Name + ".azurecr.io"
	}
	cfg.LoginServer = strings.ToLower(cfg.LoginServer)
	if len(cfg.Regions) == 0 {
		return cfg, errors.New("the registry has no region")
	}
	for _, g := range cfg.Regions {
		if g.Name == "" {
			return cfg, errors.New("a region has no name")
		}
		if g.Storage == "" && !cfg.DataEndpoints {
			return cfg, fmt.Errorf("region %q has no storage account, and data endpoints are off", g.Name)
		}
	}
	if cfg.Repositories == nil {
		cfg.Repositories = map[string][]string{"hello-world": {"latest"}}
	}
	for name, tags := range cfg.Repositories {
		if !validName(name) {
			return cfg, fmt.Errorf("%q is not a repository name", name)
		}
		for _, tag := range tags {
			if !validTag(tag) {
				return cfg, fmt.Errorf("%q in repository %q is not a tag", tag, name)
			}
		}
	}
	return cfg, nil
}

// region is the configured region of a front, the home region for an unknown name.
func (c *Config) region(name string) Region {
	if i := slices.IndexFunc(c.Regions, func(g Region) bool { return g.Name == name }); i >= 0 {
		return c.Regions[i]
	}
	return c.Regions[0]
}

// dataEndpoint is the dedicated data endpoint of a region:
// https://learn.microsoft.com/azure/container-registry/container-registry-dedicated-data-endpoints
func (c *Config) dataEndpoint(region string) string {
	label, suffix, _ := strings.Cut(c.LoginServer, ".")
	return label + "." + region + ".data." + suffix
}

// Allows says whether the registry's network rules let an address in.
func (a Access) Allows(addr netip.Addr) bool {
	if a.Default {
		return true
	}
	addr = addr.Unmap()
	return slices.ContainsFunc(a.Allow, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// normalize makes the server names lower case, as host names compare.
func (f Front) normalize() Front {
	roles := make(map[string]Role, len(f.Roles))
	for name, role := range f.Roles {
		roles[strings.ToLower(strings.TrimSuffix(name, "."))] = role
	}
	f.Roles = roles
	return f
}
