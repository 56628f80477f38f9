package app

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// light is the cost of cheap hashes.
var light = cost{memory: 64, passes: 1, lanes: 1}

func TestPasswords(t *testing.T) {
	p := newPasswords(light)
	hash, err := p.hashPassword(t.Context(), "Blue-Kite-7", false)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=64,t=1,p=1$") || strings.Contains(hash, "Blue") {
		t.Errorf("hash %s", hash)
	}
	if other, err := p.hashPassword(t.Context(), "Blue-Kite-7", false); err != nil || other == hash {
		t.Errorf("no salt: %v", err)
	}
	for password, want := range map[connexa.Secret]bool{"Blue-Kite-7": true, "blue-kite-7": false, "": false} {
		if got, err := p.matchPassword(t.Context(), hash, password, false); err != nil || got != want {
			t.Errorf("%t, %v, want %t", got, err, want)
		}
	}
	if got, err := p.matchPassword(t.Context(), "", "", false); err != nil || got {
		t.Errorf("nobody's password is %t, %v", got, err)
	}
}

// TestAnotherProgramsHash checks a hash of the tests of the reference implementation
// (phc-winner-argon2, src/test.c).
func TestAnotherProgramsHash(t *testing.T) {
	const hash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	p := newPasswords(light)
	for password, want := range map[connexa.Secret]bool{"password": true, "passwore": false} {
		if got, err := p.matchPassword(t.Context(), hash, password, false); err != nil || got != want {
			t.Errorf("%t, %v, want %t", got, err, want)
		}
	}
}

func TestHashesOfOtherCostsStillMatch(t *testing.T) {
	old := newPasswords(cost{memory: 128, passes: 3, lanes: 2})
	hash, err := old.hashPassword(t.Context(), "x", false)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := newPasswords(light).matchPassword(t.Context(), hash, "x", false); err != nil || !ok {
		t.Error(ok, err)
	}
}

func TestBadHashes(t *testing.T) {
	good := phc{cost: light, salt: make([]byte, 16), key: make([]byte, 32)}.String()
	if _, err := parsePHC(good); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		if _, err := parsePHC(good[:i]); err == nil && i < len(good)-22 {
			t.Errorf("the first %d bytes are a hash", i)
		}
	}
	for name, s := range map[string]string{
		"another function": strings.Replace(good, "argon2id", "argon2i", 1),
		"another version":  strings.Replace(good, "v=19", "v=16", 1),
		"all memory":       strings.Replace(good, "m=64", "m=4294967295", 1),
		"no passes":        strings.Replace(good, "t=1", "t=0", 1),
		"no lanes":         strings.Replace(good, "p=1", "p=0", 1),
		"something after":  good + "$x",
		"bad base64":       strings.Replace(good, "AAAA", "A!AA", 1),
	} {
		if _, err := parsePHC(s); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := newPasswords(light).matchPassword(t.Context(), "plain", "plain", false); err == nil {
		t.Error("a plain password is no hash")
	}
}

func TestAFewComputationsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPasswords(light)
		var leave []func()
		for range hashesAtOnce {
			l, err := p.acquireSlot(t.Context(), false)
			if err != nil {
				t.Fatal(err)
			}
			leave = append(leave, l)
		}
		waited := make(chan error)
		for range hashesQueued {
			go func() {
				l, err := p.acquireSlot(t.Context(), false)
				if err == nil {
					l()
				}
				waited <- err
			}()
		}
		synctest.Wait()
		if _, err := p.acquireSlot(t.Context(), false); connexa.CodeOf(err) != connexa.Busy {
			t.Errorf("the queue is full: %v", err)
		}
		leave[0]() // one place is free: the queue moves through it
		for range hashesQueued {
			if err := <-waited; err != nil {
				t.Error(err)
			}
		}
		l, err := p.acquireSlot(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		// No slot becomes free: waiting fails in time.
		start := time.Now()
		if _, err := p.acquireSlot(t.Context(), false); connexa.CodeOf(err) != connexa.Busy || time.Since(start) != hashesWait {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := p.acquireSlot(ctx, false); err == nil {
			t.Error("a reader who left got a turn")
		}
		l()
		leave[1]()
		if len(p.strangers.slots)+len(p.strangers.working) != 0 {
			t.Errorf("%d seats and %d desks are not given back", len(p.strangers.slots), len(p.strangers.working))
		}
	})
}

func TestRandomPasswords(t *testing.T) {
	form := regexp.MustCompile(`^([a-hjkmnp-z2-9]{5}-){3}[a-hjkmnp-z2-9]{5}$`)
	seen := map[connexa.Secret]bool{}
	for range 200 {
		p := randomPassword()
		if seen[p] || !form.MatchString(p.Reveal()) {
			t.Fatalf("password %q", p.Reveal())
		}
		seen[p] = true
	}
}
