#!/bin/sh
# Takes Connexa away again, as root: units, the devices and the table of OpenVPN
# exits, what they have at run time, the account, the program. Passwords, nodes and
# history in /var/lib/connexa stay, unless --purge is said. It may be called again.
set -eu
case "${1:-}" in
'' | --purge) ;;
*) echo "uninstall.sh [--purge]" >&2; exit 2 ;;
esac
[ "$(id -u)" = 0 ] || { echo "this is for root" >&2; exit 1; }
PATH=$PATH:/usr/local/bin:/usr/sbin:/sbin # su leaves a user's
left=0
keep() { echo "$*" >&2; left=1; }
for unit in connexa.service connexa-openvpn.service; do # one that is not there is no reason to leave the other
	systemctl disable --now $unit 2>/dev/null || true
	systemctl reset-failed $unit 2>/dev/null || true
done
rm -rf /etc/systemd/system/connexa.service.d
rm -f /etc/systemd/system/connexa.service /etc/systemd/system/connexa-openvpn.service
systemctl daemon-reload 2>/dev/null || true
# Also those that a panel which ran as root, or was killed, has left.
if ! command -v connexa >/dev/null; then
	if ls -d /sys/class/net/cxo* >/dev/null 2>&1; then keep "devices cxo* are left, and the program that removes them is gone"; fi
elif connexa setup-openvpn --remove; then
	rm -f /usr/local/bin/connexa
else
	keep "devices are left, and so is the program that removes them: connexa setup-openvpn --remove"
fi
rm -rf /run/connexa
if id connexa-ovpn >/dev/null 2>&1; then
	userdel connexa-ovpn || keep "the account connexa-ovpn is left: is a panel running that no unit has started?"
fi
if [ "${1:-}" = --purge ]; then
	rm -rf /var/lib/connexa /var/lib/private/connexa
else
	echo "nodes, passwords and the key are still in /var/lib/connexa: uninstall.sh --purge removes them"
fi
exit $left
