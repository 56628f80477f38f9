package pptp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"github.com/connexa-panel/connexa/internal/pptp/control"
	"github.com/connexa-panel/connexa/internal/pptp/mschap"
	"github.com/connexa-panel/connexa/internal/pptp/ppp"
)

// cleanText makes a peer's text safe to show.
func cleanText(s string) string { return control.Clean(s) }

// describePacket returns the event of a PPP control packet. The contents of PAP and
// CHAP packets are omitted, except the texts of their answers.
func describePacket(sent bool, proto ppp.Protocol, p ppp.Packet) Event {
	e := Event{Sent: sent, Protocol: proto.String(), Name: p.Code.String(), ID: int(p.ID), Len: len(p.Data)}
	switch proto {
	case ppp.PAP:
		e.Name = [...]string{ppp.PAPRequest: "Authenticate-Request", ppp.PAPAck: "Authenticate-Ack", ppp.PAPNak: "Authenticate-Nak"}[min(p.Code, ppp.PAPNak)]
		if !sent && p.Code != ppp.PAPRequest {
			e.Note = cleanText(ppp.PAPMessage(p.Data))
		}
	case ppp.CHAP:
		e.Name = [...]string{ppp.CHAPChallenge: "Challenge", ppp.CHAPResponse: "Response", ppp.CHAPSuccess: "Success", ppp.CHAPFailure: "Failure"}[min(p.Code, ppp.CHAPFailure)]
		e.Note = chapNote(p)
	case ppp.LCP, ppp.CCP, ppp.IPCP:
		e.Note = controlNote(proto, p)
	}
	return e
}

func chapNote(p ppp.Packet) string {
	switch p.Code {
	case ppp.CHAPChallenge:
		if v, err := ppp.ParseValue(p.Data); err == nil {
			return fmt.Sprintf("%d bytes from %q", len(v.Value), cleanText(v.Name))
		}
	case ppp.CHAPFailure:
		r := mschap.ParseRefused(string(p.Data))
		if r.Code == 0 {
			return cleanText(r.Text)
		}
		return fmt.Sprintf("E=%d %s", r.Code, cleanText(r.Text))
	case ppp.CHAPSuccess: // its S= is a proof derived from the password
		if _, text, ok := strings.Cut(string(p.Data), "M="); ok {
			return cleanText(text)
		}
	}
	return ""
}

func controlNote(proto ppp.Protocol, p ppp.Packet) string {
	switch p.Code {
	case ppp.ConfigureRequest, ppp.ConfigureAck, ppp.ConfigureNak, ppp.ConfigureReject:
		list, err := ppp.ParseOptions(p.Data)
		if err != nil {
			return "malformed options"
		}
		var names []string
		for _, o := range list {
			names = append(names, optionName(proto, o))
		}
		return strings.Join(names, ", ")
	case ppp.TerminateRequest:
		return cleanText(string(p.Data))
	case ppp.ProtocolReject:
		if proto == ppp.LCP && len(p.Data) >= 2 {
			return ppp.Protocol(binary.BigEndian.Uint16(p.Data)).String()
		}
	}
	return ""
}

// optionName returns an option in words. Magic numbers are not secret, but their value
// is of no use to a reader.
func optionName(proto ppp.Protocol, o ppp.Option) string {
	v := o.Value
	switch {
	case proto == ppp.LCP && o.Type == 1 && len(v) == 2:
		return fmt.Sprintf("MRU %d", binary.BigEndian.Uint16(v))
	case proto == ppp.LCP && o.Type == 3 && len(v) >= 2:
		a := ppp.Auth{Protocol: ppp.Protocol(binary.BigEndian.Uint16(v))}
		if len(v) > 2 {
			a.Algorithm = v[2]
		}
		return "auth " + a.String()
	case proto == ppp.LCP:
		if name := lcpNames[o.Type]; name != "" {
			return name
		}
	case proto == ppp.CCP && o.Type == 18 && len(v) == 4:
		return fmt.Sprintf("MPPE %#08x", binary.BigEndian.Uint32(v))
	case proto == ppp.IPCP && len(v) == 4:
		if name := ipcpNames[o.Type]; name != "" {
			return name + " " + netip.AddrFrom4([4]byte(v)).String()
		}
	}
	return fmt.Sprintf("option %d", o.Type)
}

// optionKind returns the name of an option without its value.
func optionKind(proto ppp.Protocol, o ppp.Option) string {
	switch {
	case proto == ppp.LCP && o.Type == 1:
		return "MRU"
	case proto == ppp.LCP && o.Type == 3:
		return "login method"
	case proto == ppp.LCP && lcpNames[o.Type] != "":
		return lcpNames[o.Type]
	case proto == ppp.CCP && o.Type == 18:
		return "MPPE"
	case proto == ppp.IPCP && ipcpNames[o.Type] != "":
		return ipcpNames[o.Type]
	}
	return fmt.Sprintf("option %d", o.Type)
}

var (
	lcpNames = map[uint8]string{
		2: "ACCM", 4: "quality", 5: "magic", 7: "PFC", 8: "ACFC", 13: "callback",
		17: "MRRU", 18: "short sequence numbers", 19: "endpoint discriminator", 23: "link discriminator",
	}
	ipcpNames = map[uint8]string{3: "address", 129: "DNS", 130: "WINS", 131: "DNS 2", 132: "WINS 2"}
)

// describeNotify returns every field of a Call-Disconnect-Notify in words, RFC 2637
// section 2.13.
func describeNotify(m control.CDN) string {
	s := fmt.Sprintf("Call-Disconnect-Notify: result %d (%s)", m.Result, m.Result)
	if m.Result == control.DisconnectGeneralError || m.General != control.ErrorNone {
		s += fmt.Sprintf(", error %d (%s)", m.General, m.General)
	}
	if m.Cause != 0 {
		s += fmt.Sprintf(", cause %d (%s)", uint16(m.Cause), m.Cause)
	}
	if text := cleanText(m.Statistics); text != "" {
		s += fmt.Sprintf(", %q", text)
	}
	return s
}

// describeControl returns the event of a message on the control connection.
func describeControl(sent bool, m control.Message) Event {
	e := Event{Sent: sent, Protocol: "PPTP", Name: m.Type().String(), ID: -1, Len: len(m.Append(nil)) - control.HeaderLen}
	switch m := m.(type) {
	case control.SCCRP:
		e.Note = fmt.Sprintf("result %d (%s), host %q, vendor %q", m.Result, m.Result, cleanText(m.Host), cleanText(m.Vendor))
	case control.OCRQ:
		e.Note = fmt.Sprintf("call id %d", m.CallID)
	case control.OCRP:
		e.Note = fmt.Sprintf("result %d (%s), call id %d, window %d", m.Result, m.Result, m.CallID, m.Window)
	case control.CDN:
		e.Note = fmt.Sprintf("result %d (%s), error %d, cause %d", m.Result, m.Result, m.General, m.Cause)
	case control.StopCCRQ:
		e.Note = fmt.Sprintf("reason %d", m.Reason)
	}
	return e
}
