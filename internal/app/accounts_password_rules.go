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

// Bounds of a password that a person chooses, in characters.
const (
	passwordShortest = 12
	passwordMost     = 128
	// Of five steps, 0 to 4; from this one on guessing takes more than 10^6 tries, which
	// the limiter spreads over years.
	passwordStrength = 2
	passwordWords    = 2 // so many different words are no common password
	// How many characters are judged at once: the time grows faster than their number,
	// to ten seconds and more for 128 characters that stand for letters.
	passwordJudged = 32
)

// weakPassword says why a person must not choose a password; zero when they may. It
// knows some 60,000 common passwords, words and names, and how people bend them.
// Several different words are judged by their length alone: people choose them because
// they are told to, and the estimate is unjust to short phrases.
func weakPassword(user string, password connexa.Secret) connexa.Text {
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
	case countWords(text, user, "connexa") >= passwordWords:
		return connexa.Text{}
	}
	// What is typed with the wrong layout is no secret either.
	for _, as := range []string{text, latinKeys.Replace(strings.ToLower(text))} {
		if tooSimple(as) || !slices.ContainsFunc(judgedParts(as), func(part string) bool { return isStrong(user, part) }) {
			return connexa.T("field.password.common")
		}
	}
	return connexa.Text{}
}

// isStrong reports whether guessing text takes long enough.
func isStrong(user, text string) bool {
	return zxcvbn.PasswordStrength(text, append([]string{user}, localWords...)).Score >= passwordStrength
}

// judgedParts returns what is judged of a password: all of it, or its beginning and its
// end. Whoever has to guess a strong part has to guess at least as long for the whole.
func judgedParts(text string) []string {
	r := []rune(text)
	if len(r) <= passwordJudged {
		return []string{text}
	}
	return []string{string(r[:passwordJudged]), string(r[len(r)-passwordJudged:])}
}

// countWords counts the different words of a text, in any script, without those that
// everybody would try. A word has at least three letters and ends before a capital.
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

// keyRows are keys, or letters, that stand beside each other.
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

// localWords are those that the English lists do not have: our own, and the Russian ones
// that lead every list, in both layouts.
var localWords = func() []string {
	words := []string{"connexa", "pptp", "panel"}
	for _, w := range []string{"пароль", "привет", "админ", "администратор", "любовь", "солнышко", "россия", "москва", "наташа", "сервер", "доступ", "панель"} {
		words = append(words, w, latinKeys.Replace(w))
	}
	return words
}()

// tooSimple says whether a password is a few characters, repeated or counted up: what
// no list of Latin words knows.
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

// repeatsCharacter says whether a text is a short one, several times.
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

// latinKeys are the keys of a Russian keyboard on a Latin one.
var latinKeys = func() *strings.Replacer {
	russian, latin := []rune("йцукенгшщзхъфывапролджэячсмитьбюё"), []rune("qwertyuiop[]asdfghjkl;'zxcvbnm,.`")
	pairs := make([]string, 0, 2*len(russian))
	for i, r := range russian {
		pairs = append(pairs, string(r), string(latin[i]))
	}
	return strings.NewReplacer(pairs...)
}()

// HashNewPassword returns the hash of a password that somebody has chosen for a user,
// or says why it is none.
func HashNewPassword(ctx context.Context, user string, password connexa.Secret) (string, error) {
	if why := weakPassword(user, password); !why.IsZero() {
		return "", &connexa.Error{Code: connexa.Invalid, Text: why}
	}
	return newPasswords(usualCost).hashPassword(ctx, password, false)
}

// GeneratePassword makes a password up and returns it with its hash.
func GeneratePassword(ctx context.Context) (password connexa.Secret, hash string, err error) {
	password = randomPassword()
	hash, err = newPasswords(usualCost).hashPassword(ctx, password, false)
	return password, hash, err
}
