package socks5

import "sync/atomic"

// Meter counts the traffic of a proxy or of one client. The zero value is ready to use.
type Meter struct {
	up, down    atomic.Uint64
	open, total atomic.Int64
}

// Counts holds the counters of a Meter.
type Counts struct {
	Up, Down uint64 // bytes from clients, and to them
	Open     int64  // connections and UDP associations open now
	Total    int64  // connections and UDP associations in total
}

// Counts returns the current counters.
func (m *Meter) Counts() Counts {
	return Counts{Up: m.up.Load(), Down: m.down.Load(), Open: m.open.Load(), Total: m.total.Load()}
}

// Add counts bytes that did not go through a proxy.
func (m *Meter) Add(up, down uint64) {
	m.up.Add(up)
	m.down.Add(down)
}

// meters are the meters of one connection.
type meters [2]*Meter

func (m meters) addUp(n int) {
	for _, c := range m {
		if c != nil {
			c.up.Add(uint64(n))
		}
	}
}

func (m meters) addDown(n int) {
	for _, c := range m {
		if c != nil {
			c.down.Add(uint64(n))
		}
	}
}

func (m meters) connOpened() {
	for _, c := range m {
		if c != nil {
			c.open.Add(1)
			c.total.Add(1)
		}
	}
}

func (m meters) connClosed() {
	for _, c := range m {
		if c != nil {
			c.open.Add(-1)
		}
	}
}
