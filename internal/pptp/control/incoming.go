package control

const (
	icrqLen = 220
	icrpLen = 24
	iccnLen = 28
)

// ICRQ is the Incoming-Call-Request, RFC 2637 section 2.9: the server announces
// a call to us. A client of a VPN server expects none and declines. It is 220
// bytes long.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|            Call ID            |      Call Serial Number       |  12
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                       Call Bearer Type                        |  16
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                      Physical Channel ID                      |  20
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|     Dialed Number Length      |     Dialing Number Length     |  24
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                   Dialed Number (64 octets)                   |  28
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                  Dialing Number (64 octets)                   |  92
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                    Subaddress (64 octets)                     | 156
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type ICRQ struct {
	CallID     uint16
	Serial     uint16
	Bearer     uint32
	Channel    uint32
	DialedLen  uint16
	DialingLen uint16
	Dialed     string // at most 64 bytes
	Dialing    string // at most 64 bytes
	Subaddress string // at most 64 bytes
}

// Type implements Message.
func (ICRQ) Type() Type { return TypeICRQ }

// Append implements Message.
func (m ICRQ) Append(b []byte) []byte {
	b = appendHeader(b, classControl, TypeICRQ, icrqLen)
	b = be.AppendUint16(b, m.CallID)
	b = be.AppendUint16(b, m.Serial)
	b = be.AppendUint32(b, m.Bearer)
	b = be.AppendUint32(b, m.Channel)
	b = be.AppendUint16(b, m.DialedLen)
	b = be.AppendUint16(b, m.DialingLen)
	b = appendText(b, m.Dialed)
	b = appendText(b, m.Dialing)
	return appendText(b, m.Subaddress)
}

func parseICRQ(b []byte) Message {
	return ICRQ{
		CallID:     be.Uint16(b[12:]),
		Serial:     be.Uint16(b[14:]),
		Bearer:     be.Uint32(b[16:]),
		Channel:    be.Uint32(b[20:]),
		DialedLen:  be.Uint16(b[24:]),
		DialingLen: be.Uint16(b[26:]),
		Dialed:     parseText(b[28:92]),
		Dialing:    parseText(b[92:156]),
		Subaddress: parseText(b[156:220]),
	}
}

// ICRP is the Incoming-Call-Reply, RFC 2637 section 2.10. It is 24 bytes long.
//
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|            Call ID            |         Peer's Call ID        |  12
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|  Result Code  |  Error Code   |   Packet Recv. Window Size    |  16
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|     Packet Transmit Delay     |           Reserved1           |  20
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type ICRP struct {
	CallID     uint16
	PeerCallID uint16
	Result     IncomingResult
	General    GeneralError // has a meaning when Result is IncomingGeneralError
	Window     uint16
	Delay      uint16 // tenths of a second
}

// Type implements Message.
func (ICRP) Type() Type { return TypeICRP }

// Append implements Message.
func (m ICRP) Append(b []byte) []byte {
	b = appendHeader(b, classControl, TypeICRP, icrpLen)
	b = be.AppendUint16(b, m.CallID)
	b = be.AppendUint16(b, m.PeerCallID)
	b = append(b, byte(m.Result), byte(m.General))
	b = be.AppendUint16(b, m.Window)
	b = be.AppendUint16(b, m.Delay)
	return be.AppendUint16(b, 0)
}

func parseICRP(b []byte) Message {
	return ICRP{
		CallID:     be.Uint16(b[12:]),
		PeerCallID: be.Uint16(b[14:]),
		Result:     IncomingResult(b[16]),
		General:    GeneralError(b[17]),
		Window:     be.Uint16(b[18:]),
		Delay:      be.Uint16(b[20:]),
	}
}

// ICCN is the Incoming-Call-Connected, RFC 2637 section 2.11. It is 28 bytes
// long.
//
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|         Peer's Call ID        |           Reserved1           |  12
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                         Connect Speed                         |  16
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Packet Recv. Window Size    |     Packet Transmit Delay     |  20
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                         Framing Type                          |  24
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type ICCN struct {
	PeerCallID uint16
	Speed      uint32 // bits per second
	Window     uint16
	Delay      uint16 // tenths of a second
	Framing    uint32
}

// Type implements Message.
func (ICCN) Type() Type { return TypeICCN }

// Append implements Message.
func (m ICCN) Append(b []byte) []byte {
	b = appendHeader(b, classControl, TypeICCN, iccnLen)
	b = be.AppendUint16(b, m.PeerCallID)
	b = be.AppendUint16(b, 0)
	b = be.AppendUint32(b, m.Speed)
	b = be.AppendUint16(b, m.Window)
	b = be.AppendUint16(b, m.Delay)
	return be.AppendUint32(b, m.Framing)
}

func parseICCN(b []byte) Message {
	return ICCN{
		PeerCallID: be.Uint16(b[12:]),
		Speed:      be.Uint32(b[16:]),
		Window:     be.Uint16(b[20:]),
		Delay:      be.Uint16(b[22:]),
		Framing:    be.Uint32(b[24:]),
	}
}
