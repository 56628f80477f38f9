package socks5

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// relayed is a relay between two pipes, with its other ends.
func relayed(t *testing.T) (client, remote net.Conn, ended <-chan struct{}) {
	t.Helper()
	s := New(Config{})
	client, c := net.Pipe()
	remote, r := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.relay(&member{conn: c, meters: meters{&s.meter}}, nil, &world{dead: make(chan struct{})}, r)
		s.work.Wait()
	}()
	return client, remote, done
}

func TestSilentConnectionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, remote, ended := relayed(t)
		limits := Limits{}.withDefaults()
		time.Sleep(limits.Idle - time.Minute)
		go func() { _, _ = client.Write([]byte("x")) }()
		if _, err := io.ReadFull(remote, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(limits.Idle - time.Minute) // a byte is a life sign
		synctest.Wait()
		select {
		case <-ended:
			t.Fatal("ended too early")
		default:
		}
		time.Sleep(2 * time.Minute)
		<-ended
		if _, err := client.Read(make([]byte, 1)); err == nil {
			t.Error("the client is still connected")
		}
	})
}

func TestClientThatTakesNothingIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, remote, ended := relayed(t)
		began := time.Now()
		go func() {
			for {
				if _, err := remote.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}()
		<-ended
		if d, limit := time.Since(began), (Limits{}).withDefaults().Stall; d > limit+time.Minute {
			t.Errorf("cut after %v, limit %v", d, limit)
		}
	})
}

// TestGreetingHasADeadline is about a client that connects and says nothing.
func TestGreetingHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		client, c := net.Pipe()
		g, ok := s.door.enter(c)
		if !ok {
			t.Fatal("not let in")
		}
		go s.greet(t.Context(), g)
		if _, err := client.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("read %v", err)
		}
	})
}
