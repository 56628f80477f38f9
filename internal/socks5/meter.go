package socks5

import "sync/atomic"

// Meter counts what goes through a proxy, or what one of its users moves. The
// zero value is ready to use.
type Meter struct {
	up, down    atomic.Uint64
	open, total atomic.Int64
}

// Counts is what a Meter has counted.
type Counts struct {
	Up, Down uint64 // bytes from clients, and to them
	Open     int64  // connections and UDP associations as they stand
	Total    int64  // of these, since the beginning
}

// Counts returns the counters as they stand.
func (m *Meter) Counts() Counts {
	return Counts{Up: m.up.Load(), Down: m.down.Load(), Open: m.open.Load(), Total: m.total.Load()}
}

// Add counts bytes that went another way than through a proxy.
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
