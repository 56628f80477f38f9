package handlers

import (
	"encoding/base64"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/connexa-panel/connexa/internal/connexa"
)

func TestRowTokenRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfN(rapid.Int64Range(1, math.MaxInt64), 0, maxRows).Draw(t, "ids")
		got, err := decodeRows(encodeRows(ids))
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(ids)
		if want := slices.Compact(ids); !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

func TestRowTokenIsShort(t *testing.T) {
	var page []int64
	for i := range int64(maxRows) {
		page = append(page, 90_000+i*7)
	}
	if token := encodeRows(page); len(token) > 300 {
		t.Errorf("the token of a page has %d bytes", len(token))
	}
}

func TestRowTokenRefusesWhatItDidNotMake(t *testing.T) {
	var many []int64
	for i := range int64(maxRows + 1) {
		many = append(many, i+1)
	}
	for name, token := range map[string]string{
		"no base64":       "a b",
		"padded":          "AQ==",
		"the id zero":     base64.RawURLEncoding.EncodeToString([]byte{0}),
		"an id twice":     base64.RawURLEncoding.EncodeToString([]byte{5, 0}),
		"half a number":   base64.RawURLEncoding.EncodeToString([]byte{0x80}),
		"over 64 bits":    base64.RawURLEncoding.EncodeToString([]byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 127}),
		"over 63 bits":    base64.RawURLEncoding.EncodeToString([]byte{255, 255, 255, 255, 255, 255, 255, 255, 127, 1}),
		"too many":        encodeRows(many),
		"far too long":    strings.Repeat("AQ", 1<<20),
		"bits at the end": "AR",
	} {
		if ids, err := decodeRows(token); connexa.CodeOf(err) != connexa.Invalid {
			t.Errorf("%s gave %v, %v", name, ids, err)
		}
	}
}

func FuzzDecodeRows(f *testing.F) {
	f.Add(encodeRows([]int64{1, 2, 300, 1 << 40}))
	f.Add("AR")
	f.Fuzz(func(t *testing.T, token string) {
		ids, err := decodeRows(token)
		if err != nil {
			return
		}
		if len(ids) > maxRows || !slices.IsSorted(ids) {
			t.Errorf("%q gave %v", token, ids)
		}
		if back, err := decodeRows(encodeRows(ids)); err != nil || !slices.Equal(back, ids) {
			t.Errorf("%q does not come back: %v, %v", token, back, err)
		}
	})
}
