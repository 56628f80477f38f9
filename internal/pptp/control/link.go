package control

const (
	wenLen = 40
	sliLen = 24
)

// WEN is the WAN-Error-Notify, RFC 2637 section 2.14: the server counts what
// went wrong on its serial line. It is 40 bytes long.
//
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|         Peer's Call ID        |           Reserved1           |  12
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                          CRC Errors                           |  16
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                        Framing Errors                         |  20
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                       Hardware Overruns                       |  24
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                        Buffer Overruns                        |  28
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                        Time-out Errors                        |  32
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                       Alignment Errors                        |  36
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type WEN struct {
	PeerCallID       uint16
	CRCErrors        uint32
	FramingErrors    uint32
	HardwareOverruns uint32
	BufferOverruns   uint32
	TimeoutErrors    uint32
	AlignmentErrors  uint32
}

// Type implements Message.
func (WEN) Type() Type { return TypeWEN }

// Append implements Message.
func (m WEN) Append(b []byte) []byte {
	b = appendHeader(b, classControl, TypeWEN, wenLen)
	b = be.AppendUint16(b, m.PeerCallID)
	b = be.AppendUint16(b, 0)
	b = be.AppendUint32(b, m.CRCErrors)
	b = be.AppendUint32(b, m.FramingErrors)
	b = be.AppendUint32(b, m.HardwareOverruns)
	b = be.AppendUint32(b, m.BufferOverruns)
	b = be.AppendUint32(b, m.TimeoutErrors)
	return be.AppendUint32(b, m.AlignmentErrors)
}

func parseWEN(b []byte) Message {
	return WEN{
		PeerCallID:       be.Uint16(b[12:]),
		CRCErrors:        be.Uint32(b[16:]),
		FramingErrors:    be.Uint32(b[20:]),
		HardwareOverruns: be.Uint32(b[24:]),
		BufferOverruns:   be.Uint32(b[28:]),
		TimeoutErrors:    be.Uint32(b[32:]),
		AlignmentErrors:  be.Uint32(b[36:]),
	}
}

// NoMap is the neutral async control character map of a Set-Link-Info: without a
// serial line no character needs escaping.
const NoMap uint32 = 0xffffffff

// SLI is the Set-Link-Info, RFC 2637 section 2.15. It is 24 bytes long.
//
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|         Peer's Call ID        |           Reserved1           |  12
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                           Send ACCM                           |  16
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                         Receive ACCM                          |  20
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type SLI struct {
	PeerCallID  uint16 // the receiver's
	SendACCM    uint32
	ReceiveACCM uint32
}

// Type implements Message.
func (SLI) Type() Type { return TypeSLI }

// Append implements Message.
func (m SLI) Append(b []byte) []byte {
	b = appendHeader(b, classControl, TypeSLI, sliLen)
	b = be.AppendUint16(b, m.PeerCallID)
	b = be.AppendUint16(b, 0)
	b = be.AppendUint32(b, m.SendACCM)
	return be.AppendUint32(b, m.ReceiveACCM)
}

func parseSLI(b []byte) Message {
	return SLI{
		PeerCallID:  be.Uint16(b[12:]),
		SendACCM:    be.Uint32(b[16:]),
		ReceiveACCM: be.Uint32(b[20:]),
	}
}
