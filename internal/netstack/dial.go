package netstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
)

// DialContext connects to an address behind the link. The network is tcp, tcp4, udp or
// udp4. Host names are looked up through the link. Errors are *net.OpError or, for the
// name, *net.DNSError. A failed TCP connection has an errno in the former, as one of the
// kernel has.
func (s *Stack) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("netstack: %w", err)
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("netstack: port %q: %w", service, err)
	}
	addrs, err := s.Lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, a := range addrs {
		c, err := s.DialAddr(ctx, network, netip.AddrPortFrom(a, uint16(port)))
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

// DialAddr is DialContext for an address.
func (s *Stack) DialAddr(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	full, err := fullAddress(to)
	if err != nil {
		return nil, err
	}
	switch network {
	case "tcp", "tcp4":
		c, err := s.dialTCP(ctx, full)
		if err != nil {
			return nil, &net.OpError{Op: "dial", Net: network, Addr: net.TCPAddrFromAddrPort(to), Err: err}
		}
		return c, nil
	case "udp", "udp4":
		c, err := gonet.DialUDP(s.stack, nil, &full, ipv4.ProtocolNumber)
		if err != nil {
			return nil, &net.OpError{Op: "dial", Net: network, Addr: net.UDPAddrFromAddrPort(to), Err: causeOf(err)}
		}
		return &UDPConn{udp: c}, nil
	}
	return nil, net.UnknownNetworkError(network)
}

// ListenUDP opens a UDP port on the stack's address; 0 chooses one.
func (s *Stack) ListenUDP(port uint16) (net.PacketConn, error) {
	c, err := gonet.DialUDP(s.stack, &tcpip.FullAddress{NIC: nic, Addr: tcpip.AddrFrom4(s.end.addr), Port: port}, nil, ipv4.ProtocolNumber)
	if err != nil {
		return nil, fmt.Errorf("netstack: listen on UDP port %d: %w", port, causeOf(err))
	}
	return &UDPConn{udp: c}, nil
}

// ListenTCP opens a TCP port on the stack's address.
func (s *Stack) ListenTCP(port uint16) (net.Listener, error) {
	l, err := gonet.ListenTCP(s.stack, tcpip.FullAddress{NIC: nic, Addr: tcpip.AddrFrom4(s.end.addr), Port: port}, ipv4.ProtocolNumber)
	if err != nil {
		return nil, fmt.Errorf("netstack: listen on TCP port %d: %w", port, causeOf(err))
	}
	return &listener{tcp: l}, nil
}

func fullAddress(a netip.AddrPort) (tcpip.FullAddress, error) {
	ip := a.Addr().Unmap()
	if !ip.Is4() {
		return tcpip.FullAddress{}, fmt.Errorf("netstack: %s is not IPv4", a)
	}
	return tcpip.FullAddress{NIC: nic, Addr: tcpip.AddrFrom4(ip.As4()), Port: a.Port()}, nil
}
