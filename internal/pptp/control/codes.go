package control

import "fmt"

// codeName describes a code: key never changes and serves catalogues and records, text
// is plain English.
type codeName struct{ key, text string }

func keyOf(words map[uint8]codeName, code uint8) string {
	if w, ok := words[code]; ok {
		return w.key
	}
	return "unknown"
}

func textOf(words map[uint8]codeName, code uint8) string {
	if w, ok := words[code]; ok {
		return w.text
	}
	return fmt.Sprintf("unknown code %d", code)
}

// StartResult is the result code of an SCCRP (RFC 2637 section 2.2).
type StartResult uint8

// The results of a start. StartZero is not in the RFC: some modems send it on
// success.
const (
	StartZero          StartResult = 0
	StartOK            StartResult = 1
	StartGeneralError  StartResult = 2
	StartAlreadyExists StartResult = 3
	StartNotAuthorised StartResult = 4
	StartVersion       StartResult = 5
)

var startWords = map[uint8]codeName{
	0: {"ok", "accepted"},
	1: {"ok", "accepted"},
	2: {"general_error", "general error"},
	3: {"already_exists", "a control connection from here already exists"},
	4: {"not_authorised", "this address is not authorised to connect"},
	5: {"version", "the protocol version is not supported"},
}

// Answers reports whether the server answered as a PPTP server: it accepted, or said
// that we are connected already.
func (r StartResult) Answers() bool { return r <= StartOK || r == StartAlreadyExists }

// Accepts reports whether the client may place a call.
func (r StartResult) Accepts() bool { return r <= StartOK }

// Key returns a short name that never changes.
func (r StartResult) Key() string { return keyOf(startWords, uint8(r)) }

// String returns the meaning in plain English.
func (r StartResult) String() string { return textOf(startWords, uint8(r)) }

// CallResult is the result code of an OCRP (RFC 2637 section 2.8).
type CallResult uint8

// The results of an outgoing call.
const (
	CallConnected    CallResult = 1
	CallGeneralError CallResult = 2
	CallNoCarrier    CallResult = 3
	CallBusy         CallResult = 4
	CallNoDialTone   CallResult = 5
	CallTimedOut     CallResult = 6
	CallNotAccepted  CallResult = 7
)

var callWords = map[uint8]codeName{
	1: {"connected", "connected"},
	2: {"general_error", "general error"},
	3: {"no_carrier", "no carrier"},
	4: {"busy", "busy"},
	5: {"no_dial_tone", "no dial tone"},
	6: {"timeout", "the server timed out"},
	7: {"not_accepted", "administratively prohibited"},
}

// Key returns a short name that never changes.
func (r CallResult) Key() string { return keyOf(callWords, uint8(r)) }

// String returns the meaning in plain English.
func (r CallResult) String() string { return textOf(callWords, uint8(r)) }

// IncomingResult is the result code of an ICRP (RFC 2637 section 2.10).
type IncomingResult uint8

// The results of an incoming call.
const (
	IncomingConnect      IncomingResult = 1
	IncomingGeneralError IncomingResult = 2
	IncomingNotAccepted  IncomingResult = 3
)

var incomingWords = map[uint8]codeName{
	1: {"connect", "accepted"},
	2: {"general_error", "general error"},
	3: {"not_accepted", "not accepted"},
}

// Key returns a short name that never changes.
func (r IncomingResult) Key() string { return keyOf(incomingWords, uint8(r)) }

// String returns the meaning in plain English.
func (r IncomingResult) String() string { return textOf(incomingWords, uint8(r)) }

// DisconnectResult is the result code of a CDN (RFC 2637 section 2.13).
type DisconnectResult uint8

// The reasons of a disconnect.
const (
	DisconnectLostCarrier   DisconnectResult = 1
	DisconnectGeneralError  DisconnectResult = 2
	DisconnectAdminShutdown DisconnectResult = 3
	DisconnectRequested     DisconnectResult = 4
)

var disconnectWords = map[uint8]codeName{
	1: {"lost_carrier", "the carrier was lost"},
	2: {"general_error", "general error"},
	3: {"admin_shutdown", "shut down by the server's administrator"},
	4: {"requested", "ended on request"},
}

