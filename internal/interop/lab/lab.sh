#!/bin/bash
# A PPTP server of other people's making (Debian's pptpd + pppd) in a
# user-mode Linux guest, for interoperability tests. See README.md.
set -u
HERE=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
CACHE=${LAB_CACHE:-/var/tmp/pptp-lab}
PRE=${LAB_PREFIX:-ptlab}
RUN=$CACHE/run/$PRE
PKGS="user-mode-linux dash busybox-static pptpd pptp-linux ppp iptables iproute2 kmod dnsmasq-base tcpdump"
SERVER=${LAB_SERVER:-10.99.0.1}
export LC_ALL=C
export PATH=$PATH:/usr/sbin:/sbin

say() { echo "lab: $*"; }
die() { echo "lab: ERROR: $*" >&2; exit 1; }

usage() {
	cat <<U
usage: $0 VERB
  up [VARIANT [PPPD-OPTION...]]   build what is missing, start everything (default mppe128)
  down                            end what 'up' started
  status                          what runs, the variant, the sessions
  set VARIANT [PPPD-OPTION...]    other server options (ends the sessions); no new boot
  variants                        list the variants
  client-check [VARIANT...|all]   sessions of Debian's pptp-linux against the server
  probe                           raw check from the client's namespace (TCP 1723 and GRE)
  ns NAME CMD...                  run CMD in the namespace cli, far, in or sw
  exec server|client CMD...       run CMD in a guest
  log [client]                    the guest's system log (server) or pppd log (client)
  kick [tcp]                      the server ends all sessions (tcp: kills the control processes)
  net [off | NETEM...]            e.g. net delay 20ms loss 1%: both directions at the server
  router [off | RULE...]          the clients' packets go through the router, with this iptables rule
  pptpd [LINE]                    pptpd again, with this line before its configuration (until 'set')
  pptplinux                       one session of pptp-linux, with its last log lines
  record [DIR]                    record sessions as pcap files (and text, with tshark)
  build | clean                   only build the guest's files | down, then remove the cache
U
	exit 2
}

