package control

const (
	echoRequestLen = 16
	echoReplyLen   = 20
)

// EchoRequest asks for an EchoReply, RFC 2637 section 2.5. It is 16
// bytes long: the header and a number that the reply repeats.
type EchoRequest struct {
	ID uint32
}

// Type implements Message.
func (EchoRequest) Type() Type { return TypeEchoRequest }

// Append implements Message.
func (m EchoRequest) Append(b []byte) []byte {
	b = appendHeader(b, classControl, TypeEchoRequest, echoRequestLen)
	return be.AppendUint32(b, m.ID)
}

func parseEchoRequest(b []byte) Message {
	return EchoRequest{ID: be.Uint32(b[12:])}
}

// EchoReply answers an EchoRequest, RFC 2637 section 2.6. It is 20 bytes long.
//
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                          Identifier                           |  12
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|  Result Code  |  Error Code   |           Reserved1           |  16
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type EchoReply struct {
	ID      uint32
	Result  ReplyResult
	General GeneralError // has a meaning when Result is ReplyGeneralError
}

// Type implements Message.
func (EchoReply) Type() Type { return TypeEchoReply }

// Append implements Message.
func (m EchoReply) Append(b []byte) []byte {
	b = appendHeader(b, classControl, TypeEchoReply, echoReplyLen)
	b = be.AppendUint32(b, m.ID)
	return append(b, byte(m.Result), byte(m.General), 0, 0)
}

func parseEchoReply(b []byte) Message {
	return EchoReply{ID: be.Uint32(b[12:]), Result: ReplyResult(b[16]), General: GeneralError(b[17])}
}
