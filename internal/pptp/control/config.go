package control

import (
	"cmp"
	"time"
)

// Config is how a client identifies itself and how long it waits. The zero
// value is ready to use.
type Config struct {
	Host     string // default "connexa"
	Vendor   string // default "Connexa"
	Firmware uint16 // default 1
	Window   uint16 // receive window of GRE, in packets; default 64

	// EchoInterval is the silence after which Run sends an Echo-Request, and EchoTimeout
	// the time that the server has to answer. Both default to 60 s, as in RFC 2637
	// section 3.1.4.
	EchoInterval time.Duration
	EchoTimeout  time.Duration

	// Alive reports whether the server was active elsewhere since the last call: a server
	// that does not answer Echo-Requests is not dead while its tunnel carries packets. Run
	// calls it when it sends an Echo-Request, and when the answer is overdue. Optional.
	Alive func() bool

	// OnMessage is called with each message before it is sent and after it was
	// received, by the goroutine that sends or receives. Optional.
	OnMessage func(sent bool, m Message)
}

func (c Config) withDefaults() Config {
	c.Host = cmp.Or(c.Host, "connexa")
	c.Vendor = cmp.Or(c.Vendor, "Connexa")
	c.Firmware = cmp.Or(c.Firmware, 1)
	c.Window = cmp.Or(c.Window, 64)
	if c.EchoInterval <= 0 {
		c.EchoInterval = time.Minute
	}
	if c.EchoTimeout <= 0 {
		c.EchoTimeout = time.Minute
	}
	return c
}
