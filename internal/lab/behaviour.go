package lab

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/control"
)

// Kind is the kind of a server's behaviour.
type Kind string

// The kinds of servers.
const (
	Good    Kind = "good"    // answers at once
	Slow    Kind = "slow"    // answers after Behaviour.Delay
	Lossy   Kind = "lossy"   // answers every Behaviour.Every-th connection and ignores the others
	Refuse  Kind = "refuse"  // has no listener: TCP is refused
	Silent  Kind = "silent"  // accepts connections and sends nothing
	Garbage Kind = "garbage" // answers with bytes of another protocol
	Half    Kind = "half"    // sends half a reply and then nothing
	SSH     Kind = "ssh"     // sends the greeting of an SSH server
	Denied  Kind = "denied"  // refuses the control connection with Behaviour.Result
	Reset   Kind = "reset"   // resets the connection at Behaviour.When, by default in the middle of its reply
	Close   Kind = "close"   // closes the connection at Behaviour.When
	Drip    Kind = "drip"    // sends its reply a byte a second
)

// Moment is when a server ends a connection without an answer.
type Moment string

// The moments.
const (
	AtAccept Moment = "accept"  // as soon as it is accepted
	Unread   Moment = "unread"  // when a request arrives, which stays unread, as in accel-ppp at its limit
	Request  Moment = "request" // when the request was read
)

// Kinds lists every kind.
func Kinds() []Kind {
	return []Kind{Good, Slow, Lossy, Refuse, Silent, Garbage, Half, SSH, Denied, Reset, Close, Drip}
}

// Behaviour is a kind with its parameter, and the behaviour in sessions for
// those kinds that have sessions. The zero value is a good server.
type Behaviour struct {
	Kind    Kind
	Delay   time.Duration       // Slow: how long each answer takes
	Every   int                 // Lossy: 2 or 3
	Result  control.StartResult // Denied: 2 to 5
	When    Moment              // Reset, Close
	Session Session             // Good, Slow, Lossy
}

// Limits that keep Expect true: a client that pings three times, first with a timeout of
// 3 s, must get an answer from a slow or a lossy server.
const (
	maxDelay     = 2500 * time.Millisecond
	defaultDelay = 1500 * time.Millisecond
	maxEvery     = 3
	defaultEvery = 2
)

// ParseBehaviour parses what String returns: a kind, alone or with its parameter
// after a colon, as in "silent", "slow:2s", "lossy:3" and "denied:4". By default a
// slow server takes 1.5 s, a lossy server answers every second time, the fleet's seed
// chooses the result of a denied one, and a server that closes does so after it has
// read the request.
//
// Plus signs join the traits of a session, with or without a kind before
// them: "login-refused:691", "auth:pap+loss:2", "slow:1s+mppe:40+no-internet". The
// words correspond to the fields of Session.
func ParseBehaviour(s string) (Behaviour, error) {
	words := strings.Split(s, "+")
	if b, known, err := parseSession(Behaviour{Kind: Good}, words); known {
		return b, err
	}
	b, err := parseKind(words[0])
	if err != nil || len(words) == 1 {
		return b, err
	}
	if b.Kind != Good && b.Kind != Slow && b.Kind != Lossy {
		return Behaviour{}, fmt.Errorf("%q: a server that is %s has no sessions", s, b.Kind)
	}
	b, known, err := parseSession(b, words[1:])
	if !known {
		err = fmt.Errorf("%q: there is no %s in a session; there are %s", s, words[1], joinTraits())
	}
	return b, err
}

// parseSession adds words to b. known is false if the first word is not a trait of a
// session.
func parseSession(b Behaviour, words []string) (_ Behaviour, known bool, err error) {
	for i, w := range words {
		switch is, err := b.Session.parseTrait(w); {
		case err != nil:
			return Behaviour{}, true, err
		case !is && i == 0:
			return Behaviour{}, false, nil
		case !is:
			return Behaviour{}, true, fmt.Errorf("there is no %s in a session; there are %s", w, joinTraits())
		}
	}
	return b, true, b.Session.validate()
}

func joinTraits() string {
	var names []string
	for _, t := range traits {
		names = append(names, t.name)
	}
	return strings.Join(names, ", ")
}

func parseKind(s string) (Behaviour, error) {
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
	case Reset, Close:
		b.When = Moment(param)
		if b.Kind == Close && !has {
			b.When = Request
		}
		if has && b.When != AtAccept && b.When != Request && (b.When != Unread || b.Kind == Close) {
			return Behaviour{}, fmt.Errorf("%q: a connection ends at accept or request, or is reset at unread, as in reset:unread", s)
		}
	case Good, Refuse, Silent, Garbage, Half, SSH, Drip:
		if has {
			return Behaviour{}, fmt.Errorf("%q: %s takes no parameter", s, name)
		}
	default:
		return Behaviour{}, fmt.Errorf("%q is no behaviour; there are %s, and for sessions %s", s, joinKinds(), joinTraits())
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

// String returns the behaviour in the form that ParseBehaviour parses.
func (b Behaviour) String() string {
	kind, session := b.kindString(), b.Session.String()
	switch {
	case session == "":
		return kind
	case kind == string(Good):
		return session
	}
	return kind + "+" + session
}

func (b Behaviour) kindString() string {
	switch {
	case b.Kind == "":
		return string(Good)
	case b.Kind == Slow:
		return fmt.Sprintf("%s:%v", b.Kind, b.Delay)
	case b.Kind == Lossy:
		return fmt.Sprintf("%s:%d", b.Kind, b.Every)
	case b.Kind == Denied && b.Result != 0:
		return fmt.Sprintf("%s:%d", b.Kind, uint8(b.Result))
	case (b.Kind == Reset || b.Kind == Close) && b.When != "":
		return fmt.Sprintf("%s:%s", b.Kind, b.When)
	}
	return string(b.Kind)
}
