package control

const (
	sccrqLen = 156
	sccrpLen = 156
)

// Capabilities in the start messages, and the types that a call requests.
const (
	FramingAsync uint32 = 1
	FramingSync  uint32 = 2

	BearerAnalog  uint32 = 1
	BearerDigital uint32 = 2
)

// SCCRQ is the Start-Control-Connection-Request, RFC 2637 section 2.1. It is
// 156 bytes long.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|       Protocol Version        |           Reserved1           |  12
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                     Framing Capabilities                      |  16
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                      Bearer Capabilities                      |  20
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|       Maximum Channels        |       Firmware Revision       |  24
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                     Host Name (64 octets)                     |  28
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                   Vendor String (64 octets)                   |  92
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type SCCRQ struct {
	Version     uint16 // 0x0100 is version 1.0
	Framing     uint32
	Bearer      uint32
	MaxChannels uint16
	Firmware    uint16
	Host        string // at most 64 bytes
	Vendor      string // at most 64 bytes
}

// Type implements Message.
func (SCCRQ) Type() Type { return TypeSCCRQ }

// Append implements Message.
func (m SCCRQ) Append(b []byte) []byte {
	b = appendHeader(b, classControl, TypeSCCRQ, sccrqLen)
	b = be.AppendUint16(b, m.Version)
	b = be.AppendUint16(b, 0)
	b = be.AppendUint32(b, m.Framing)
	b = be.AppendUint32(b, m.Bearer)
	b = be.AppendUint16(b, m.MaxChannels)
	b = be.AppendUint16(b, m.Firmware)
	b = appendText(b, m.Host)
	return appendText(b, m.Vendor)
}

func parseSCCRQ(b []byte) Message {
	return SCCRQ{
		Version:     be.Uint16(b[12:]),
		Framing:     be.Uint32(b[16:]),
		Bearer:      be.Uint32(b[20:]),
		MaxChannels: be.Uint16(b[24:]),
		Firmware:    be.Uint16(b[26:]),
		Host:        parseText(b[28:92]),
		Vendor:      parseText(b[92:156]),
	}
}

// SCCRP is the Start-Control-Connection-Reply, RFC 2637 section 2.2. It is 156
// bytes long and laid out as the request, but for the reserved field, which
// holds the result:
//
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|       Protocol Version        |  Result Code  |  Error Code   |  12
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type SCCRP struct {
	Version     uint16
	Result      StartResult
	General     GeneralError // has a meaning when Result is StartGeneralError
	Framing     uint32
	Bearer      uint32
	MaxChannels uint16
	Firmware    uint16
	Host        string // as the server sent it; pass it to Clean before showing it
	Vendor      string // as the server sent it; pass it to Clean before showing it
}

// Type implements Message.
func (SCCRP) Type() Type { return TypeSCCRP }

// Append implements Message.
func (m SCCRP) Append(b []byte) []byte {
	b = appendHeader(b, classControl, TypeSCCRP, sccrpLen)
	b = be.AppendUint16(b, m.Version)
	b = append(b, byte(m.Result), byte(m.General))
	b = be.AppendUint32(b, m.Framing)
	b = be.AppendUint32(b, m.Bearer)
	b = be.AppendUint16(b, m.MaxChannels)
	b = be.AppendUint16(b, m.Firmware)
	b = appendText(b, m.Host)
	return appendText(b, m.Vendor)
}

func parseSCCRP(b []byte) Message {
	return SCCRP{
		Version:     be.Uint16(b[12:]),
		Result:      StartResult(b[14]),
		General:     GeneralError(b[15]),
		Framing:     be.Uint32(b[16:]),
		Bearer:      be.Uint32(b[20:]),
		MaxChannels: be.Uint16(b[24:]),
		Firmware:    be.Uint16(b[26:]),
		Host:        parseText(b[28:92]),
		Vendor:      parseText(b[92:156]),
	}
}

// Server returns how the server identifies itself.
func (m SCCRP) Server() Server {
	return Server{Vendor: m.Vendor, Host: m.Host, Firmware: m.Firmware}
}

// Server is how a server identifies itself: pptpd sends "local" and "linux",
// accel-ppp "local" and "cananian". The texts are unchanged from the wire;
// pass them to Clean before showing them.
type Server struct {
	Vendor   string
	Host     string
	Firmware uint16
}
