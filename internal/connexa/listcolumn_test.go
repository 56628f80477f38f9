package connexa

import "testing"

func TestParseListColumns(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  "",
		"nothing,else":                      "",
		"status":                            "server,status",
		"comment:300,server:200,tags":       "server:200,comment:300,tags",
		"server,tags,tags:90,nothing,city":  "server,tags,city",
		"server,tags:5,city:5000,state:-10": "server,tags:60,city:900,state",
		" status , place ":                  "server,status,place",
	} {
		list := ParseListColumns(text)
		if got := FormatListColumns(list); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
		if again := FormatListColumns(ParseListColumns(FormatListColumns(list))); again != want {
			t.Errorf("%q: read again as %q", text, again)
		}
	}
	if got := FormatListColumns(DefaultListColumns(true, true)); got != "server,status,place,reason,latency,speed,service,checked" {
		t.Errorf("by default %s", got)
	}
}
