package lab

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/control"
)

func TestParseFaults(t *testing.T) {
	f, err := ParseFaults("good=80, slow=3,slow:2s=1,lossy:3=2,denied=1,denied:5 = 1,refuse=0")
	if err != nil {
		t.Fatal(err)
	}
	const want = "[{good 80} {slow:1.5s 3} {slow:2s 1} {lossy:3 2} {denied 1} {denied:5 1} {refuse 0}]"
	if got := fmt.Sprint(f); got != want {
		t.Errorf("read as %s, want %s", got, want)
	}
	if _, err := ParseFaults(DefaultFaults); err != nil {
		t.Errorf("the default: %v", err)
	}
}

func TestParseFaultsSaysWhatIsWrong(t *testing.T) {
	for spec, want := range map[string]string{
		"":                     "not of the form",
		"good":                 "not of the form",
		"good=1,":              "not of the form",
		"god=1":                "there are good, slow",
		"good=-1":              "weight of good",
		"good=x":               "weight of good",
		"good=1000001":         "weight of good",
		"good=0,silent=0":      "all weights are 0",
		"good=1,good=2":        "good is there twice",
		"slow=1,slow:1500ms=1": "slow:1.5s is there twice",
		"slow:5s=1":            "up to 2.5s",
		"slow:0s=1":            "up to 2.5s",
		"slow:=1":              "up to 2.5s",
		"lossy:1=1":            "2nd or 3rd",
		"lossy:x=1":            "2nd or 3rd",
		"denied:1=1":           "from 2 to 5",
		"denied:262=1":         "from 2 to 5",
		"denied:=1":            "from 2 to 5",
		"good:1=1":             "takes no parameter",
	} {
		if f, err := ParseFaults(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v, want %q", spec, f, err, want)
		}
	}
}

func TestEveryKindIsRead(t *testing.T) {
	for _, k := range Kinds() {
		if b, err := ParseBehaviour(string(k)); err != nil || b.Kind != k {
			t.Errorf("ParseBehaviour(%s) = %v, %v", k, b, err)
		}
	}
	if b, err := ParseBehaviour("slow"); err != nil || b != (Behaviour{Kind: Slow, Delay: 1500 * time.Millisecond}) {
		t.Errorf("slow: %+v, %v", b, err)
	}
}

func TestSessionsAreRead(t *testing.T) {
	for spec, want := range map[string]string{
		"auth:pap":                              "auth:pap",
		"good+auth:pap":                         "auth:pap",
		"loss:2%+mppe:40":                       "mppe:40+loss:2",
		"slow:1s+login-refused":                 "slow:1s+login-refused:691",
		"lossy+no-internet":                     "lossy:2+no-internet",
		"rate:20M/5M":                           "rate:20M/5M",
		"rate:1500k":                            "rate:1500k",
		"rate:1G+latency:40ms":                  "latency:40ms+rate:1G",
		"reset":                                 "reset",
		"reset:unread":                          "reset:unread",
		"close":                                 "close:request",
		"close:accept":                          "close:accept",
		"ends-at:login:cdn:3":                   "ends-at:login:cdn:3",
		"ends-at:lcp:cdn:2/4":                   "ends-at:lcp:cdn:2/4",
		"ends-at:call:cdn:2/0/34+ends-after:1s": "ends-at:call:cdn:2/0/34+ends-after:1s",
		"ends-at:ccp:stop:3":                    "ends-at:ccp:stop:3",
		"ends-at:ip:reset+vendor:pptpd":         "vendor:pptpd+ends-at:ip:reset",
		"ends-at:ip:terminate":                  "ends-at:ip:terminate",
		"ends-at:after-login:terminate:until_18:00": "ends-at:after-login:terminate:until_18:00",
		"wrong-keys:send+loss-up:40":                "wrong-keys:send+loss-up:40",
		"mppe:none+mppe-required":                   "mppe:none+mppe-required",
		"in-order+offers:pap/mschapv2":              "offers:pap/mschapv2+in-order",
		"terminate:Too_many_users+dies:1m30s":       "terminate:Too_many_users+dies:1m30s",
		"mppe-required+wrong-keys+corrupt:0.5":      "mppe-required+wrong-keys+corrupt:0.5",
		"call:dropped+gre:deaf+nak:ipcp+no-dns":     "call:dropped+gre:deaf+nak:ipcp+no-dns",
		"impostor+ends:2s+swapped-cdn+reply:5ms":    "impostor+ends:2s+swapped-cdn+reply:5ms",
	} {
		b, err := ParseBehaviour(spec)
		if err != nil || b.String() != want {
			t.Errorf("%s is read as %v, %v, want %s", spec, b, err, want)
		}
		if again, err := ParseBehaviour(b.String()); err != nil || again != b {
			t.Errorf("%s is read again as %v, %v", b, again, err)
		}
	}
}

