// Package browser has no code of its own. Its tests start the program as an
// owner does, open it in Chromium and do what a person does there: log in,
// import a fleet, watch its rows turn.
//
//	go test ./internal/browser
//
// They need Chromium, and are skipped without it; CONNEXA_NO_SKIP=1 makes that a
// failure. With CONNEXA_SHOTS=DIR they also draw every page into DIR.
package browser
