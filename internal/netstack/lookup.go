package netstack

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	// askWait is the time limit of one name server for one answer. askAgain is the time after
	// which the query is sent again, because tunnels lose packets.
	askWait  = 2500 * time.Millisecond
	askAgain = 700 * time.Millisecond
	// askRounds is how often each name server is asked.
	askRounds = 2
	dnsPort   = 53
)

// Lookup returns the IPv4 addresses of a host, looked up through the link. It uses neither
// the name servers nor the hosts file of this host. Errors are *net.DNSError.
func (s *Stack) Lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	if len(s.dns) == 0 {
		return nil, &net.DNSError{Err: "no name server is known", Name: host}
	}
	name, err := dnsmessage.NewName(strings.TrimSuffix(host, ".") + ".")
	if err != nil {
		return nil, &net.DNSError{Err: "no host name", Name: host, IsNotFound: true}
	}
	var last error
	for range askRounds {
		for _, server := range s.dns {
			addrs, err := s.askServer(ctx, netip.AddrPortFrom(server, dnsPort), name)
			var d *net.DNSError
			if err == nil || errors.As(err, &d) && d.IsNotFound {
				return addrs, err
			}
			last = err
			if ctx.Err() != nil {
				return nil, &net.DNSError{Err: ctx.Err().Error(), Name: host, IsTimeout: true, UnwrapErr: ctx.Err()}
			}
		}
	}
	late := errors.Is(last, os.ErrDeadlineExceeded) || errors.Is(last, context.DeadlineExceeded)
	return nil, &net.DNSError{Err: last.Error(), Name: host, IsTemporary: true, IsTimeout: late, UnwrapErr: last}
}

// askServer sends one query to one server, and again over TCP if the answer does not fit
// into UDP.
func (s *Stack) askServer(ctx context.Context, server netip.AddrPort, name dnsmessage.Name) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	q := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: uint16(rand.Uint32()), RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}},
	}
	query, err := q.Pack()
	if err != nil {
		return nil, fmt.Errorf("pack the question: %w", err)
	}
	m, err := s.exchangeQuery(ctx, "udp", server, query, &q)
	if err == nil && m.Truncated {
		m, err = s.exchangeQuery(ctx, "tcp", server, query, &q)
	}
	if err != nil {
		return nil, err
	}
	return lookupAddrs(m, name)
}

// exchangeQuery sends a query and waits for its answer.
func (s *Stack) exchangeQuery(ctx context.Context, network string, server netip.AddrPort, query []byte, q *dnsmessage.Message) (*dnsmessage.Message, error) {
	c, err := s.DialAddr(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	end, _ := ctx.Deadline() // askServer sets a deadline
	if err := c.SetDeadline(end); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if network == "tcp" {
		query = append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)
	}
	if _, err := c.Write(query); err != nil {
		return nil, err
	}
	buf := make([]byte, 64<<10)
	for {
		if network == "udp" {
			if err := c.SetReadDeadline(earlierDeadline(end, time.Now().Add(askAgain))); err != nil {
				return nil, err
			}
		}
		if ctx.Err() != nil { // stop may have set its deadline before this one
			return nil, ctx.Err()
		}
		n, err := readAnswer(c, network, buf)
		if network == "udp" && errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(end) && ctx.Err() == nil {
			if _, err := c.Write(query); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		var m dnsmessage.Message
		if m.Unpack(buf[:n]) == nil && m.Response && m.ID == q.ID && len(m.Questions) == 1 &&
			m.Questions[0].Type == dnsmessage.TypeA && strings.EqualFold(m.Questions[0].Name.String(), q.Questions[0].Name.String()) {
			return &m, nil
		}
		if network == "tcp" {
			return nil, errors.New("the name server answers something else")
		}
	}
}

func earlierDeadline(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func readAnswer(c net.Conn, network string, buf []byte) (int, error) {
	if network != "tcp" {
		return c.Read(buf)
	}
	if _, err := io.ReadFull(c, buf[:2]); err != nil {
		return 0, err
	}
	n := int(binary.BigEndian.Uint16(buf))
	return io.ReadFull(c, buf[:n])
}

// lookupAddrs returns the A records of an answer. Recursive servers, the only ones asked,
// have resolved aliases already.
func lookupAddrs(m *dnsmessage.Message, name dnsmessage.Name) ([]netip.Addr, error) {
	host := strings.TrimSuffix(name.String(), ".")
	switch m.RCode {
	case dnsmessage.RCodeSuccess:
	case dnsmessage.RCodeNameError:
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	default:
		return nil, fmt.Errorf("the name server says %s", m.RCode)
	}
	var list []netip.Addr
	for _, r := range m.Answers {
		if a, ok := r.Body.(*dnsmessage.AResource); ok {
			list = append(list, netip.AddrFrom4(a.A))
		}
	}
	if len(list) == 0 {
		return nil, &net.DNSError{Err: "no address", Name: host, IsNotFound: true}
	}
	return list, nil
}
