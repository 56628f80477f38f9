#!/bin/sh
# Takes Connexa away again, as root: units, the devices and the table of OpenVPN
# exits, what they have at run time, the account, the program. Passwords, nodes and
# history in /var/lib/connexa stay, unless --purge is said.
set -eu
[ "$(id -u)" = 0 ] || { echo "this is for root" >&2; exit 1; }
systemctl disable --now connexa.service connexa-openvpn.service 2>/dev/null || true
# Also those that a panel which ran as root, or was killed, has left.
if command -v connexa >/dev/null; then connexa setup-openvpn --remove || true; fi
rm -rf /run/connexa /etc/systemd/system/connexa.service.d
rm -f /etc/systemd/system/connexa.service /etc/systemd/system/connexa-openvpn.service /usr/local/bin/connexa
if id connexa-ovpn >/dev/null 2>&1; then userdel connexa-ovpn; fi
systemctl daemon-reload 2>/dev/null || true
if [ "${1:-}" = --purge ]; then
	rm -rf /var/lib/connexa /var/lib/private/connexa
else
	echo "nodes, passwords and the key are still in /var/lib/connexa: uninstall.sh --purge removes them"
fi
