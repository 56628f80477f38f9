// Package i18n formats connexa.Text and plain values as text, numbers, times and
// places in the reader's language and time zone. Its catalogue is embedded, with one
// file in locales/LANGUAGE for each part of the panel.
package i18n

import (
	"cmp"
	"context"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Lang is a supported language, as its ISO 639-1 code.
type Lang string

const (
	English Lang = "en"
	Russian Lang = "ru"
)

// Langs lists the languages in the order that menus show them.
func Langs() []Lang { return []Lang{English, Russian} }

// Name returns the language's name in that language.
func (l Lang) Name() string {
	if l == Russian {
		return "Русский"
	}
	return "English"
}

// ParseLang returns the supported language with a code.
func ParseLang(code string) (Lang, bool) {
	for _, l := range Langs() {
		if string(l) == code {
			return l, true
		}
	}
	return English, false
}

// longestAccept is the number of bytes of an Accept-Language header that are parsed.
const longestAccept = 512

var matcher = language.NewMatcher([]language.Tag{language.English, language.Russian})

// Accept returns the supported language that an Accept-Language header prefers.
func Accept(header string) Lang {
	if len(header) > longestAccept {
		header = header[:longestAccept]
	}
	tags, _, err := language.ParseAcceptLanguage(header)
	if err != nil || len(tags) == 0 {
		return English
	}
	_, i, sure := matcher.Match(tags...)
	if sure == language.No {
		return English
	}
	return Langs()[i]
}

// Printer formats texts and values for one reader. It is immutable and safe for
// concurrent use.
type Printer struct {
	lang    Lang
	zone    *time.Location
	home    *time.Location // the panel's time zone
	now     func() time.Time
	words   map[string]message
	regions display.Namer
}

// New returns a Printer. A nil zone is UTC.
func New(lang Lang, zone *time.Location) *Printer {
	zone = cmp.Or(zone, time.UTC)
	p := &Printer{lang: lang, zone: zone, home: zone, now: time.Now, words: catalogue()[lang], regions: display.English.Regions()}
	if lang == Russian {
		p.regions = display.Russian.Regions()
	}
	return p
}

// At returns a copy of p whose current time is t.
func (p *Printer) At(t time.Time) *Printer {
	q := *p
	q.now = func() time.Time { return t }
	return &q
}

// WithHome returns a copy of p with the panel's time zone, which decides when days
// begin. Defaults to the reader's zone.
func (p *Printer) WithHome(zone *time.Location) *Printer {
	q := *p
	q.home = zone
	return &q
}

// HomeName returns the name of the panel's time zone with its current offset from UTC.
func (p *Printer) HomeName() string {
	name, offset := p.home.String(), p.now().In(p.home).Format("UTC-07:00")
	switch {
	case name == "Local":
		return offset
	case offset == "UTC+00:00":
		return name
	}
	return name + ", " + offset
}

// Lang returns the language of p.
func (p *Printer) Lang() Lang { return p.lang }

// Zone returns the reader's time zone.
func (p *Printer) Zone() *time.Location { return p.zone }

// Has reports whether the catalogue has key.
func (p *Printer) Has(key string) bool {
	_, ok := p.words[key]
	return ok
}

// T returns the sentence of key with args in its placeholders. The first whole number
// in args selects the plural form. An unknown key is returned unchanged.
func (p *Printer) T(key string, args ...any) string {
	m, ok := p.words[key]
	if !ok {
		if m, ok = p.words[currentKey(key)]; !ok {
			return key
		}
	}
	var b strings.Builder
	for _, part := range m.pluralForm(p.lang, args) {
		switch {
		case part.arg < 0:
			b.WriteString(part.text)
		case part.arg < len(args):
			b.WriteString(p.formatValue(args[part.arg]))
		}
	}
	return b.String()
}

// Text returns the sentence of t, or "" if t is zero.
func (p *Printer) Text(t connexa.Text) string {
	if t.IsZero() {
		return ""
	}
	return p.T(t.Key, t.Args...)
}

// Err returns the sentence for err that may be shown to users.
func (p *Printer) Err(err error) string { return p.Text(connexa.TextOf(err)) }

type printerKey struct{}

// With returns a copy of ctx with p, which the templates use.
func With(ctx context.Context, p *Printer) context.Context {
	return context.WithValue(ctx, printerKey{}, p)
}

var fallback = New(English, time.UTC)

// From returns the Printer in ctx, or one for English and UTC.
func From(ctx context.Context) *Printer {
	if p, ok := ctx.Value(printerKey{}).(*Printer); ok {
		return p
	}
	return fallback
}
