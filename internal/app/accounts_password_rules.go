package app

import (
	"context"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ccojocar/zxcvbn-go"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Bounds of a chosen password, in characters.
const (
	passwordShortest = 12
	passwordMost     = 128
	// The minimum strength, from 0 to 4. Guessing takes more than 10^6 attempts from 2 on,
	// which the limiter spreads over years.
	passwordStrength = 2
	passwordWords    = 2 // different words that make a password uncommon
	// The number of characters that are judged at once. The time grows faster than their
	// number, to more than ten seconds for 128 characters that stand for letters.
	passwordJudged = 32
)

// weakPassword says why a password must not be chosen, or returns the zero Text. The
// estimate knows about 60,000 common passwords, words and names and their usual
// variants. A password of several different words is judged by its length only, because
// the estimate underrates short phrases.
func weakPassword(name string, password connexa.Secret) connexa.Text {
	text := password.Reveal()
	switch n := utf8.RuneCountInString(text); {
	case !utf8.ValidString(text):
		return connexa.T("field.password.encoding")
	case n < passwordShortest:
		return connexa.T("field.password.short", passwordShortest)
	case n > passwordMost:
		return connexa.T("field.password.many", passwordMost)
	case tooSimple(text):
		return connexa.T("field.password.common")
	case countWords(text, name, "connexa") >= passwordWords:
		return connexa.Text{}
	}
	// Text that is typed with the wrong layout is as weak as in the right one.
	for _, as := range []string{text, latinKeys.Replace(strings.ToLower(text))} {
		if tooSimple(as) || !slices.ContainsFunc(judgedParts(as), func(part string) bool { return isStrong(name, part) }) {
			return connexa.T("field.password.common")
		}
	}
	return connexa.Text{}
}

// isStrong reports whether guessing text takes long enough.
func isStrong(name, text string) bool {
	return zxcvbn.PasswordStrength(text, append([]string{name}, localWords...)).Score >= passwordStrength
}

// judgedParts returns the parts of a password that are judged: all of it, or its
// beginning and its end. A password is at least as strong as its strongest part.
func judgedParts(text string) []string {
	r := []rune(text)
	if len(r) <= passwordJudged {
		return []string{text}
	}
	return []string{string(r[:passwordJudged]), string(r[len(r)-passwordJudged:])}
}

// countWords counts the different words of a text, in any script, except those in
// without. A word has at least three letters and ends before a capital letter.
func countWords(text string, without ...string) int {
	var spaced strings.Builder
	wasLower := false
	for _, r := range text {
		switch {
		case !unicode.IsLetter(r):
			r = ' '
		case unicode.IsUpper(r) && wasLower:
			spaced.WriteByte(' ')
		}
		wasLower = unicode.IsLower(r)
		spaced.WriteRune(r)
	}
	words := map[string]bool{}
	for word := range strings.FieldsSeq(strings.ToLower(spaced.String())) {
		if utf8.RuneCountInString(word) >= 3 && !isKeyRow(word) {
			words[word] = true
		}
	}
	for _, w := range append(without, localWords...) {
		delete(words, strings.ToLower(w))
	}
	return len(words)
}

// keyRows are rows of adjacent keys or letters.
var keyRows = []string{
	"qwertyuiop", "asdfghjkl", "zxcvbnm", "abcdefghijklmnopqrstuvwxyz", "qazwsxedcrfvtgbyhnujmikolp",
	"йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю", "абвгдеёжзийклмнопрстуфхцчшщъыьэюя", "йфяцычувскамепинртгоь",
}

// isKeyRow reports whether a word is a part of a row of keys, forwards or backwards.
func isKeyRow(word string) bool {
	backwards := []rune(word)
	slices.Reverse(backwards)
	return slices.ContainsFunc(keyRows, func(row string) bool {
		return strings.Contains(row, word) || strings.Contains(row, string(backwards))
	})
}

// localWords are common passwords that the English lists lack: our own names, and the
// most common Russian ones in both layouts.
var localWords = func() []string {
	words := []string{"connexa", "pptp", "panel"}
	for _, w := range []string{"пароль", "привет", "админ", "администратор", "любовь", "солнышко", "россия", "москва", "наташа", "сервер", "доступ", "панель"} {
		words = append(words, w, latinKeys.Replace(w))
	}
	return words
}()

// tooSimple reports whether a password is a few repeated or consecutive characters,
// which the word lists do not cover in other scripts.
func tooSimple(text string) bool {
	seen := map[rune]bool{}
	news, last := 0, rune(-10)
	for _, r := range strings.ToLower(text) {
		if d := r - last; d < -1 || d > 1 {
			news++
		}
		last = r
		seen[r] = true
	}
	return len(seen) < 5 || news < 5 || repeatsCharacter([]rune(text))
}

// repeatsCharacter reports whether a text is a shorter text repeated.
func repeatsCharacter(text []rune) bool {
	for unit := 1; unit < passwordShortest && unit <= len(text)/2; unit++ {
		same := true
		for i := unit; same && i < len(text); i++ {
			same = text[i] == text[i-unit]
		}
		if same {
			return true
		}
	}
	return false
}

// latinKeys maps the letters of a Russian keyboard to the Latin letters of the same
// keys.
var latinKeys = func() *strings.Replacer {
	russian, latin := []rune("йцукенгшщзхъфывапролджэячсмитьбюё"), []rune("qwertyuiop[]asdfghjkl;'zxcvbnm,.`")
	pairs := make([]string, 0, 2*len(russian))
	for i, r := range russian {
		pairs = append(pairs, string(r), string(latin[i]))
	}
	return strings.NewReplacer(pairs...)
}()

// HashNewPassword returns the hash of a chosen password for an account, or an error if
// it is weak.
func HashNewPassword(ctx context.Context, name string, password connexa.Secret) (string, error) {
	if why := weakPassword(name, password); !why.IsZero() {
		return "", &connexa.Error{Code: connexa.Invalid, Text: why}
	}
	return newPasswords(usualCost).hashPassword(ctx, password, false)
}

// GeneratePassword returns a generated password and its hash.
func GeneratePassword(ctx context.Context) (password connexa.Secret, hash string, err error) {
	password = randomPassword()
	hash, err = newPasswords(usualCost).hashPassword(ctx, password, false)
	return password, hash, err
}
