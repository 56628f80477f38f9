package handlers

import (
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// A file with the header of an earlier one gets the columns that the user chose then.
func TestColumnsAreRemembered(t *testing.T) {
	p := startPanel(t)
	p.startImports()
	b := p.newBrowser().logIn()
	upload := func(id int64, header string) connexa.Import {
		t.Helper()
		b.uploadFile(part{"file", "fleet.csv", header + "\n192.0.2.1,ops1,a,b\n192.0.2.2,ops1,a,b\n"})
		return p.waitUntil(id, connexa.ImportReady)
	}
	const header = "ip,user,pass,comment"
	if i := upload(1, header); i.Remembered {
		t.Error("columns are remembered before the first import")
	}
	b.post("/imports/1/reread", "column-0", "address", "column-1", "login", "column-2", "comment", "column-3", "password")
	p.waitUntil(1, connexa.ImportReady)
	b.post("/imports/1/confirm")
	p.waitUntil(1, connexa.ImportDone)

	if i := upload(2, "IP,User,Pass,Comment"); !i.Remembered || i.Same != 2 {
		t.Errorf("got %+v, want two known lines", i)
	}
	b.get("/imports/2").contains(t, `name="detect" value="1"`)
	b.post("/imports/2/reread", "detect", "1")
	if i := p.waitUntil(2, connexa.ImportReady); i.Remembered || i.Conflict != 2 {
		t.Errorf("with detected columns: %+v", i)
	}
	b.post("/imports/2/confirm")
	p.waitUntil(2, connexa.ImportDone)
	if i := upload(3, header); i.Remembered {
		t.Error("columns are remembered after the user wanted detected ones")
	}
	if i := upload(4, header+",tags"); i.Remembered {
		t.Error("another header has the columns too")
	}
}
