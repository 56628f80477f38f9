// Package browser contains only tests. They start the program as an owner does, open
// it in Chromium and do what users do: log in, import a fleet, watch its rows change.
//
//	go test ./internal/browser
//
// They need Chromium and are skipped without it, or fail if CONNEXA_NO_SKIP=1 is set.
// With CONNEXA_SHOTS=DIR they also save pictures of every page to DIR.
package browser
