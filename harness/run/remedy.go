package run

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/acrlab/acrlab/diagnosis"
	"github.com/acrlab/acrlab/harness/az"
	"github.com/acrlab/acrlab/harness/verdict"
)

// refused is a remedy that could not be carried out as its diagnoser wrote it.
type refused struct{ reason string }

func (r refused) Error() string { return r.reason }

// carryOut executes remedies in order: by az as they are printed where that is
// asked for and possible, else by their changes. The error is [refused] when
// the remedy is to blame.
func (r *scenario) carryOut(ctx context.Context, remedies []diagnosis.Remedy) (verdict.Healing, error) {
	var as *az.Session
	how := verdict.Healing{By: verdict.ByAZ}
	byChanges := func(because string) {
		how.By = verdict.ByChanges
		if r.o.AZ != nil && how.Because == "" {
			how.Because = because
		}
	}
	for _, remedy := range remedies {
		because := r.notByAZ(remedy)
		if because == "" && as == nil {
			var err error
			as, how.Resolver, err = r.signIn(ctx)
			if failed, ok := errors.AsType[*az.SignInError](err); ok {
				as, because = nil, failed.Error()
			} else if err != nil {
				return how, err
			}
		}
		if because != "" {
			byChanges(because)
			if err := r.world.Apply(ctx, remedy.Changes); err != nil {
				return how, refused{err.Error()}
			}
			continue
		}
		for _, command := range remedy.Commands {
			res, err := as.Shell(ctx, command)
			if err != nil {
				return how, err
			}
			if res.ExitCode != 0 {
				return how, refused{fmt.Sprintf("%s exits %d: %s", command, res.ExitCode, res.Message())}
			}
		}
	}
	return how, nil
}

// publicResolver is what an administrator sets who cannot use the client's own.
// https://developers.google.com/speed/public-dns/docs/using
var publicResolver = netip.MustParseAddr("8.8.8.8")

// signIn signs az in on the client, and where that fails, once more past the
// client's resolver: the remedy may be for that one. It names the resolver used
// instead, if any. The error of the first try stands for both.
func (r *scenario) signIn(ctx context.Context) (*az.Session, string, error) {
	s := &az.Session{CLI: r.o.AZ, World: r.world.World, Host: r.world.Network().Client,
		// Answers of simulated servers take milliseconds, so one try of 2 s tells.
		Environment: map[string]string{"RES_OPTIONS": "timeout:2 attempts:1"}}
	first := s.Login(ctx, r.world.AzureCredentials())
	if _, ok := errors.AsType[*az.SignInError](first); !ok {
		return s, "", first
	}
	s.Resolver = publicResolver
	switch err := s.Login(ctx, r.world.AzureCredentials()); {
	case err == nil:
		return s, publicResolver.String(), nil
	case ctx.Err() != nil:
		return nil, "", err
	}
	return nil, "", first
}

// notByAZ says why a remedy is none for az; empty when it is. What is asked of
// the owner of a firewall, or done to the environment of the client, is not
// Azure's to do.
func (r *scenario) notByAZ(remedy diagnosis.Remedy) string {
	if r.o.AZ == nil {
		return "az is not used"
	}
	inARM := func(c diagnosis.Change) bool { return c.ARM != nil }
	isAZ := func(c string) bool { return strings.HasPrefix(c, "az ") }
	if len(remedy.Commands) == 0 || !all(remedy.Commands, isAZ) || !all(remedy.Changes, inARM) {
		return "the remedy is not made of az commands"
	}
	for _, c := range remedy.Commands {
		if err := r.o.AZ.Can(c); err != nil {
			return err.Error()
		}
	}
	return ""
}

func all[T any](list []T, is func(T) bool) bool {
	return !slices.ContainsFunc(list, func(x T) bool { return !is(x) })
}