# --- pid files: "PID STARTTIME", so that a number used again is not taken for ours
# Without programs of their own: a guest is asked twenty times a second.
stat_of() { # PID: sets state and started
	local line
	state="" started=""
	{ read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
	set -- ${line##*) }
	state=$1 started=${20}
}
save_pid() { stat_of "$2"; echo "$2 $started" >"$RUN/$1.pid"; }
alive() {
	local p s state started
	[ -s "$RUN/$1.pid" ] || return 1
	read -r p s <"$RUN/$1.pid"
	[ -n "$s" ] && stat_of "$p" && [ "$started" = "$s" ] && [ "$state" != Z ]
}
pid_of() { cut -d' ' -f1 "$RUN/$1.pid"; }
# end NAME [group]: TERM, then KILL; with group, the process group it leads
end() {
	local p n=0
	if alive "$1"; then
		p=$(pid_of "$1")
		kill -TERM "$p" 2>/dev/null
		while alive "$1"; do
			n=$((n + 1))
			[ $n -lt 20 ] || { [ "${2:-}" = group ] && kill -KILL -- "-$p"; kill -KILL "$p" 2>/dev/null; sleep 0.2; break; }
			sleep 0.1
		done
	fi
	rm -f "$RUN/$1.pid"
}

lock() { mkdir -p "$RUN" && exec 9>"$RUN/lock" && flock -w 300 9 || die "another lab.sh holds $RUN/lock"; }

# --- building
need_root() {
	[ "$(id -u)" = 0 ] || die "must run as root (network namespaces, TAP devices)"
	case $CACHE$PRE in *[!A-Za-z0-9/._-]*) die "LAB_CACHE and LAB_PREFIX: only letters, digits, / . _ -";; esac
	case $CACHE in /*) ;; *) die "LAB_CACHE must be an absolute path";; esac
	mkdir -p "$CACHE" || die "cannot make $CACHE"
	[ "$(stat -c %u "$CACHE")" = 0 ] || die "$CACHE belongs to somebody else (set LAB_CACHE)"
}

host_tools() {
	local want="" c
	for c in ip:iproute2 flock:util-linux setsid:util-linux taskset:util-linux tar:tar python3:python3-minimal cc:gcc; do
		command -v "${c%%:*}" >/dev/null || want="$want ${c##*:}"
	done
	if [ -n "$want" ]; then
		say "installing:$want"
		apt_retry -y --no-install-recommends install $want || die "apt-get install failed:$want"
	fi
	[ -c /dev/net/tun ] || die "/dev/net/tun is missing (this host's kernel needs TUN/TAP)"
}

apt_retry() {
	local log=$CACHE/apt.log
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q "$@" >"$log" 2>&1 && return 0
	apt-get -q update >>"$log" 2>&1
	apt-get -q "$@" >>"$log" 2>&1 && return 0
	tail -15 "$log" >&2
	return 1
}

build() {
	local id new deb arch t=$SECONDS
	arch=$(dpkg --print-architecture 2>/dev/null) || die "this is no Debian system (dpkg is missing)"
	[ "$arch" = amd64 ] || die "only amd64 is supported (Debian has user-mode-linux for it)"
	host_tools
	id=$( { echo "layout 5 $PKGS"; cat "$HERE/tools/stateful.c" "$HERE/tools/xstate.c"; } | sha256sum | cut -c1-16)
	if [ "$(cat "$CACHE/rootfs/.lab-id" 2>/dev/null)" != "$id" ]; then
		say "building the guest's files in $CACHE (Debian packages)"
		mkdir -p "$CACHE/debs/partial"
		rm -f "$CACHE"/debs/*.deb
		: >"$CACHE/no-packages"
		# an empty package status, so that apt-get fetches the whole closure and
		# installs nothing on this machine
		apt_retry -y --no-install-recommends --download-only -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
			-o Dir::State::status="$CACHE/no-packages" -o Dir::Cache::archives="$CACHE/debs/" \
			install $PKGS || die "cannot fetch the packages (log: $CACHE/apt.log)"
		ls "$CACHE"/debs/ppp_2.4.9-* >/dev/null 2>&1 || die "not Debian 12: stateful.c is for pppd 2.4.9"
		new=$CACHE/rootfs.new
		rm -rf "$new"
		mkdir -p "$new"/usr/{bin,sbin,lib,lib64} "$new"/{proc,sys,dev,run,tmp,lab,root,var}
		for deb in bin sbin lib lib64; do ln -s usr/$deb "$new/$deb"; done
		ln -s ../run "$new/var/run"
		for deb in "$CACHE"/debs/*.deb; do
			case ${deb##*/} in perl*|libperl*|*debconf*|passwd_*|adduser_*|init-system-helpers_*|libdb5*|libgdbm*|libicu*|libstdc++*) continue;; esac
			dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$new" --keep-directory-symlink \
				--exclude='./usr/share/*' --exclude='./var/*' --exclude='./etc/init.d/*' ||
				die "cannot unpack $deb"
		done
		mkdir -p "$new/lib/modules"
		mv "$new"/usr/lib/uml/modules/* "$new/lib/modules/" || die "no kernel modules in user-mode-linux"
		ln -s /run/log "$new/var/log"
		ln -sf dash "$new/bin/sh"
		printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$new/etc/passwd"
		printf 'root:x:0:\nnogroup:x:65534:\n' >"$new/etc/group"
		find "$new" -type f -perm /6000 -exec chmod u-s,g-s {} +
		cp "$HERE/guest/init" "$new/init"
		chmod 755 "$new/init"
		cc -shared -fPIC -nostdlib -O2 -o "$new/stateful.so" "$HERE/tools/stateful.c" || die "cannot compile stateful.c"
		cc -shared -fPIC -O2 -o "$new/xstate.so" "$HERE/tools/xstate.c" -ldl || die "cannot compile xstate.c"
		for deb in usr/bin/linux.uml usr/sbin/pptpd usr/sbin/pppd usr/sbin/pptp bin/busybox; do
			[ -x "$new/$deb" ] || die "the packages lack $deb"
		done
		( cd "$CACHE/debs" && ls ./*.deb | sed 's,^\./,,' ) >"$CACHE/packages.txt"
		rm -f "$CACHE"/debs/*.deb
		echo "$id" >"$new/.lab-id"
		rm -rf "$CACHE/rootfs"
		mv "$new" "$CACHE/rootfs"
		say "built in $((SECONDS - t)) s ($(du -sm "$CACHE/rootfs" | cut -f1) MB)"
	fi
	cmp -s "$HERE/guest/init" "$CACHE/rootfs/init" || { cp "$HERE/guest/init" "$CACHE/rootfs/init"; chmod 755 "$CACHE/rootfs/init"; }
}

# --- network: all in namespaces of our own
#   sw   bridge br0 (outside, 10.99.0.254, routes to far), bridge br1 (inside, no address)
#   cli  10.99.0.10 beside the server; far 10.99.1.10 behind one router; in 10.99.9.2 inside
in_ns() { local n=$1; shift; ip netns exec "$PRE-$n" "$@"; }

net_up() {
	local n
	[ -e "$RUN/netns" ] && return 0
	for n in sw cli far in; do
		[ ! -e "/run/netns/$PRE-$n" ] || die "network namespace $PRE-$n exists and is not from this lab (set LAB_PREFIX)"
	done
	: >"$RUN/netns"
	for n in sw cli far in; do
		ip netns add "$PRE-$n" || die "cannot make network namespaces (is this a container without CAP_SYS_ADMIN?)"
		echo "$PRE-$n" >>"$RUN/netns"
		in_ns $n ip link set lo up
	done
	in_ns sw sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward
		for f in default all; do echo 0 >/proc/sys/net/ipv4/conf/$f/send_redirects; done
		for f in default all; do echo 1 >/proc/sys/net/ipv6/conf/$f/disable_ipv6; done 2>/dev/null'
	in_ns in sh -c 'for f in default all; do echo 1 >/proc/sys/net/ipv6/conf/$f/disable_ipv6; done 2>/dev/null'
	in_ns sw sh -ec "
		for b in br0 br1; do ip link add \$b type bridge forward_delay 0 stp_state 0 mcast_snooping 0; ip link set \$b up; done
		ip addr add 10.99.0.254/24 dev br0
		for t in tapS:br0 tapI:br1 tapC:br0; do
			ip tuntap add dev \${t%:*} mode tap
			ip link set \${t%:*} master \${t#*:}
			ip link set \${t%:*} up
		done" || die "cannot make bridges and TAP devices"
	ip -n "$PRE-sw" link add vcli type veth peer name eth0 netns "$PRE-cli" &&
	ip -n "$PRE-sw" link set vcli master br0 up &&
	ip -n "$PRE-cli" addr add 10.99.0.10/24 dev eth0 &&
	ip -n "$PRE-cli" link set eth0 up &&
	ip -n "$PRE-cli" route add default via 10.99.0.254 &&
	ip -n "$PRE-sw" link add vin type veth peer name eth0 netns "$PRE-in" &&
	ip -n "$PRE-sw" link set vin master br1 up &&
	ip -n "$PRE-in" addr add 10.99.9.2/24 dev eth0 &&
	ip -n "$PRE-in" link set eth0 gso_max_segs 1 up &&
	ip -n "$PRE-sw" link add vfar type veth peer name eth0 netns "$PRE-far" &&
	ip -n "$PRE-sw" addr add 10.99.1.254/24 dev vfar &&
	ip -n "$PRE-sw" link set vfar up &&
	ip -n "$PRE-far" addr add 10.99.1.10/24 dev eth0 &&
	ip -n "$PRE-far" link set eth0 up &&
	ip -n "$PRE-far" route add default via 10.99.1.254 || die "cannot make the veth links"
}

net_down() {
	local n
	[ -e "$RUN/netns" ] || return 0
	while read -r n; do ip netns del "$n" 2>/dev/null; done <"$RUN/netns"
	rm -f "$RUN/netns"
}

# --- guests
guest_start() { # role vec-arguments
	local role=$1 share=$RUN/$1 cpu n=0 p
	shift
	alive "$role" && return 0
	rm -rf "$share"
	mkdir -p "$share/ctl" "$share/ppp" "$share/uml"
	mkfifo "$share/in"
	cp "$HERE/guest/$role.sh" "$share/boot.sh"
	cp "$HERE"/guest/{apply,check,pptplinux}.sh "$CACHE/rootfs/stateful.so" "$share/"
	cc -shared -fPIC -O2 -o "$share/trouble.so" "$HERE/tools/trouble.c" || die "cannot compile trouble.c"
	[ "$role" = server ] && write_options
	# A guest is many host processes that hand over to each other at each system
	# call: on one CPU that is four times faster than on two.
	cpu=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)
	if [ "$role" = server ]; then cpu=${cpu##*[,-]}; else cpu=${cpu%%[,-]*}; fi
	(
		exec 7<>"$share/in" 9>&-
		exec setsid ip netns exec "$PRE-sw" nice -n -10 taskset -c "$cpu" \
			env LD_PRELOAD="$CACHE/rootfs/xstate.so" "$CACHE/rootfs/usr/bin/linux.uml" mem=128M quiet \
			hostfs="$CACHE" root=/dev/root rootfstype=hostfs rootflags=/rootfs ro init=/init \
			con=null con0=null,fd:1 ssl=null ssl0=fd:7,null uml_dir="$share/uml/" umid="$role" \
			labrole="$role" labshare="${share#"$CACHE"}" "$@"
	) </dev/null >"$share/console.log" 2>&1 &
	p=$!
	sleep 0.05
	save_pid "$role" "$p"
	until [ -s "$share/ready" ]; do
		n=$((n + 1))
		alive "$role" || { tail -20 "$share/console.log" >&2; die "the $role guest ended during its boot (console above)"; }
		[ $n -lt 600 ] || { tail -20 "$share/console.log" >&2; die "the $role guest is not ready after 60 s (console above)"; }
		sleep 0.1
	done
}

# guest ROLE TIMEOUT: run the script on standard input in the guest
guest() {
	local share=$RUN/$1 id rc n=0
	alive "$1" || { echo "lab: the $1 guest does not run" >&2; return 125; }
	id=r$$n$RANDOM$RANDOM
	cat >"$share/ctl/$id.sh"
	echo "$id" >"$share/in"
	until [ -s "$share/ctl/$id.rc" ]; do
		n=$((n + 1))
		if ! alive "$1" || [ $n -gt $(($2 * 20)) ]; then
			cat "$share/ctl/$id.out" 2>/dev/null
			echo "lab: no answer from the $1 guest within $2 s" >&2
			rm -f "$share/ctl/$id".*
			return 124
		fi
		sleep 0.05
	done
	rc=$(cat "$share/ctl/$id.rc")
	cat "$share/ctl/$id.out"
	rm -f "$share/ctl/$id".*
	return "$rc"
}

guest_stop() {
	local n=0
	if alive "$1"; then
		echo "export PATH=/run/bin; poweroff -f" >"$RUN/$1/ctl/off.sh"
		echo off >"$RUN/$1/in"
		while alive "$1" && [ $n -lt 30 ]; do n=$((n + 1)); sleep 0.1; done
	fi
	end "$1" group
}

# --- the server's configuration
write_options() {
	local d=$RUN/server/ppp v more
	v=$(sed -n 1p "$RUN/variant")
	more=$(sed 1d "$RUN/variant")
	mkdir -p "$d"
	cat "$HERE/variants/common.server" "$HERE/variants/$v.server" >"$d/options.pptpd"
	printf '%s\n' "$more" >>"$d/options.pptpd"
	: >"$d/options"
	cp "$HERE/guest/pptpd.conf" "$HERE/guest/ip-up" "$HERE/guest/ip-down" "$d/"
	[ -z "${LAB_PPTPD_DEBUG:-}" ] || echo debug >>"$d/pptpd.conf"
	cp "$HERE/guest/secrets" "$d/chap-secrets"
	cp "$HERE/guest/secrets" "$d/pap-secrets"
	# without authentication any address must be allowed to an unknown peer
	case $v in noauth) echo '"" * "" *' >>"$d/pap-secrets";; esac
}

choose() { # VARIANT [PPPD-OPTION...]
	[ -r "$HERE/variants/$1.server" ] && [ "$1" != common ] || die "no variant '$1' (see: $0 variants)"
	local v=$1
	shift
	{ echo "$v"; [ $# = 0 ] || echo "$*"; } >"$RUN/variant"
}

set_variant() {
	choose "$@"
	write_options
	echo "sh /lab/apply.sh" | guest server 30 || die "the server does not run with these options"
}

variant() { tr '\n' ' ' <"$RUN/variant" 2>/dev/null | sed 's/ $//'; }

variants() {
	local f
	for f in "$HERE"/variants/*.server; do
		case $f in */common.server) continue;; esac
		printf '%-18s %s\n' "$(basename "$f" .server)" "$(sed -n '1s/^# *//p' "$f")"
	done
}