// badBehaviours are invalid specs and a part of their error.
var badBehaviours = map[string]string{
	"silent+auth:pap":              "has no sessions",
	"good+ssh":                     "no ssh in a session",
	"auth:pap+nothing":             "no nothing in a session",
	"auth:pap+auth:eap":            "auth is there twice",
	"auth:kerberos":                "one of none, pap",
	"impostor:1":                   "takes no parameter",
	"loss:0":                       "up to 45 %",
	"loss:46":                      "up to 45 %",
	"loss:NaN":                     "up to 45 %",
	"corrupt:21":                   "up to 20 %",
	"dies:-1s":                     "a time up to 24h",
	"reply:2s":                     "a time up to 1s",
	"login-refused:0":              "1 to 65535",
	"login-refused:70000":          "1 to 65535",
	"rate:1":                       "bits per second",
	"rate:10M/":                    "bits per second",
	"rate:999999999999G":           "bits per second",
	"terminate:":                   "a text",
	"close:unread":                 "accept or request",
	"reset:later":                  "accept or request",
	"reset:":                       "accept or request",
	"latency:3s":                   "a time up to 2.5s",
	"begins:31s":                   "a time up to 30s",
	"offers:pap/kerberos":          "logins with slashes",
	"offers:pap/pap":               "logins with slashes",
	"offers:":                      "logins with slashes",
	"offers:pap+auth:pap":          "offers are several",
	"in-order":                     "about offers",
	"ends-after:1s":                "about ends-at",
	"ends-at:lcp":                  "a stage",
	"ends-at:dhcp:closed":          "a stage",
	"ends-at:lcp:closed:1":         "a stage",
	"ends-at:lcp:cdn":              "a stage",
	"ends-at:lcp:cdn:0":            "a stage",
	"ends-at:lcp:cdn:5":            "a stage",
	"ends-at:lcp:cdn:2/7":          "a stage",
	"ends-at:lcp:cdn:2/4/256":      "a stage",
	"ends-at:lcp:cdn:2/4/34/1":     "a stage",
	"ends-at:lcp:stop:4":           "a stage",
	"ends-at:lcp:stop":             "a stage",
	"ends-at:lcp:terminate:":       "a stage",
	"ends-at:call:terminate":       "a stage",
	"wrong-keys:left":              "one of send",
	"ccp:nak+ends-at:ccp:closed":   "where it asks",
	"mppe:none+ends-at:ccp:closed": "where it asks",
	"mppe-required+ccp:nak":        "agrees on it",
	"mppe-required+nak:ccp":        "agrees on it",
	"nak:lcp+lcp:silent":           "two faults",
	"nak:ccp+ccp:silent":           "two faults",
	"nak:ipcp+ip:silent":           "two faults",
	"offers:eap/pap+login-refused": "nobody is refused",
	"auth:none+login-refused":      "nobody is refused",
	"auth:pap+impostor":            "prove itself",
	"gre":                          "one of silent",
	"auth:pap+login-refused:x":     "1 to 65535",
}

func TestParseBehaviourSaysWhatIsWrong(t *testing.T) {
	for spec, want := range badBehaviours {
		if b, err := ParseBehaviour(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v, want %q", spec, b, err, want)
		}
	}
}

// No word of a spec is ambiguous.
func TestWordsAreDistinct(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Kinds() {
		seen[string(k)] = true
	}
	for _, tr := range traits {
		if seen[tr.name] {
			t.Errorf("%s is there twice", tr.name)
		}
		seen[tr.name] = true
	}
}

func TestDealIsExact(t *testing.T) {
	f, err := ParseFaults("good=80,silent=15,denied=5")
	if err != nil {
		t.Fatal(err)
	}
	for n := range 300 {
		got := map[Kind]int{}
		for _, b := range f.assignTo(n, rand.New(rand.NewPCG(1, 2))) {
			got[b.Kind]++
			if b.Kind == Denied && (b.Result < control.StartGeneralError || b.Result > control.StartVersion) {
				t.Fatalf("denied with result %d", b.Result)
			}
		}
		sum := 0
		for kind, weight := range map[Kind]int{Good: 80, Silent: 15, Denied: 5} {
			sum += got[kind]
			if d := got[kind]*100 - n*weight; d <= -100 || d >= 100 {
				t.Errorf("%d servers: %d are %s", n, got[kind], kind)
			}
		}
		if sum != n {
			t.Errorf("%d servers: dealt %d", n, sum)
		}
	}
}
