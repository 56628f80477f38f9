package connexa

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Text is a sentence for users: a key of the catalogue and its arguments. It is
// stored, sent and compared as a value. Package i18n formats it in the reader's
// language.
type Text struct {
	Key  string `json:"key"`
	Args []any  `json:"args,omitempty"`
}

// T returns the Text of key with args. Args are strings, integers, durations, times or
// other Texts.
func T(key string, args ...any) Text { return Text{Key: key, Args: args} }

// IsZero reports whether t is empty.
func (t Text) IsZero() bool { return t.Key == "" }

// String formats t for logs; package i18n formats it for users.
func (t Text) String() string {
	if len(t.Args) == 0 {
		return t.Key
	}
	return fmt.Sprintf("%s%v", t.Key, t.Args)
}

// jsonArg is how an argument that JSON cannot encode is kept.
type jsonArg struct {
	Duration *time.Duration `json:"ns,omitempty"`
	Time     *time.Time     `json:"time,omitempty"`
}

// MarshalJSON encodes t so that UnmarshalJSON returns arguments of the same types,
// including durations and times.
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

// UnmarshalJSON is the inverse of MarshalJSON. Integers are returned as int64.
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