inside_up() {
	local p n=0
	alive inside && return 0
	( exec 9>&-; exec setsid ip netns exec "$PRE-in" python3 "$HERE/tools/inside.py" 10.99.9.2 ) \
		</dev/null >"$RUN/inside.log" 2>&1 &
	p=$!
	sleep 0.05
	save_pid inside "$p"
	until grep -q '^ready' "$RUN/inside.log" 2>/dev/null; do
		n=$((n + 1))
		alive inside && [ $n -lt 100 ] || { cat "$RUN/inside.log" >&2; die "the inside servers did not start"; }
		sleep 0.1
	done
}

client_up() { guest_start client "vec0:transport=tap,ifname=tapC,depth=128,mac=02:99:00:00:00:20"; }

running() { alive server && [ -e "$RUN/netns" ]; }
must_run() { running || die "the lab is not up (run: $0 up)"; }

# --- verbs
do_up() {
	local t0 t1
	build
	if running && alive inside; then
		if [ $# -gt 0 ] && [ "$*" != "$(variant)" ]; then set_variant "$@"; fi
		say "is up; variant: $(variant)"
		return
	fi
	t0=$(date +%s%N)
	alive server || { [ -e "$RUN/netns" ] && clean_run; }
	choose "${@:-mppe128}"
	net_up
	inside_up
	guest_start server "vec0:transport=tap,ifname=tapS,depth=128,mac=02:99:00:00:00:01" \
		"vec1:transport=tap,ifname=tapI,depth=128,mac=02:99:00:00:09:01"
	t1=$(date +%s%N)
	say "up in $(((t1 - t0) / 1000000)) ms (guest's own clock at the end of its boot: $(cat "$RUN/server/ready") s)"
	say "server $SERVER, variant: $(variant); client namespaces: $PRE-cli (10.99.0.10), $PRE-far (10.99.1.10, routed)"
}

clean_run() {
	guest_stop client
	guest_stop server
	end inside
	end capture
	net_down
}

do_down() {
	if [ -d "$RUN" ]; then
		clean_run
		rm -f "$RUN"/variant "$RUN"/*.log
		rm -rf "$RUN/server" "$RUN/client"
	fi
	say "down"
}

do_status() {
	local n
	if ! running; then
		[ -e "$RUN/netns" ] && { say "broken: the server guest is gone (run: $0 up)"; return 4; }
		say "down"
		return 3
	fi
	say "up; variant: $(variant)"
	for n in server client inside; do
		if alive $n; then say "$n: process $(pid_of $n)"; else say "$n: not running"; fi
	done
	guest server 10 <<'S'
export PATH=/usr/sbin:/sbin:/usr/bin:/bin:/run/bin
echo "sessions: $(pidof pptpctrl | wc -w) control connections"
ip -br -4 addr show | grep ppp
grep lab-session /run/log/messages | tail -5
tc qdisc show dev eth0 | grep netem
exit 0
S
}

# one client session; variables as in guest/check.sh
session() {
	local v
	v=$(head -n 1 "$RUN/variant")
	mkdir -p "$RUN/client/ppp"
	cat "$HERE/variants/common.client" "$HERE/variants/$v.client" >"$RUN/client/ppp/options.client"
	{
		printf 'SERVER=%q USERNAME=%q PASSWORD=%q MB=%q EXPECT=%q MORE=%q PCAP=%q HOLD=%q CHECKS=%q\n' \
			"$SERVER" "${USERNAME:-alice}" "${PASSWORD:-wonderland-1}" "${MB:-10}" "${EXPECT:-up}" \
			"${MORE:-}" "${PCAP:-0}" "${HOLD:-0}" "${CHECKS:-all}"
		echo '. /lab/check.sh'
	} | guest client 150
}

do_client_check() {
	local v old bad=0 list="$*" t0
	must_run
	[ "$list" = all ] && list=$(variants | cut -d' ' -f1)
	old=$(variant)
	t0=$(date +%s%N)
	if ! alive client; then
		client_up
		say "client guest up in $((($(date +%s%N) - t0) / 1000000)) ms"
	fi
	for v in ${list:-.}; do
		if [ "$v" != . ]; then set_variant "$v"; fi
		say "== $(variant): right password"
		session || bad=1
		case $(variant) in noauth*) continue;; esac
		say "== $(variant): wrong password"
		PASSWORD=wrong-password EXPECT=fail session || bad=1
	done
	[ -z "$list" ] || [ "$(variant)" = "$old" ] || set_variant $old
	guest_stop client
	[ $bad = 0 ] && say "client-check: OK" || { say "client-check: FAILED"; return 1; }
}

do_net() {
	must_run
	{
		echo 'export PATH=/usr/sbin:/sbin:/usr/bin:/bin:/run/bin'
		echo 'tc qdisc del dev eth0 root 2>/dev/null; tc qdisc del dev eth0 ingress 2>/dev/null; ip link del ifb0 2>/dev/null'
		if [ "${1:-off}" != off ]; then
			printf 'set -e\nmodprobe -a sch_netem ifb sch_ingress cls_matchall act_mirred\n'
			printf 'ip link show ifb0 >/dev/null 2>&1 || ip link add ifb0 type ifb\nip link set ifb0 up\n'
			printf 'tc qdisc add dev eth0 ingress\ntc filter add dev eth0 parent ffff: matchall action mirred egress redirect dev ifb0\n'
			printf 'tc qdisc add dev eth0 root netem %s\ntc qdisc add dev ifb0 root netem %s\n' "$*" "$*"
			echo 'tc qdisc show | grep netem'
		else
			echo 'exit 0'
		fi
	} | guest server 20
}

# Packets of cli and of the client guest to the server and back go through the
# router, as those of far always do; one more rule for its FORWARD chain.
do_router() {
	must_run
	if [ "$1" = off ]; then
		ip -n "$PRE-cli" route del 10.99.0.1/32 2>/dev/null
		! alive client || echo '/bin/ip route del 10.99.0.1/32 2>/dev/null; exit 0' | guest client 20
		router_tables -F FORWARD
		return
	fi
	ip -n "$PRE-cli" route replace 10.99.0.1/32 via 10.99.0.254 || die "no route through the router"
	! alive client || echo '/bin/ip route replace 10.99.0.1/32 via 10.99.0.254' | guest client 20
	if [ ! -e "$RUN/server/routed" ]; then
		echo 'for a in 10 20; do /bin/ip route replace 10.99.0.$a/32 via 10.99.0.254; done' | guest server 20 || die "no route back"
		: >"$RUN/server/routed"
	fi
	router_tables -A FORWARD "$@"
}

router_tables() { in_ns sw env XTABLES_LOCKFILE=/dev/null chroot "$CACHE/rootfs" /usr/sbin/iptables-legacy "$@"; }

do_pptpd() {
	must_run
	write_options
	[ $# = 0 ] || sed -i "1i $*" "$RUN/server/ppp/pptpd.conf"
	echo "sh /lab/apply.sh" | guest server 30 || die "pptpd does not run with this line"
}

quote() { printf "'%s'" "${1//\'/\'\\\'\'}"; }

do_pptplinux() {
	must_run
	alive client || client_up >&2
	{
		# not %q, which writes what is not ASCII in a way that dash does not read
		echo "SERVER=$(quote "$SERVER") USERNAME=$(quote "${USERNAME:-alice}") PASSWORD=$(quote "${PASSWORD:-wonderland-1}") MORE=$(quote "${MORE:-}") WAIT=${WAIT:-60}"
		echo '. /lab/pptplinux.sh'
	} | guest client 150
}

do_kick() {
	must_run
	case ${1:-} in
	'') echo 'export PATH=/run/bin; killall -HUP pppd; exit 0' | guest server 10 ;;
	tcp) echo 'export PATH=/run/bin; killall -9 pptpctrl; exit 0' | guest server 10 ;;
	*) usage ;;
	esac
}

do_exec() {
	local role=$1
	shift
	{ echo 'export PATH=/usr/sbin:/sbin:/usr/bin:/bin:/run/bin'; echo "$*"; } | guest "$role" "${LAB_TIMEOUT:-120}"
}

verb=${1:-}
[ $# = 0 ] || shift
case $verb in
up|down|set|client-check|record|net|router|pptpd|pptplinux|clean|build|kick) need_root; lock ;;
status|probe|ns|exec|log) need_root ;;
esac
case $verb in
up) do_up "$@" ;;
down) do_down ;;
status) do_status ;;
set) [ $# -gt 0 ] || usage; must_run; set_variant "$@"; say "variant: $(variant)" ;;
variants) variants ;;
client-check) do_client_check "$@" ;;
probe) must_run; in_ns cli python3 "$HERE/tools/probe.py" "${1:-$SERVER}" ;;
ns) [ $# -gt 1 ] || usage; must_run; n=$1; shift; exec ip netns exec "$PRE-$n" "$@" ;;
exec) [ $# -gt 1 ] || usage; do_exec "$@" ;;
log) case ${1:-server} in client) do_exec client 'cat /run/log/client-ppp' ;; *) do_exec server 'cat /run/log/messages.0 /run/log/messages 2>/dev/null; exit 0' ;; esac ;;
net) do_net "$@" ;;
router) [ $# -gt 0 ] || usage; do_router "$@" ;;
pptpd) do_pptpd "$@" ;;
pptplinux) do_pptplinux ;;
kick) do_kick "$@" ;;
record) must_run; . "$HERE/tools/record.sh"; do_record "${1:-$HERE/pcap}" ;;
build) build; say "built: $CACHE/rootfs" ;;
clean) do_down; rm -rf "$CACHE/rootfs" "$CACHE/rootfs.new" "$CACHE/debs" "$CACHE/no-packages" "$CACHE/packages.txt" "$CACHE/apt.log" ;;
*) usage ;;
esac
