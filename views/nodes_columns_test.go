package views

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// Each width that a column can have is in the stylesheet.
func TestColumnWidthsAreInTheStylesheet(t *testing.T) {
	css, err := os.ReadFile("../static/app.css")
	if err != nil {
		t.Fatal(err)
	}
	class := regexp.MustCompile(`w-\d+$`)
	for width := connexa.MinColumnWidth; width <= connexa.MaxColumnWidth; width++ {
		c := tableColumnOf(connexa.ListColumn{Name: "comment", Width: width})
		if name := class.FindString(c.class); name == "" || !strings.Contains(string(css), "."+name+" {") {
			t.Fatalf("a column of %d px has the class %q, which has no width", width, c.class)
		}
	}
}
