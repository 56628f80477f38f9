package probe

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/pptp"
	"github.com/connexa-panel/connexa/internal/pptp/control"
)

// codesText describes the code with which a server refused or ended a
// control connection or a call; it is zero if err has none.
func codesText(err error) connexa.Text {
	var (
		no      *control.Refused
		bye     *control.Disconnected
		stopped *control.Error
		login   *pptp.Refused
	)
	switch {
	case errors.As(err, &login):
		if login.Code == 0 || slices.Contains(pptp.Causes(), fmt.Sprintf("auth.%d", login.Code)) {
			return connexa.Text{} // the cause's own text covers the code
		}
		return connexa.T("probe.login.code", strconv.Itoa(login.Code))
	case errors.As(err, &bye):
		n := bye.Notify
		return connexa.T("probe.disconnected", reasonText("disconnect.result."+n.Result.Key(), n.Result == control.DisconnectGeneralError, n.General, n.Cause))
	case errors.As(err, &no) && no.Step == control.StepCall:
		return connexa.T("probe.refused.call", reasonText("call.result."+no.Result.Key(), no.Result == control.CallGeneralError, no.General, no.Cause))
	case errors.As(err, &no) && no.General != control.ErrorNone:
		return connexa.T("probe.refused.general", connexa.T("start.result."+no.Result.Key()), connexa.T("general.error."+no.General.Key()))
	case errors.As(err, &no):
		return connexa.T("probe.refused", connexa.T("start.result."+no.Result.Key()))
	case errors.As(err, &stopped) && stopped.Failure == control.FailureStopped:
		return connexa.T("probe.stopped", connexa.T("stop.reason."+stopped.Reason.Key()))
	}
	return connexa.Text{}
}

// reasonText returns a result together with its general error and its cause.
func reasonText(result string, failed bool, general control.GeneralError, cause control.Cause) connexa.Text {
	text := connexa.T(result)
	if failed || general != control.ErrorNone {
		text = connexa.T("probe.codes", text, connexa.T("general.error."+general.Key()))
	}
	if cause != 0 {
		text = connexa.T("probe.codes", text, connexa.T("q931."+cause.Key()))
	}
	return text
}

// addressesTriedText says which of several addresses of a name accepted the connection of
// a login, and which did not. It is zero if the first address did.
func addressesTriedText(results []pptp.StepResult) connexa.Text {
	var list []string // the addresses, in the order of the attempts
	for _, r := range results {
		switch {
		case r.Step == pptp.StepResolve && r.OK:
			list = strings.Split(r.Note, ", ")
		case r.Step != pptp.StepTCP || len(list) < 2:
		case !r.OK:
			return connexa.T("probe.addresses.none", strings.Join(list, ", "))
		default:
			failed := strings.Count(r.Note, "; ") // the note lists each failed address after our own
			if failed > 0 && failed < len(list) {
				return connexa.T("probe.addresses.some", list[failed], strings.Join(list[:failed], ", "))
			}
		}
	}
	return connexa.Text{}
}
