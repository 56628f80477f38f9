package connexa

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

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

// jsonArg is how an argument that JSON has no form for is kept.
type jsonArg struct {
	Duration *time.Duration `json:"ns,omitempty"`
	Time     *time.Time     `json:"time,omitempty"`
}

// MarshalJSON keeps t so that UnmarshalJSON gives the same arguments back:
// durations and times stay what they are.
func (t Text) MarshalJSON() ([]byte, error) {
	type plain Text
	kept := plain{Key: t.Key}
	for _, a := range t.Args {
		switch v := a.(type) {
		case time.Duration:
			a = jsonArg{Duration: &v}
		case time.Time:
			a = jsonArg{Time: &v}
		}
		kept.Args = append(kept.Args, a)
	}
	return json.Marshal(kept)
}

// UnmarshalJSON reads what MarshalJSON wrote. Whole numbers come back as int64.
func (t *Text) UnmarshalJSON(data []byte) error {
	var kept struct {
		Key  string            `json:"key"`
		Args []json.RawMessage `json:"args"`
	}
	if err := json.Unmarshal(data, &kept); err != nil {
		return err
	}
	*t = Text{Key: kept.Key}
	for _, raw := range kept.Args {
		a, err := argOf(raw)
		if err != nil {
			return fmt.Errorf("an argument of %s: %w", kept.Key, err)
		}
		t.Args = append(t.Args, a)
	}
	return nil
}

func argOf(raw json.RawMessage) (any, error) {
	if bytes.HasPrefix(raw, []byte("{")) {
		var a jsonArg
		if err := json.Unmarshal(raw, &a); err != nil {
			return nil, err
		}
		switch {
		case a.Duration != nil:
			return *a.Duration, nil
		case a.Time != nil:
			return *a.Time, nil
		}
		var t Text
		err := json.Unmarshal(raw, &t)
		return t, err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var a any
	if err := d.Decode(&a); err != nil {
		return nil, err
	}
	if n, ok := a.(json.Number); ok {
		if i, err := n.Int64(); err == nil {
			return i, nil
		}
		return n.Float64()
	}
	return a, nil
}