// Key returns a short name that never changes.
func (r DisconnectResult) Key() string { return keyOf(disconnectWords, uint8(r)) }

// String returns the meaning in plain English.
func (r DisconnectResult) String() string { return textOf(disconnectWords, uint8(r)) }

// ReplyResult is the result code of a StopCCRP or an EchoReply.
type ReplyResult uint8

// The results of a stop or an echo.
const (
	ReplyOK           ReplyResult = 1
	ReplyGeneralError ReplyResult = 2
)

var replyWords = map[uint8]codeName{
	1: {"ok", "done"},
	2: {"general_error", "general error"},
}

// Key returns a short name that never changes.
func (r ReplyResult) Key() string { return keyOf(replyWords, uint8(r)) }

// String returns the meaning in plain English.
func (r ReplyResult) String() string { return textOf(replyWords, uint8(r)) }

// StopReason says why a side ends the control connection (RFC 2637 section
// 2.3).
type StopReason uint8

// The reasons of a stop.
const (
	StopNone          StopReason = 1
	StopProtocol      StopReason = 2
	StopLocalShutdown StopReason = 3
)

var stopWords = map[uint8]codeName{
	1: {"none", "no special reason"},
	2: {"protocol", "the protocol version is not supported"},
	3: {"local_shutdown", "the computer is shutting down"},
}

// Key returns a short name that never changes.
func (r StopReason) Key() string { return keyOf(stopWords, uint8(r)) }

// String returns the meaning in plain English.
func (r StopReason) String() string { return textOf(stopWords, uint8(r)) }

// GeneralError is the error code of a result "general error" (RFC 2637 section 2.16).
type GeneralError uint8

// The general errors.
const (
	ErrorNone         GeneralError = 0
	ErrorNotConnected GeneralError = 1
	ErrorBadFormat    GeneralError = 2
	ErrorBadValue     GeneralError = 3
	ErrorNoResource   GeneralError = 4
	ErrorBadCallID    GeneralError = 5
	ErrorPAC          GeneralError = 6
)

var generalWords = map[uint8]codeName{
	0: {"none", "no error"},
	1: {"not_connected", "there is no control connection yet"},
	2: {"bad_format", "a length or the magic cookie is wrong"},
	3: {"bad_value", "a field has a value out of range"},
	4: {"no_resource", "the server has no resources left"},
	5: {"bad_call_id", "the call id is invalid here"},
	6: {"pac_error", "the server failed in a way of its own"},
}

// Key returns a short name that never changes.
func (e GeneralError) Key() string { return keyOf(generalWords, uint8(e)) }

// String returns the meaning in plain English.
func (e GeneralError) String() string { return textOf(generalWords, uint8(e)) }

// Cause is the cause code of an OCRP or a CDN: the ITU-T Q.931 cause of a call that ends
// on ISDN. Servers without telephone lines mostly send zero.
type Cause uint16

// The known causes, with the numbers of Q.931.
var causeWords = map[uint8]codeName{
	0:  {"none", "no cause given"},
	1:  {"unallocated", "unallocated number"},
	16: {"normal", "normal clearing"},
	17: {"busy", "user busy"},
	18: {"no_response", "no user responding"},
	19: {"no_answer", "no answer from user"},
	21: {"rejected", "call rejected"},
	27: {"out_of_order", "destination out of order"},
	34: {"no_channel", "no channel available"},
	38: {"network", "network out of order"},
	41: {"temporary", "temporary failure"},
	42: {"congestion", "congestion"},
	47: {"no_resource", "resource unavailable"},
	57: {"not_authorised", "bearer capability not authorised"},
}

// Key returns a short name that never changes.
func (c Cause) Key() string {
	if c > 255 {
		return "unknown"
	}
	return keyOf(causeWords, uint8(c))
}

// String returns the meaning in plain English.
func (c Cause) String() string {
	if c > 255 {
		return fmt.Sprintf("unknown code %d", uint16(c))
	}
	return textOf(causeWords, uint8(c))
}
