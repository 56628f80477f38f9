package control

// Unknown is a well-formed message of a type that RFC 2637 does not define.
// Conn ignores it.
type Unknown struct {
	Class   uint16 // PPTP message type: 1 is control, 2 management
	Control Type
	Body    []byte // the bytes after the header, at most MaxLen - HeaderLen
}

// Type implements Message.
func (m Unknown) Type() Type { return m.Control }

// Append implements Message.
func (m Unknown) Append(b []byte) []byte {
	body := m.Body[:min(len(m.Body), MaxLen-HeaderLen)]
	b = appendHeader(b, m.Class, m.Control, HeaderLen+len(body))
	return append(b, body...)
}
