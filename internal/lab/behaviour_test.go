package lab

import (
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
	const want = "good=80,slow:1.5s=3,slow:2s=1,lossy:3=2,denied=1,denied:5=1,refuse=0"
	if f.String() != want {
		t.Errorf("read as %v, want %v", f, want)
	}
	if again, err := ParseFaults(f.String()); err != nil || again.String() != want {
		t.Errorf("read again as %v, %v", again, err)
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

func TestDealIsExact(t *testing.T) {
	f, err := ParseFaults("good=80,silent=15,denied=5")
	if err != nil {
		t.Fatal(err)
	}
	for n := range 300 {
		got := map[Kind]int{}
		for _, b := range f.deal(n, rand.New(rand.NewPCG(1, 2))) {
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
