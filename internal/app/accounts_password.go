package app

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// cost is the cost of one argon2id computation (RFC 9106).
type cost struct {
	memory uint32 // KiB
	passes uint32
	lanes  uint8
}

// usualCost is the cost of new hashes: 19 MiB and two passes, the first choice of OWASP
// for hosts with little memory. Stored hashes carry their own cost.
var usualCost = cost{memory: 19 * 1024, passes: 2, lanes: 1}

const (
	saltBytes = 16
	keyBytes  = 32
)

var base64s = base64.RawStdEncoding.Strict()

// phc is a password hash in the PHC string format:
// $argon2id$v=19$m=19456,t=2,p=1$SALT$HASH.
type phc struct {
	cost
	salt, key []byte
}

func (h phc) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.passes, h.lanes,
		base64s.EncodeToString(h.salt), base64s.EncodeToString(h.key))
}

var errPHC = errors.New("not an argon2id hash in PHC form")

// parsePHC parses a hash. Its bounds keep a damaged row from taking all memory.
func parsePHC(s string) (phc, error) {
	f := strings.Split(s, "$")
	if len(f) != 6 || f[0] != "" || f[1] != "argon2id" || f[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return phc{}, errPHC
	}
	var h phc
	if _, err := fmt.Sscanf(f[3], "m=%d,t=%d,p=%d", &h.memory, &h.passes, &h.lanes); err != nil {
		return phc{}, fmt.Errorf("%w: %w", errPHC, err)
	}
	if h.memory < 8 || h.memory > 1<<20 || h.passes < 1 || h.passes > 64 || h.lanes < 1 {
		return phc{}, fmt.Errorf("%w: cost out of bounds", errPHC)
	}
	var err error
	if h.salt, err = base64s.DecodeString(f[4]); err != nil {
		return phc{}, fmt.Errorf("%w: %w", errPHC, err)
	}
	if h.key, err = base64s.DecodeString(f[5]); err != nil {
		return phc{}, fmt.Errorf("%w: %w", errPHC, err)
	}
	if len(h.salt) < 8 || len(h.key) < 16 || h.String() != s {
		return phc{}, errPHC
	}
	return h, nil
}

func (h phc) computeHash(password connexa.Secret) []byte {
	n := keyBytes
	if len(h.key) > 0 {
		n = len(h.key)
	}
	return argon2.IDKey([]byte(password.Reveal()), h.salt, h.passes, h.memory, h.lanes, uint32(n))
}

// passwords hashes and compares passwords, a few at a time, because each computation
// takes megabytes and a core and anybody may request one. Known browsers have their own
// queue, because unknown ones can keep theirs full.
type passwords struct {
	cost             cost
	strangers, known queue
}

// queue limits the computations of one kind of browser.
type queue struct {
	slots   chan struct{} // working or waiting
	working chan struct{} // working
}

func newQueue(atOnce int) queue {
	return queue{slots: make(chan struct{}, atOnce+hashesQueued), working: make(chan struct{}, atOnce)}
}

const (
	hashesAtOnce      = 2 // of unknown browsers
	hashesAtOnceKnown = 1
	hashesQueued      = 8
	hashesWait        = 5 * time.Second
)

func newPasswords(c cost) *passwords {
	return &passwords{cost: c, strangers: newQueue(hashesAtOnce), known: newQueue(hashesAtOnceKnown)}
}

// acquireSlot waits for a slot. If the queue is full or the wait too long for a person,
// the error is Busy. The caller must call leave.
func (p *passwords) acquireSlot(ctx context.Context, known bool) (leave func(), err error) {
	q := p.strangers
	if known {
		q = p.known
	}
	busy := connexa.Errorf(connexa.Busy, "login.busy")
	select {
	case q.slots <- struct{}{}:
	default:
		return nil, busy
	}
	timer := time.NewTimer(hashesWait)
	defer timer.Stop()
	select {
	case q.working <- struct{}{}:
		return func() { <-q.working; <-q.slots }, nil
	case <-timer.C:
		err = busy
	case <-ctx.Done():
		err = fmt.Errorf("wait for a turn to check a password: %w", ctx.Err())
	}
	<-q.slots
	return nil, err
}

// hashPassword returns the PHC string of a password. known selects the queue of known
// browsers.
func (p *passwords) hashPassword(ctx context.Context, password connexa.Secret, known bool) (string, error) {
	leave, err := p.acquireSlot(ctx, known)
	if err != nil {
		return "", err
	}
	defer leave()
	h := phc{cost: p.cost, salt: make([]byte, saltBytes)}
	rand.Read(h.salt)
	h.key = h.computeHash(password)
	return h.String(), nil
}

// matchPassword reports whether hash is the hash of password. For the hash "" of a
// missing account it takes the same time and returns false.
func (p *passwords) matchPassword(ctx context.Context, hash string, password connexa.Secret, known bool) (bool, error) {
	h := phc{cost: p.cost, salt: make([]byte, saltBytes), key: make([]byte, keyBytes)}
	if hash == "" {
		rand.Read(h.key)
	} else {
		var err error
		if h, err = parsePHC(hash); err != nil {
			return false, fmt.Errorf("check a password: %w", err)
		}
	}
	leave, err := p.acquireSlot(ctx, known)
	if err != nil {
		return false, err
	}
	defer leave()
	return subtle.ConstantTimeCompare(h.computeHash(password), h.key) == 1 && hash != "", nil
}

// randomPassword returns 20 letters and digits that are not confused when read aloud,
// in groups of five: 98 bits.
func randomPassword() connexa.Secret {
	const alphabet = "abcdefghjkmnpqrstuvwxyz23456789" // 31
	var b strings.Builder
	for one := make([]byte, 1); b.Len() < 23; {
		rand.Read(one)
		if n := int(one[0]); n < 248 { // 8 × 31: all letters are equally likely
			if b.Len()%6 == 5 {
				b.WriteByte('-')
			}
			b.WriteByte(alphabet[n%len(alphabet)])
		}
	}
	return connexa.Secret(b.String())
}
