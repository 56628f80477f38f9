package views

import "github.com/connexa-panel/connexa/internal/connexa"

// actTone marks what an admin looks for first.
func actTone(a connexa.Act) Tone {
	switch a {
	case connexa.ActLoginFailed, connexa.ActNodesDeleted:
		return ToneBad
	case connexa.ActExport, connexa.ActReveal, connexa.ActPassword, connexa.ActSessionRevoked:
		return ToneWarn
	case connexa.ActLogin, connexa.ActReauth:
		return ToneInfo
	default:
		return ToneNone
	}
}
