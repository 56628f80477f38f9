package app

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/ccojocar/zxcvbn-go/frequency"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// weakPasswords are passwords with the reason why they are weak, or "".
var weakPasswords = map[string]string{
	"password":                 "short",
	"12345678":                 "short",
	"Kite-7-blue":              "short", // 11
	"пароль1":                  "short",
	"ключ-фонарь":              "short", // 11 characters, 21 bytes
	"aaaaaaaaaaaa":             "common",
	"ааааааааааааа":            "common", // Cyrillic
	"日日日日日日日日日日日日":             "common",
	"abcabcabcabc":             "common",
	"abcdefghijkl":             "common",
	"абвгдеёжзийк":             "common",
	"123456789012":             "common",
	"111122223333":             "common",
	"qwertyuiop12":             "common",
	"йцукенгшщзхъ":             "common",
	"парольпароль":             "common",
	"Пароль123456":             "common",
	"gfhjkm123456":             "common",
	"приветпривет1":            "common",
	"xK3-9q!xK3-9q!":           "common",
	"qazwsxedcrfv":             "common",
	"1q2w3e4r5t6y":             "common",
	"password1234":             "common",
	"passwordpassword":         "common",
	"P@ssw0rd1234!":            "common",
	"Password!2024":            "common",
	"iloveyou2024!":            "common",
	"letmeinplease1":           "common",
	"trustno1trustno1":         "common",
	"summer2024summer":         "common",
	"            ":             "common",
	"connexa-admin-1":          "common",
	"Connexa12345!":            "common",
	"adminadminadmin":          "common",
	"admin-admin-2026":         "common",
	"Password-1234":            "common",
	"password password":        "common",
	"1234-password-5678":       "common",
	"administrator":            "common",
	"welcome12345":             "common",
	"qwerty-asdfgh-1":          "common",
	"Qwertyuiop Asdf":          "common",
	"gfhjkm-ghbdtn":            "common", // "пароль-привет" with the wrong layout
	"Пароль админ":             "common",
	"abcdef ghijkl":            "common",
	"monkeymonkey1":            "common",
	strings.Repeat("aK3-", 33): "many",
	"Kite-7-\xff-lantern-x":    "encoding",

	"correct horse battery":     "",
	"connexa-Kite-7-lantern":    "",
	"my-Admin-Kite-7-lantern":   "",
	"owner-Passw0rd-2026":       "",
	"new-password-123456":       "",
	"TestPassword1234":          "",
	"блокнот и лампа":           "",
	"Blue-Kite-7-Blue-Kite":     "",
	"q7wK-p2Zm-9tRv":            "",
	"фонарь медный, семь змеев": "",
	strings.Repeat("x7", 1) + "Kq-9tRv lantern copper gull " + strings.Repeat("z", 30): "",
}

func TestWeakPasswords(t *testing.T) {
	for password, want := range weakPasswords {
		why := weakPassword("admin", connexa.Secret(password))
		if got := strings.TrimPrefix(why.Key, "field.password."); got != want {
			t.Errorf("%q: got %q, want %q", password, got, want)
		}
	}
	for range 200 {
		if why := weakPassword("admin", randomPassword()); !why.IsZero() {
			t.Errorf("a password that we made up: %s", why)
		}
	}
	n := 0
	for _, list := range frequency.Lists {
		n += len(list.List)
	}
	if n < 50_000 {
		t.Errorf("%d common passwords, words and names are known", n)
	}
}

// TestLongPasswordsAreJudgedByTheirEnds bounds the cost of a judgement: 128 characters
// that stand for letters take ten seconds if they are judged at once.
func TestLongPasswordsAreJudgedByTheirEnds(t *testing.T) {
	for _, password := range []string{
		strings.Repeat("4@8({[<310!|$5+7%2", 8)[:passwordMost],
		strings.Repeat("ж$5ё", passwordMost/4),
		"Kite-7-lantern", strings.Repeat("x", passwordJudged), strings.Repeat("x", passwordJudged+1),
	} {
		parts := judgedParts(password)
		if !strings.HasPrefix(password, parts[0]) || !strings.HasSuffix(password, parts[len(parts)-1]) {
			t.Errorf("%q: %q are not its ends", password, parts)
		}
		for _, part := range parts {
			if n := utf8.RuneCountInString(part); n > passwordJudged {
				t.Errorf("%q: %d characters are judged at once", password, n)
			}
		}
	}
	for password, weak := range map[string]bool{
		strings.Repeat("password", 9) + "1!":                                           true,
		strings.Repeat("password", 5) + " Kq-9tRv lantern copper gull":                 false,
		"Kq-9tRv lantern copper gull, heron " + strings.Repeat("password", 5):          false,
		strings.Repeat("qwerty", 6) + "asdfgh" + strings.Repeat("1234567890", 5) + "!": true,
	} {
		if why := weakPassword("admin", connexa.Secret(password)); !why.IsZero() != weak {
			t.Errorf("%q: %s", password, why)
		}
	}
}

// TestStrangersNeverFillTheQueueOfKnownBrowsers keeps the queue of unknown browsers full.
func TestStrangersNeverFillTheQueueOfKnownBrowsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPasswords(light)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for range hashesAtOnce {
			if _, err := p.acquireSlot(ctx, false); err != nil {
				t.Fatal(err)
			}
		}
		for range hashesQueued {
			go func() { _, _ = p.acquireSlot(ctx, false) }()
		}
		synctest.Wait()
		if _, err := p.acquireSlot(ctx, false); connexa.CodeOf(err) != connexa.Busy {
			t.Fatalf("the queue of strangers is not full: %v", err)
		}
		start := time.Now()
		hash, err := p.hashPassword(ctx, "x", true)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := p.matchPassword(ctx, hash, "x", true); err != nil || !ok || time.Since(start) != 0 {
			t.Errorf("%t, %v after %s", ok, err, time.Since(start))
		}
	})
}

// TestANetworkGuessesNoFasterThanItsAddresses changes the address at each attempt.
func TestANetworkGuessesNoFasterThanItsAddresses(t *testing.T) {
	for name, address := range map[string]func(i int) string{
		"/48": func(i int) string {
			return "2001:db8:7:" + string("0123456789abcdef"[i/16]) + string("0123456789abcdef"[i%16]) + "::1"
		},
		"/24": func(i int) string {
			return "192.0.2." + []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"}[i%9] + string("0123456789"[i/9%10])
		},
	} {
		var l limiter
		n := 0
		for i := range 90 {
			keys := append(strangerKeys(address(i)), "account "+address(i))
			if l.waitFor(keys...) > 0 {
				break
			}
			n++
		}
		if n != networkAttempts {
			t.Errorf("%s: %d attempts, want %d", name, n, networkAttempts)
		}
		if l.waitFor(strangerKeys("198.51.100.1")...) > 0 || l.waitFor(strangerKeys("2001:db8:8::1")...) > 0 {
			t.Errorf("%s: another network waits, too", name)
		}
	}
}
