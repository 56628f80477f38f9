package daemon

import (
	"errors"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// Explain is err as a person at a terminal reads it.
func Explain(err error) string {
	var e *connexa.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	text := i18n.New(i18n.English, nil).Text(e.Text)
	if e.Err != nil {
		text += " (" + e.Err.Error() + ")"
	}
	return text
}
