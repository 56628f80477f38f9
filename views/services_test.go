package views

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rsc.io/qr"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// TestQRCodeIsWhatWasEncoded compares the drawing with the code, module by module.
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

func TestServiceRowsQuoteWhatTheyMust(t *testing.T) {
	a := ServiceCredentials{Host: "2001:db8::7", Port: 20007, User: "a:b", Password: "p@ss/word"}
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

func TestTrafficChart(t *testing.T) {
	p := i18n.New("en", time.UTC)
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	v := NodeCharts{From: noon, To: noon.Add(3 * time.Hour), TrafficEvery: time.Hour, Traffic: []connexa.TrafficPoint{
		{At: noon, Down: 900e6, Up: 45e6}, {At: noon.Add(time.Hour)}, {At: noon.Add(2 * time.Hour), Down: 450e6},
	}}
	list := v.allCharts(p)
	if len(list) != 1 {
		t.Fatalf("charts %+v", list)
	}
	c := list[0]
	if want := []float64{2, 0, 1}; !slices.Equal(c.Lines[0].Values, want) || c.Unit != p.T("unit.mbit", "{0}") {
		t.Errorf("%v, %s, want %v", c.Lines[0].Values, c.Unit, want)
	}
	if c.Lines[1].Values[0] != 0.1 || c.Step != 3600 || c.Summary != "received "+p.Volume(1350e6)+" · sent "+p.Volume(45e6) {
		t.Errorf("%+v", c)
	}
	v.Traffic = []connexa.TrafficPoint{{At: noon, Up: 45e3}}
	if c := v.allCharts(p)[0]; c.Unit != p.T("unit.kbit", "{0}") || c.Lines[1].Values[0] != 0.1 {
		t.Errorf("of little: %+v", c)
	}
	v.Traffic = nil
	if list := v.allCharts(p); list != nil {
		t.Errorf("of nothing: %+v", list)
	}
}
