package control

const (
	ocrqLen = 168
	ocrpLen = 32
)

// OCRQ is the Outgoing-Call-Request, RFC 2637 section 2.7: the client asks for
// a tunnel. It is 168 bytes long.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|            Call ID            |      Call Serial Number       |  12
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                          Minimum BPS                          |  16
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                          Maximum BPS                          |  20
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                          Bearer Type                          |  24
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                          Framing Type                         |  28
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Packet Recv. Window Size    |    Packet Processing Delay    |  32
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|      Phone Number Length      |           Reserved1           |  36
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                   Phone Number (64 octets)                    |  40
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                    Subaddress (64 octets)                     | 104
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type OCRQ struct {
	CallID     uint16 // what the server writes into its GRE packets to us
	Serial     uint16 // names the call in logs of both sides
	MinBPS     uint32 // bits per second
	MaxBPS     uint32 // bits per second
	Bearer     uint32
	Framing    uint32
	Window     uint16 // GRE packets that we are ready to buffer
	Delay      uint16 // our processing delay, tenths of a second
	PhoneLen   uint16
	Phone      string // at most 64 bytes
	Subaddress string // at most 64 bytes
}

// Type implements Message.
func (OCRQ) Type() Type { return TypeOCRQ }

// Append implements Message.
func (m OCRQ) Append(b []byte) []byte {
	b = appendHeader(b, classControl, TypeOCRQ, ocrqLen)
	b = be.AppendUint16(b, m.CallID)
	b = be.AppendUint16(b, m.Serial)
	b = be.AppendUint32(b, m.MinBPS)
	b = be.AppendUint32(b, m.MaxBPS)
	b = be.AppendUint32(b, m.Bearer)
	b = be.AppendUint32(b, m.Framing)
	b = be.AppendUint16(b, m.Window)
	b = be.AppendUint16(b, m.Delay)
	b = be.AppendUint16(b, m.PhoneLen)
	b = be.AppendUint16(b, 0)
	b = appendText(b, m.Phone)
	return appendText(b, m.Subaddress)
}

func parseOCRQ(b []byte) Message {
	return OCRQ{
		CallID:     be.Uint16(b[12:]),
		Serial:     be.Uint16(b[14:]),
		MinBPS:     be.Uint32(b[16:]),
		MaxBPS:     be.Uint32(b[20:]),
		Bearer:     be.Uint32(b[24:]),
		Framing:    be.Uint32(b[28:]),
		Window:     be.Uint16(b[32:]),
		Delay:      be.Uint16(b[34:]),
		PhoneLen:   be.Uint16(b[36:]),
		Phone:      parseText(b[40:104]),
		Subaddress: parseText(b[104:168]),
	}
}

// OCRP is the Outgoing-Call-Reply, RFC 2637 section 2.8. It is 32 bytes long.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|            Call ID            |         Peer's Call ID        |  12
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|  Result Code  |  Error Code   |          Cause Code           |  16
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                         Connect Speed                         |  20
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Packet Recv. Window Size    |    Packet Processing Delay    |  24
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                      Physical Channel ID                      |  28
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type OCRP struct {
	CallID     uint16 // what we write into our GRE packets to the server
	PeerCallID uint16 // our own call id, repeated; some servers swap its bytes
	Result     CallResult
	General    GeneralError // has a meaning when Result is CallGeneralError
	Cause      Cause
	Speed      uint32 // bits per second
	Window     uint16 // GRE packets that the server is ready to buffer
	Delay      uint16 // its processing delay, tenths of a second
	Channel    uint32
}

// Type implements Message.
func (OCRP) Type() Type { return TypeOCRP }

// Append implements Message.
func (m OCRP) Append(b []byte) []byte {
	b = appendHeader(b, classControl, TypeOCRP, ocrpLen)
	b = be.AppendUint16(b, m.CallID)
	b = be.AppendUint16(b, m.PeerCallID)
	b = append(b, byte(m.Result), byte(m.General))
	b = be.AppendUint16(b, uint16(m.Cause))
	b = be.AppendUint32(b, m.Speed)
	b = be.AppendUint16(b, m.Window)
	b = be.AppendUint16(b, m.Delay)
	return be.AppendUint32(b, m.Channel)
}

func parseOCRP(b []byte) Message {
	return OCRP{
		CallID:     be.Uint16(b[12:]),
		PeerCallID: be.Uint16(b[14:]),
		Result:     CallResult(b[16]),
		General:    GeneralError(b[17]),
		Cause:      Cause(be.Uint16(b[18:])),
		Speed:      be.Uint32(b[20:]),
		Window:     be.Uint16(b[24:]),
		Delay:      be.Uint16(b[26:]),
		Channel:    be.Uint32(b[28:]),
	}
}
