// Package migrations holds the schema, one goose file per change.
package migrations

import "embed"

// FS holds the numbered goose files. After a release a file is never edited.
//
//go:embed *.sql
var FS embed.FS
