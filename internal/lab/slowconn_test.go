package lab

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// pipeConn is a clientConn in memory.
type pipeConn struct {
	net.Conn
	aborted, half bool
}

func (w *pipeConn) closeWrite() { w.half = true }

func (w *pipeConn) abort() {
	w.aborted = true
	w.Close()
}

// Input, output and the end are delayed by the same time, in order.
func TestSlowConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const late = 2 * time.Second
		client, server := net.Pipe()
		s := startSlowConn(&pipeConn{Conn: server}, late)
		began := time.Now()
		for _, word := range []string{"one", "two"} { // both are in transit at once
			if _, err := s.Write([]byte(word)); err != nil {
				t.Fatal(err)
			}
		}
		s.Close()
		got, err := io.ReadAll(client)
		if took := time.Since(began); string(got) != "onetwo" || err != nil || took != late {
			t.Errorf("read %q, %v after %v", got, err, took)
		}
		s.wait()
	})
}

func TestSlowConnHearsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const late = 600 * time.Millisecond
		client, server := net.Pipe()
		s := startSlowConn(&pipeConn{Conn: server}, late)
		began := time.Now()
		if _, err := client.Write([]byte("question")); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 8)
		if _, err := io.ReadFull(s, got); string(got) != "question" || err != nil || time.Since(began) != late {
			t.Errorf("read %q, %v after %v", got, err, time.Since(began))
		}
		client.Close()
		if n, err := s.Read(got); n != 0 || err != io.EOF {
			t.Errorf("after the end: %d bytes, %v", n, err)
		}
		s.Close()
		s.wait()
	})
}

func TestSlowConnEndsHalf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		w := &pipeConn{Conn: server}
		s := startSlowConn(w, time.Second)
		s.closeWrite()
		if _, err := client.Write([]byte("on")); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 2)
		_, err := io.ReadFull(s, got)
		synctest.Wait()
		if err != nil || string(got) != "on" || !w.half {
			t.Errorf("read %q, %v; half closed: %v", got, err, w.half)
		}
		s.Close()
		s.wait()
	})
}

func TestSlowConnIsReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		w := &pipeConn{Conn: server}
		s := startSlowConn(w, time.Second)
		s.abort()
		s.Close() // has no effect after the end
		if _, err := client.Read(make([]byte, 1)); err != io.EOF {
			t.Error(err)
		}
		s.wait()
		if !w.aborted {
			t.Error("closed without a reset")
		}
		if _, err := s.Write([]byte("x")); err == nil {
			t.Error("written after the end")
		}
	})
}
