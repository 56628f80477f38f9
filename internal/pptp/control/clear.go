package control

const (
	callClearLen = 16
	cdnLen       = 148
	statsLen     = 128
)

// CallClear is the Call-Clear-Request, RFC 2637 section 2.12: the client ends
// its call. It is 16 bytes long.
//
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|            Call ID            |           Reserved1           |  12
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type CallClear struct {
	CallID uint16 // the client's own
}

// Type implements Message.
func (CallClear) Type() Type { return TypeCallClear }

// Append implements Message.
func (m CallClear) Append(b []byte) []byte {
	b = appendHeader(b, classControl, TypeCallClear, callClearLen)
	b = be.AppendUint16(b, m.CallID)
	return be.AppendUint16(b, 0)
}

func parseCallClear(b []byte) Message {
	return CallClear{CallID: be.Uint16(b[12:])}
}

// CDN is the Call-Disconnect-Notify, RFC 2637 section 2.13: the server says
// that a call is over. It is 148 bytes long.
//
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|            Call ID            |  Result Code  |  Error Code   |  12
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|          Cause Code           |           Reserved1           |  16
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                  Call Statistics (128 octets)                 |  20
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// The call id is the server's by the RFC, the client's from some servers, and
// byte-swapped from others. With one call per connection it need not be read.
type CDN struct {
	CallID     uint16
	Result     DisconnectResult
	General    GeneralError // has a meaning when Result is DisconnectGeneralError
	Cause      Cause
	Statistics string // at most 128 bytes; show it through Clean
}

// Type implements Message.
func (CDN) Type() Type { return TypeCDN }

// Append implements Message.
func (m CDN) Append(b []byte) []byte {
	b = appendHeader(b, classControl, TypeCDN, cdnLen)
	b = be.AppendUint16(b, m.CallID)
	b = append(b, byte(m.Result), byte(m.General))
	b = be.AppendUint16(b, uint16(m.Cause))
	b = be.AppendUint16(b, 0)
	var stats [statsLen]byte
	copy(stats[:], m.Statistics)
	return append(b, stats[:]...)
}

func parseCDN(b []byte) Message {
	return CDN{
		CallID:     be.Uint16(b[12:]),
		Result:     DisconnectResult(b[14]),
		General:    GeneralError(b[15]),
		Cause:      Cause(be.Uint16(b[16:])),
		Statistics: parseText(b[20:148]),
	}
}
