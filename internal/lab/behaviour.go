package lab

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/control"
)

// Kind is a way in which a server behaves.
type Kind string

// The kinds of servers.
const (
	Good    Kind = "good"    // answers at once
	Slow    Kind = "slow"    // answers after Behaviour.Delay
	Lossy   Kind = "lossy"   // answers every Behaviour.Every-th connection and is silent in the others
	Refuse  Kind = "refuse"  // has no listener: TCP is refused
	Silent  Kind = "silent"  // accepts and says nothing
	Garbage Kind = "garbage" // answers with bytes of another protocol
	Half    Kind = "half"    // sends half a reply and then nothing
	SSH     Kind = "ssh"     // greets as an SSH server
	Denied  Kind = "denied"  // refuses the control connection with Behaviour.Result
	Reset   Kind = "reset"   // resets the connection in the middle of its reply
	Drip    Kind = "drip"    // sends its reply a byte a second
)

// Kinds lists every kind.
func Kinds() []Kind {
	return []Kind{Good, Slow, Lossy, Refuse, Silent, Garbage, Half, SSH, Denied, Reset, Drip}
}

// Behaviour is a kind with its parameter. The zero value is a good server.
type Behaviour struct {
	Kind   Kind
	Delay  time.Duration       // Slow: how long each answer takes
	Every  int                 // Lossy: 2 or 3
	Result control.StartResult // Denied: 2 to 5
}

// Limits that keep Expect true: who pings three times, for 3 s at first, must
// get an answer from a slow or a lossy server.
const (
	maxDelay     = 2500 * time.Millisecond
	defaultDelay = 1500 * time.Millisecond
	maxEvery     = 3
	defaultEvery = 2
)

// ParseBehaviour reads what String writes: a kind, alone or with its parameter
// behind a colon, as in "silent", "slow:2s", "lossy:3" and "denied:4". Without
// one, a slow server takes 1.5 s, a lossy server answers every second time, and
// a denied one leaves the choice of the result to the fleet's seed.
func ParseBehaviour(s string) (Behaviour, error) {
	name, param, has := strings.Cut(s, ":")
	b := Behaviour{Kind: Kind(name)}
	var err error
	switch b.Kind {
	case Slow:
		b.Delay = defaultDelay
		if has {
			b.Delay, err = time.ParseDuration(param)
		}
		if err != nil || b.Delay <= 0 || b.Delay > maxDelay {
			return Behaviour{}, fmt.Errorf("%q: a slow server takes a time up to %v, as in slow:2s", s, maxDelay)
		}
	case Lossy:
		b.Every = defaultEvery
		if has {
			b.Every, err = strconv.Atoi(param)
		}
		if err != nil || b.Every < 2 || b.Every > maxEvery {
			return Behaviour{}, fmt.Errorf("%q: a lossy server answers every 2nd or 3rd connection, as in lossy:3", s)
		}
	case Denied:
		var n int
		if has {
			n, err = strconv.Atoi(param)
			b.Result = control.StartResult(n)
		}
		if err != nil || has && (n < int(control.StartGeneralError) || n > int(control.StartVersion)) {
			return Behaviour{}, fmt.Errorf("%q: a denied connection gets a result from 2 to 5, as in denied:4", s)
		}
	case Good, Refuse, Silent, Garbage, Half, SSH, Reset, Drip:
		if has {
			return Behaviour{}, fmt.Errorf("%q: %s takes no parameter", s, name)
		}
	default:
		return Behaviour{}, fmt.Errorf("%q is no behaviour; there are %s", s, joinKinds())
	}
	return b, nil
}

func joinKinds() string {
	var names []string
	for _, k := range Kinds() {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

// String is the behaviour as ParseBehaviour reads it.
func (b Behaviour) String() string {
	switch {
	case b.Kind == "":
		return string(Good)
	case b.Kind == Slow:
		return fmt.Sprintf("%s:%v", b.Kind, b.Delay)
	case b.Kind == Lossy:
		return fmt.Sprintf("%s:%d", b.Kind, b.Every)
	case b.Kind == Denied && b.Result != 0:
		return fmt.Sprintf("%s:%d", b.Kind, uint8(b.Result))
	}
	return string(b.Kind)
}

// Expect is what an honest ping finds out about a server.
type Expect struct {
	Status string // "ping_ok" or "ping_failed"
	Cause  string // the failing step, a dot and a code; empty when all is well
}

// Expect says what a ping that makes three attempts deserves to find.
func (b Behaviour) Expect() Expect {
	switch b.Kind {
	case Refuse:
		return Expect{"ping_failed", "tcp.refused"}
	case Silent:
		return Expect{"ping_failed", "control.timeout"}
	case Garbage, SSH:
		return Expect{"ping_failed", "control.not_pptp"}
	case Half, Drip:
		return Expect{"ping_failed", "control.half"}
	case Reset:
		return Expect{"ping_failed", "control.reset"}
	case Denied:
		switch {
		case b.Result.Answers():
		case b.Result == control.StartVersion:
			return Expect{"ping_failed", "control.version"}
		default:
			return Expect{"ping_failed", "control.rejected"}
		}
	case Good, Slow, Lossy:
	}
	return Expect{Status: "ping_ok"}
}
