package connexa

import "testing"

func TestNameOfAViewHasNoInvisibleCharacters(t *testing.T) {
	v, err := ViewInput{Name: " a\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200bb\x00 "}.Parse()
	if err != nil || v.Name != "ab" {
		t.Errorf("got %q, %v; want ab", v.Name, err)
	}
	if _, err := (ViewInput{Name: "\u202e"}).Parse(); err == nil {
		t.Error("a name of invisible characters is accepted")
	}
}
