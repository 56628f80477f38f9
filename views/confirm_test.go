package views

import (
	"strings"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
)

// TestConfirmUndoSaysWhatHappens checks that the question names only nodes that there
// are, and warns only of what is lost.
func TestConfirmUndoSaysWhatHappens(t *testing.T) {
	for _, test := range []struct {
		plan    connexa.UndoPlan
		en, ru  string
		warning bool
	}{
		{connexa.UndoPlan{Remove: 2}, "2 added nodes go to the bin, where they can be restored for 30 days.", "2 добавленных узла уйдут в корзину: 30 дней их можно вернуть.", false},
		{connexa.UndoPlan{Restore: 1}, "1 changed node gets its former values back.", "1 изменённый узел вернётся к прежним значениям.", true},
		{connexa.UndoPlan{Remove: 1, Keep: 1}, "1 added node goes to the bin, where it can be restored for 30 days. 1 node was edited since; the edited values stay.",
			"1 добавленный узел уйдёт в корзину: 30 дней его можно вернуть. 1 узел с тех пор правили: правки останутся.", false},
	} {
		for lang, want := range map[i18n.Lang]string{i18n.English: test.en, i18n.Russian: test.ru} {
			c := ConfirmUndo(i18n.New(lang, nil), connexa.Import{ID: 1, Name: "list.csv"}, test.plan)
			if got := strings.ReplaceAll(c.Text, "\u00a0", " "); got != want || (c.Warning != "") != test.warning {
				t.Errorf("%+v: got %q and the warning %q, want %q", test.plan, got, c.Warning, want)
			}
		}
	}
}
