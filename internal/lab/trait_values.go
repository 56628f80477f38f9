package lab

// Auth is the login that a server requests.
type Auth string

// The logins. The default is AuthMSCHAPv2.
const (
	AuthNone     Auth = "none"
	AuthPAP      Auth = "pap"
	AuthMD5      Auth = "chap-md5"
	AuthMSCHAPv1 Auth = "mschapv1"
	AuthMSCHAPv2 Auth = "mschapv2"
	AuthEAP      Auth = "eap"
	AuthSPAP     Auth = "spap" // Shiva PAP, obsolete
)

// givesKeys reports whether the login gives keys for MPPE.
func (a Auth) givesKeys() bool { return a == "" || a == AuthMSCHAPv1 || a == AuthMSCHAPv2 }

// MPPE is the encryption that a server offers.
type MPPE string

// The offers. The default is MPPE128: 128-bit keys in stateless mode, as on most
// servers.
const (
	MPPE128         MPPE = "128"
	MPPE56          MPPE = "56"
	MPPE40          MPPE = "40"
	MPPEAny         MPPE = "any" // every length
	MPPE128Stateful MPPE = "128-stateful"
	MPPE56Stateful  MPPE = "56-stateful"
	MPPE40Stateful  MPPE = "40-stateful"
	MPPENone        MPPE = "none"     // refuses the option, as pppd does
	MPPERejected    MPPE = "rejected" // does not support CCP, as accel-ppp without MPPE
)

// GRE is a fault of a server's GRE packets.
type GRE string

// The faults of GRE.
const (
	GRESilent GRE = "silent" // neither receives nor sends
	GREMute   GRE = "mute"   // receives, but its packets do not arrive
	GREDeaf   GRE = "deaf"   // sends, but receives nothing
	GREStray  GRE = "stray"  // its packets have a wrong call id
	GREICMP   GRE = "icmp"   // its machine answers "protocol unreachable"; needs raw sockets
)

// Call is how a server answers an Outgoing-Call-Request instead of
// connecting.
type Call string

// The answers.
const (
	CallBusy    Call = "busy"
	CallRefused Call = "refused"
	CallSilent  Call = "silent"  // does not answer
	CallDropped Call = "dropped" // connects and hangs up before any GRE packet
)

// Layer is one of the negotiations between the two ends.
type Layer string

// The layers.
const (
	LayerLCP   Layer = "lcp"
	LayerLogin Layer = "login"
	LayerCCP   Layer = "ccp"
	LayerIPCP  Layer = "ipcp"
)

// Vendor is the program that a server identifies as and behaves like.
type Vendor string

// The vendors. The default leaves the choice to the fleet's seed.
const (
	VendorPPTPD     Vendor = "pptpd"
	VendorAccel     Vendor = "accel-ppp"
	VendorMikroTik  Vendor = "mikrotik"
	VendorMicrosoft Vendor = "microsoft"
)

// LoginFault is what is wrong with how a server answers a login.
type LoginFault string

// The faults of the login.
const (
	LoginSilent    LoginFault = "silent"    // does not reply to the client's answer
	LoginMalformed LoginFault = "malformed" // its challenge has an invalid length
	LoginWordless  LoginFault = "wordless"  // refuses with an LCP Terminate-Request only
)

// Declined is what a server does if the client accepts none of its logins.
type Declined string

// The reactions. The default is that of the vendor: pppd terminates the link, others
// repeat their request for some time before they do.
const (
	DeclinedCDN       Declined = "cdn" // ends the call, as accel-ppp does
	DeclinedTerminate Declined = "terminate"
	DeclinedSilent    Declined = "silent" // sends nothing more
)

// Password is the form in which a server stores a password outside ASCII. A node
// with this trait gets such a password.
type Password string

// The forms.
const (
	PasswordWidened Password = "widened" // each byte widened to 16 bits, as in pppd and accel-ppp: see mschap.WidenedNTHash
	PasswordUTF16   Password = "utf16"   // as RFC 2759
	PasswordBoth    Password = "both"
)

// Second is what a server does with every connection after the first.
type Second string

// The reactions.
const (
	SecondReset  Second = "reset"
	SecondClosed Second = "closed"
	SecondSilent Second = "silent"
)

// Echo is the kind of echo that a server answers. By default it answers both.
type Echo string

// The kinds.
const (
	EchoLCP     Echo = "lcp"
	EchoControl Echo = "control"
	EchoNone    Echo = "none"
)

// Data is what is wrong with the packets of a session after encryption was agreed
// on.
type Data string

// The faults of the data.
const (
	DataRejected Data = "rejected" // answers each encrypted packet with a Protocol-Reject
	DataPlain    Data = "plain"    // sends its own packets without encryption
)

// Direction is a direction of packets, from the server's point of view.
type Direction string

// The directions.
const (
	DirectionBoth    Direction = "both"
	DirectionSend    Direction = "send"
	DirectionReceive Direction = "receive"
)

// includes reports whether d includes the packets that the server sends or, if send is
// false, those that it receives.
func (d Direction) includes(send bool) bool {
	return d == DirectionBoth || send && d == DirectionSend || !send && d == DirectionReceive
}
