package control

const (
	stopCCRQLen = 16
	stopCCRPLen = 16
)

// StopCCRQ is the Stop-Control-Connection-Request, RFC 2637 section 2.3. It is
// 16 bytes long.
//
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|    Reason     |   Reserved1   |           Reserved2           |  12
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type StopCCRQ struct {
	Reason StopReason
}

// Type implements Message.
func (StopCCRQ) Type() Type { return TypeStopCCRQ }

// Append implements Message.
func (m StopCCRQ) Append(b []byte) []byte {
	b = appendHeader(b, classControl, TypeStopCCRQ, stopCCRQLen)
	return append(b, byte(m.Reason), 0, 0, 0)
}

func parseStopCCRQ(b []byte) Message {
	return StopCCRQ{Reason: StopReason(b[12])}
}

// StopCCRP is the Stop-Control-Connection-Reply, RFC 2637 section 2.4. It is
// 16 bytes long.
//
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|  Result Code  |  Error Code   |           Reserved1           |  12
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type StopCCRP struct {
	Result  ReplyResult
	General GeneralError // has a meaning when Result is ReplyGeneralError
}

// Type implements Message.
func (StopCCRP) Type() Type { return TypeStopCCRP }

// Append implements Message.
func (m StopCCRP) Append(b []byte) []byte {
	b = appendHeader(b, classControl, TypeStopCCRP, stopCCRPLen)
	return append(b, byte(m.Result), byte(m.General), 0, 0)
}

func parseStopCCRP(b []byte) Message {
	return StopCCRP{Result: ReplyResult(b[12]), General: GeneralError(b[13])}
}
