package connexa

import "fmt"

// Text is a sentence for people: a key of the catalogue and what fills its
// blanks. It is kept, sent and compared as a value and becomes words only in
// the reader's language, by package i18n.
type Text struct {
	Key  string `json:"key"`
	Args []any  `json:"args,omitempty"`
}

// T returns the Text of key, its blanks filled with args. Args are strings,
// whole numbers, durations, times or other Texts.
func T(key string, args ...any) Text { return Text{Key: key, Args: args} }

// IsZero says whether t says nothing.
func (t Text) IsZero() bool { return t.Key == "" }

// String is for logs; people read what i18n makes of t.
func (t Text) String() string {
	if len(t.Args) == 0 {
		return t.Key
	}
	return fmt.Sprintf("%s%v", t.Key, t.Args)
}
