package ppp

import "net/netip"

// Option types of IPCP, RFC 1332 and RFC 1877.
const (
	optAddress = 3
	optDNS1    = 129
	optDNS2    = 131
)

// IPCPOptions is the Policy of IPCP, for either side.
type IPCPOptions struct {
	Local   netip.Addr    // our address; the zero Addr requests one
	AskDNS  bool          // request name servers
	DNS     [2]netip.Addr // the name servers of the peer, or those that a server assigns (see Assign)
	Assign  netip.Addr    // the peer's address, if we assign it
	Peer    netip.Addr    // the peer's address
	Refusal bool          // the peer refuses to assign us an address

	noDNS [2]bool
}

// Request implements Policy.
func (i *IPCPOptions) Request(b []byte) []byte {
	if !i.Refusal {
		b = optionAddr(optAddress, i.Local).Append(b)
	}
	for n, t := range []uint8{optDNS1, optDNS2} {
		if i.AskDNS && !i.noDNS[n] {
			b = optionAddr(t, i.DNS[n]).Append(b)
		}
	}
	return b
}

// Needs implements Needs: a session without an address is useless.
func (i *IPCPOptions) Needs(option uint8) bool { return option == optAddress }

// Judge implements Policy. If we assign no address, the peer's own is acknowledged even
// if it is 0.0.0.0: a tunnel does not need it.
func (i *IPCPOptions) Judge(request []byte, final bool) (Code, []byte) {
	list, err := ParseOptions(request)
	if err != nil {
		return ConfigureReject, request
	}
	var v verdict
	peer := i.Assign
	for _, o := range list {
		give, known := i.assignedValue(o.Type)
		switch {
		case !known || len(o.Value) != 4:
			v.reject = append(v.reject, o)
		case give.IsValid() && give != netip.AddrFrom4([4]byte(o.Value)):
			if final {
				v.reject = append(v.reject, o)
			} else {
				v.nak = append(v.nak, optionAddr(o.Type, give))
			}
		case o.Type == optAddress:
			peer = netip.AddrFrom4([4]byte(o.Value))
		}
	}
	code, answer := v.buildAnswer(request)
	if code == ConfigureAck {
		i.Peer = peer
	}
	return code, answer
}

// assignedValue returns the value that the peer must use for an option, if there is one,
// and whether it may use that option at all.
func (i *IPCPOptions) assignedValue(t uint8) (netip.Addr, bool) {
	switch {
	case t == optAddress:
		return i.Assign, true
	case t == optDNS1 && i.Assign.IsValid():
		return i.DNS[0], i.DNS[0].IsValid()
	case t == optDNS2 && i.Assign.IsValid():
		return i.DNS[1], i.DNS[1].IsValid()
	}
	return netip.Addr{}, false
}

// Acked implements Policy.
func (i *IPCPOptions) Acked() {}

// Refused implements Policy.
func (i *IPCPOptions) Refused(code Code, options []byte) {
	list, err := ParseOptions(options)
	if err != nil {
		return
	}
	for _, o := range list {
		var a netip.Addr
		if len(o.Value) == 4 {
			a = netip.AddrFrom4([4]byte(o.Value))
		}
		rejected := code == ConfigureReject || !a.IsValid()
		switch o.Type {
		case optAddress:
			i.Refusal = rejected
			i.Local = a
		case optDNS1:
			i.noDNS[0], i.DNS[0] = rejected, a
		case optDNS2:
			i.noDNS[1], i.DNS[1] = rejected, a
		}
	}
}
