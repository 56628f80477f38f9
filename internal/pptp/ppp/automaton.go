package ppp

// The option negotiation automaton of RFC 1661 section 4.1, cell by cell.
type (
	// State is a state of the automaton.
	State  uint8
	event  uint8
	action uint8
)

// The states, numbered as in the RFC.
const (
	Initial State = iota
	Starting
	Closed
	Stopped
	Closing
	Stopping
	ReqSent
	AckRcvd
	AckSent
	Opened
)

func (s State) String() string {
	return [...]string{"Initial", "Starting", "Closed", "Stopped", "Closing", "Stopping", "Req-Sent", "Ack-Rcvd", "Ack-Sent", "Opened"}[s]
}

const (
	evUp        event = iota // the lower layer is up
	evDown                   // the lower layer is down
	evOpen                   // administrative Open
	evClose                  // administrative Close
	evTimeout                // TO+: the restart counter is above 0
	evExpired                // TO-: the restart counter is 0
	evReqGood                // RCR+
	evReqBad                 // RCR-
	evAck                    // RCA
	evNak                    // RCN: a Nak or a Reject
	evTermReq                // RTR
	evTermAck                // RTA
	evUnknown                // RUC
	evRejOK                  // RXJ+: an acceptable rejection
	evRejFatal               // RXJ-
	evEcho                   // RXR
	eventsCount = iota
)

const (
	tlu action = iota // this layer up
	tld               // this layer down
	tls               // this layer started
	tlf               // this layer finished
	irc               // initialize the restart counter
	zrc               // zero the restart counter
	scr               // send Configure-Request
	sca               // send Configure-Ack
	scn               // send Configure-Nak or -Reject
	str               // send Terminate-Request
	sta               // send Terminate-Ack
	scj               // send Code-Reject
	ser               // send Echo-Reply
)

type cell struct {
	next State
	do   []action
}

func to(next State, do ...action) *cell { return &cell{next, do} }

// automaton has a row per event and a column per state. An empty cell cannot
// occur or is ignored. The RFC's notes p (passive) and r (restart) are not
// implemented; x marks a crossed connection, which needs nothing here.
var automaton = [eventsCount][Opened + 1]*cell{
	evUp:       {to(Closed), to(ReqSent, irc, scr)},
	evDown:     {nil, nil, to(Initial), to(Starting, tls), to(Initial), to(Starting), to(Starting), to(Starting), to(Starting), to(Starting, tld)},
	evOpen:     {to(Starting, tls), to(Starting), to(ReqSent, irc, scr), to(Stopped), to(Stopping), to(Stopping), to(ReqSent), to(AckRcvd), to(AckSent), to(Opened)},
	evClose:    {to(Initial), to(Initial, tlf), to(Closed), to(Closed), to(Closing), to(Closing), to(Closing, irc, str), to(Closing, irc, str), to(Closing, irc, str), to(Closing, tld, irc, str)},
	evTimeout:  {nil, nil, nil, nil, to(Closing, str), to(Stopping, str), to(ReqSent, scr), to(ReqSent, scr), to(AckSent, scr), nil},
	evExpired:  {nil, nil, nil, nil, to(Closed, tlf), to(Stopped, tlf), to(Stopped, tlf), to(Stopped, tlf), to(Stopped, tlf), nil},
	evReqGood:  {nil, nil, to(Closed, sta), to(AckSent, irc, scr, sca), to(Closing), to(Stopping), to(AckSent, sca), to(Opened, sca, tlu), to(AckSent, sca), to(AckSent, tld, scr, sca)},
	evReqBad:   {nil, nil, to(Closed, sta), to(ReqSent, irc, scr, scn), to(Closing), to(Stopping), to(ReqSent, scn), to(AckRcvd, scn), to(ReqSent, scn), to(ReqSent, tld, scr, scn)},
	evAck:      {nil, nil, to(Closed, sta), to(Stopped, sta), to(Closing), to(Stopping), to(AckRcvd, irc), to(ReqSent, scr), to(Opened, irc, tlu), to(ReqSent, tld, scr)},
	evNak:      {nil, nil, to(Closed, sta), to(Stopped, sta), to(Closing), to(Stopping), to(ReqSent, irc, scr), to(ReqSent, scr), to(AckSent, irc, scr), to(ReqSent, tld, scr)},
	evTermReq:  {nil, nil, to(Closed, sta), to(Stopped, sta), to(Closing, sta), to(Stopping, sta), to(ReqSent, sta), to(ReqSent, sta), to(ReqSent, sta), to(Stopping, tld, zrc, sta)},
	evTermAck:  {nil, nil, to(Closed), to(Stopped), to(Closed, tlf), to(Stopped, tlf), to(ReqSent), to(ReqSent), to(AckSent), to(ReqSent, tld, scr)},
	evUnknown:  {nil, nil, to(Closed, scj), to(Stopped, scj), to(Closing, scj), to(Stopping, scj), to(ReqSent, scj), to(AckRcvd, scj), to(AckSent, scj), to(Opened, scj)},
	evRejOK:    {nil, nil, to(Closed), to(Stopped), to(Closing), to(Stopping), to(ReqSent), to(ReqSent), to(AckSent), to(Opened)},
	evRejFatal: {nil, nil, to(Closed, tlf), to(Stopped, tlf), to(Closed, tlf), to(Stopped, tlf), to(Stopped, tlf), to(Stopped, tlf), to(Stopped, tlf), to(Stopping, tld, irc, str)},
	evEcho:     {nil, nil, to(Closed), to(Stopped), to(Closing), to(Stopping), to(ReqSent), to(AckRcvd), to(AckSent), to(Opened, ser)},
}
