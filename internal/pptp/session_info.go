package pptp

import (
	"net/netip"
	"time"

	"github.com/connexa-panel/connexa/internal/pptp/gre"
)

// Info describes an established session.
type Info struct {
	LocalIP    netip.Addr   // our address inside the tunnel
	PeerIP     netip.Addr   // the server's address inside the tunnel; it may be invalid or 0.0.0.0
	DNS        []netip.Addr // name servers that the server gave, possibly none
	Encryption string       // "MPPE-128 stateless", or "none"
	Bits       int          // length of the weaker direction's key; 0 if one direction is not encrypted
	Auth       string       // "MS-CHAPv2"
	MTU        int          // of IP packets, in bytes
	Server     Server       // as it identifies itself; its texts are safe to show
	Local      netip.Addr   // our address outside the tunnel
	Remote     netip.Addr   // the server's address outside the tunnel
	Trace      []StepResult
	SetUp      time.Duration // time from the start of Dial until the session was up
}

// Stats counts the packets of a session since it began.
type Stats struct {
	RxPackets, RxBytes uint64 // IP packets returned by ReadPackets
	TxPackets, TxBytes uint64 // IP packets accepted by WritePackets
	Dropped            uint64 // not read in time
	Garbage            uint64 // could not be decrypted, or were not encrypted
	Stale              uint64 // arrived too late for decryption
	Oversize           uint64 // larger than the MTU, or empty
	Resets             uint64 // resets of a stateful stream
	GRE                gre.Stats
}

// Loss returns the share of the server's packets that did not arrive, from 0 to 1.
func (s Stats) Loss() float64 {
	if s.GRE.Lost == 0 {
		return 0
	}
	return float64(s.GRE.Lost) / float64(s.GRE.Lost+s.GRE.Received)
}

// Info returns the parameters of the session. It is valid once the session is up.
func (s *Session) Info() Info { return s.info }

// MTU returns the size of the largest packet that WritePackets accepts, in bytes.
func (s *Session) MTU() int { return s.info.MTU }

// Headroom returns the constant Headroom, for callers that use the session through an
// interface.
func (s *Session) Headroom() int { return Headroom }

// Stats returns the current counters.
func (s *Session) Stats() Stats {
	return Stats{
		RxPackets: s.rxPackets.Load(), RxBytes: s.rxBytes.Load(),
		TxPackets: s.txPackets.Load(), TxBytes: s.txBytes.Load(),
		Dropped: s.data.droppedCount(), Garbage: s.garbage.Load(), Stale: s.stale.Load(),
		Oversize: s.oversize.Load(), Resets: s.resets.Load(), GRE: s.call.Stats(),
	}
}
