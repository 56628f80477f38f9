package views

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rsc.io/qr"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// TestQRCodeIsWhatWasEncoded holds the drawing against the code, module by module.
func TestQRCodeIsWhatWasEncoded(t *testing.T) {
	const text = "socks5://exit-7:MNRH5ZEWAL72YA4N536263756V@proxy.example.net:20007"
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	drawn := map[[2]int]bool{}
	for part := range strings.SplitSeq(strings.TrimSuffix(qrCode(text).path, "z"), "z") {
		var x, y, width, back int
		if _, err := fmt.Sscanf(part, "M%d %dh%dv1h-%d", &x, &y, &width, &back); err != nil || width != back {
			t.Fatalf("%q: %v", part, err)
		}
		for i := range width {
			drawn[[2]int{x + i - qrMargin, y - qrMargin}] = true
		}
	}
	for y := range code.Size {
		for x := range code.Size {
			if drawn[[2]int{x, y}] != code.Black(x, y) {
				t.Fatalf("the module %d, %d is drawn wrong", x, y)
			}
		}
	}
	if long := qrCode(strings.Repeat("x", 5000)); long.path != "" {
		t.Error("a text that is too long has a code")
	}
}

func TestServiceLinesQuoteWhatTheyMust(t *testing.T) {
	a := ServiceAccess{Host: "2001:db8::7", Port: 20007, User: "a:b", Password: "p@ss/word"}
	for format, want := range map[connexa.ServiceFormat]string{
		connexa.FormatSOCKS5:   "socks5://a%3Ab:p%40ss%2Fword@[2001:db8::7]:20007",
		connexa.FormatHTTP:     "http://a%3Ab:p%40ss%2Fword@[2001:db8::7]:20007",
		connexa.FormatHostPort: "[2001:db8::7]:20007:a:b:p@ss/word",
	} {
		if got := a.Line(format); got != want {
			t.Errorf("%s: %s, want %s", format, got, want)
		}
	}
}

func TestTrafficBars(t *testing.T) {
	until := time.Date(2026, 11, 22, 14, 40, 0, 0, time.UTC)
	hour := until.Truncate(time.Hour)
	bars := TrafficHours{Until: until, Points: []connexa.TrafficPoint{
		{At: hour.Add(-trafficHours * time.Hour), Down: 900}, // before the picture
		{At: hour.Add(-(trafficHours - 1) * time.Hour), Up: 100, Down: 400},
		{At: hour, Down: 1},
	}}.bars()
	if len(bars) != 2 || bars[0].x != "1" || bars[1].x != "471" || bars[1].height != "1.0" || bars[0].bytes != 500 {
		t.Errorf("bars %+v", bars)
	}
	if bars := (TrafficHours{Until: until}).bars(); bars != nil {
		t.Errorf("bars of nothing: %+v", bars)
	}
}
