package ppp

import "fmt"

// Codes of PAP (RFC 1334 section 2.2).
const (
	PAPRequest Code = 1
	PAPAck     Code = 2
	PAPNak     Code = 3
)

// Codes of CHAP (RFC 1994 section 4).
const (
	CHAPChallenge Code = 1
	CHAPResponse  Code = 2
	CHAPSuccess   Code = 3
	CHAPFailure   Code = 4
)

// Credentials are the contents of a PAP request, RFC 1334 section 2.2.1.
//
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	| Peer-ID Length|  Peer-Id ...
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	| Passwd-Length |  Password ...
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type Credentials struct {
	Name, Password string // at most 255 bytes each
}

// Append appends the contents to b.
func (c Credentials) Append(b []byte) []byte {
	b = append(b, byte(len(c.Name)))
	b = append(b, c.Name...)
	b = append(b, byte(len(c.Password)))
	return append(b, c.Password...)
}

// ParseCredentials parses the contents of a PAP request.
func ParseCredentials(b []byte) (Credentials, error) {
	name, rest, ok := cutCounted(b)
	if !ok {
		return Credentials{}, fmt.Errorf("%w: PAP name", ErrMalformed)
	}
	password, _, ok := cutCounted(rest)
	if !ok {
		return Credentials{}, fmt.Errorf("%w: PAP password", ErrMalformed)
	}
	return Credentials{string(name), string(password)}, nil
}

// PAPMessage returns the text of a PAP Ack or Nak, RFC 1334 section 2.2.2. It also
// accepts a text without its length, as some servers send it.
func PAPMessage(b []byte) string {
	if text, _, ok := cutCounted(b); ok {
		return string(text)
	}
	return string(b)
}

// Value is the contents of a CHAP challenge or response, RFC 1994 section 4.1.
//
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|  Value-Size   |  Value ...
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|  Name ...
//	+-+-+-+-+-+-+-+-+
type Value struct {
	Value []byte // at most 255 bytes
	Name  string
}

// Append appends the contents to b.
func (v Value) Append(b []byte) []byte {
	b = append(b, byte(len(v.Value)))
	b = append(b, v.Value...)
	return append(b, v.Name...)
}

// ParseValue parses the contents of a challenge or response; Value aliases b.
func ParseValue(b []byte) (Value, error) {
	value, name, ok := cutCounted(b)
	if !ok {
		return Value{}, fmt.Errorf("%w: CHAP value", ErrMalformed)
	}
	return Value{value, string(name)}, nil
}

func cutCounted(b []byte) (text, rest []byte, ok bool) {
	if len(b) < 1 || len(b) < 1+int(b[0]) {
		return nil, nil, false
	}
	n := 1 + int(b[0])
	return b[1:n:n], b[n:], true
}

// MSResponse is the value of an MS-CHAP response, 49 bytes. It starts with the client's
// own challenge (RFC 2759 section 4) or, for MS-CHAPv1, with an empty LM response
// (RFC 2433 section 4).
type MSResponse struct {
	PeerChallenge [16]byte // MS-CHAPv2 only
	NT            [24]byte
	Flags         uint8 // 1 with MS-CHAPv1: use the NT response
}

// MSResponseLen is the length of an MSResponse, in bytes.
const MSResponseLen = 49

// Append appends the value to b.
func (r MSResponse) Append(b []byte) []byte {
	b = append(b, r.PeerChallenge[:]...)
	b = append(b, make([]byte, 8)...)
	b = append(b, r.NT[:]...)
	return append(b, r.Flags)
}

// ParseMSResponse parses a value of 49 bytes. It fails on an LM response, which
// no client should send.
func ParseMSResponse(b []byte) (r MSResponse, err error) {
	if len(b) != MSResponseLen {
		return r, fmt.Errorf("%w: MS-CHAP response of %d bytes", ErrMalformed, len(b))
	}
	for _, v := range b[16:24] {
		if v != 0 {
			return r, fmt.Errorf("%w: reserved bytes of an MS-CHAP response", ErrMalformed)
		}
	}
	copy(r.PeerChallenge[:], b)
	copy(r.NT[:], b[24:])
	r.Flags = b[48]
	return r, nil
}
