// Package vpntest is for tests of OpenVPN exits: network namespaces act as computers, the
// real openvpn as a client, and a tap listens on the wire between them. It needs Linux and
// root.
package vpntest
