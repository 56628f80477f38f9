package socks5

import (
	"net/netip"
	"testing"
	"time"
)

func TestLoginLimiter(t *testing.T) {
	now := time.Unix(1e9, 0)
	g := NewLoginLimiter()
	g.now = func() time.Time { return now }
	here, there := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	asked := 0
	try := func(from netip.Addr, password string) bool {
		_, ok := g.checkLogin(from, "ann", password, func() (Client, bool) { asked++; return Client{}, password == "right" || password == "second" })
		return ok
	}
	if !try(here, "right") {
		t.Fatal("the right password was refused")
	}
	for range freeGuesses {
		try(here, "wrong")
	}
	asked = 0
	if try(here, "second") || asked != 0 {
		t.Error("a guess was checked that the source has not left")
	}
	if !try(here, "right") {
		t.Error("a login that passed before is refused because a neighbour guesses")
	}
	if !try(there, "right") {
		t.Error("another source is refused")
	}
	now = now.Add(guessEvery)
	if !try(here, "second") {
		t.Error("no guess came back with time")
	}
	for range freeGuesses {
		try(here, "wrong")
	}
	now = now.Add(trustFor)
	if asked = 0; !try(here, "right") {
		t.Error("after an hour the guesses are not back")
	}
}

func TestLoginLimiterForgets(t *testing.T) {
	g := NewLoginLimiter()
	a := netip.MustParseAddr("10.0.0.0")
	for range 2 * maxSources {
		a = a.Next()
		g.checkLogin(a, "u", "p", func() (Client, bool) { return Client{}, false })
	}
	if n := len(g.sources); n > maxSources {
		t.Errorf("%d sources are remembered", n)
	}
	g.checkLogin(netip.MustParseAddr("2001:db8::1"), "u", "p", func() (Client, bool) { return Client{}, false })
	before := len(g.sources)
	g.checkLogin(netip.MustParseAddr("2001:db8::2"), "u", "p", func() (Client, bool) { return Client{}, false })
	if len(g.sources) != before {
		t.Error("two addresses of one IPv6 network count as two sources")
	}
}
