// Package i18n turns connexa.Text and plain values into words, numbers, times
// and places in the reader's language and time zone. Its catalogue is embedded;
// each part of the panel has a file of its own in locales/LANGUAGE.
package i18n

import (
	"context"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Lang is a language that the panel speaks, by its ISO 639-1 code.
type Lang string

// The languages.
const (
	English Lang = "en"
	Russian Lang = "ru"
)

// Langs lists the languages in the order that menus show them.
func Langs() []Lang { return []Lang{English, Russian} }

// Name is what the language calls itself.
func (l Lang) Name() string {
	if l == Russian {
		return "Русский"
	}
	return "English"
}

// ParseLang returns the language with that code, if the panel speaks it.
func ParseLang(code string) (Lang, bool) {
	for _, l := range Langs() {
		if string(l) == code {
			return l, true
		}
	}
	return English, false
}

// longestAccept bounds how much of an Accept-Language header is looked at.
const longestAccept = 512

var matcher = language.NewMatcher([]language.Tag{language.English, language.Russian})

// Accept picks the language that an Accept-Language header likes best.
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

// Printer speaks one language to one reader. It holds no state that changes and
// is safe for use by many goroutines.
type Printer struct {
	lang    Lang
	zone    *time.Location
	home    *time.Location // the panel's
	now     func() time.Time
	words   map[string]message
	regions display.Namer
}

// New returns a Printer. A nil zone is UTC.
func New(lang Lang, zone *time.Location) *Printer {
	if zone == nil {
		zone = time.UTC
	}
	p := &Printer{lang: lang, zone: zone, home: zone, now: time.Now, words: catalogue()[lang], regions: display.English.Regions()}
	if lang == Russian {
		p.regions = display.Russian.Regions()
	}
	return p
}

// At returns a copy of p for which it is now t.
func (p *Printer) At(t time.Time) *Printer {
	q := *p
	q.now = func() time.Time { return t }
	return &q
}

// WithHome returns a copy of p for a panel whose days begin in a zone. By itself a
// Printer takes the reader's.
func (p *Printer) WithHome(zone *time.Location) *Printer {
	q := *p
	q.home = zone
	return &q
}

// HomeName is the name of the zone in which days of the panel begin, with its
// distance from UTC now.
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

// Lang is the language that p speaks.
func (p *Printer) Lang() Lang { return p.lang }

// Zone is the reader's time zone.
func (p *Printer) Zone() *time.Location { return p.zone }

// Has says whether the catalogue knows key.
func (p *Printer) Has(key string) bool {
	_, ok := p.words[key]
	return ok
}

// T returns the sentence of key, its blanks filled with args; the first whole
// number among them chooses the plural form. A key that the catalogue does not
// know is shown as it is.
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

// Text returns what t says; nothing when it says nothing.
func (p *Printer) Text(t connexa.Text) string {
	if t.IsZero() {
		return ""
	}
	return p.T(t.Key, t.Args...)
}

// Err returns the sentence that a person may read about err.
func (p *Printer) Err(err error) string { return p.Text(connexa.TextOf(err)) }

type printerKey struct{}

// With puts p into ctx, for the pages that are drawn with it.
func With(ctx context.Context, p *Printer) context.Context {
	return context.WithValue(ctx, printerKey{}, p)
}

var fallback = New(English, time.UTC)

// From returns the Printer in ctx; without one, an English one in UTC.
func From(ctx context.Context) *Printer {
	if p, ok := ctx.Value(printerKey{}).(*Printer); ok {
		return p
	}
	return fallback
}
