package control

// Unknown is a well-framed message of a type that RFC 2637 does not define.
// A connection passes over it.
type Unknown struct {
	Class   uint16 // PPTP message type: 1 is control, 2 management
	Control Type
	Body    []byte // what follows the header, at most MaxLen - HeaderLen bytes
}

// Type implements Message.
func (m Unknown) Type() Type { return m.Control }

// Append implements Message.
func (m Unknown) Append(b []byte) []byte {
	body := m.Body[:min(len(m.Body), MaxLen-HeaderLen)]
	b = appendHeader(b, m.Class, m.Control, HeaderLen+len(body))
	return append(b, body...)
}
