package views

import "github.com/connexa-panel/connexa/internal/connexa"

// Bin is one page of the deleted nodes.
type Bin struct {
	Page  connexa.BinPage
	First bool   // the page with the last deleted nodes
	Older string // URL of the next page; empty on the last one
}
