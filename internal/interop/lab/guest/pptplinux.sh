# Runs in the client guest: one session of pptp-linux + pppd with the options
# that Debian proposes, and what the two tell of it. Set by the host: SERVER,
# USERNAME, PASSWORD, MORE (more pppd options), WAIT (seconds).
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:/run/bin
rm -f /run/ppp-up /run/log/pptplinux
printf '%s\n' lock noauth nodetach nobsdcomp nodeflate refuse-eap refuse-pap refuse-chap refuse-mschap \
	require-mppe-128 maxfail 1 nodefaultroute noipv6 'logfile /run/log/pptplinux' >/etc/ppp/options.pptplinux
: >/run/log/messages
t0=$(cut -d' ' -f1 /proc/uptime)
pppd file /etc/ppp/options.pptplinux user "$USERNAME" password "$PASSWORD" $MORE \
	pty "pptp $SERVER --nolaunchpppd" >/run/log/pptplinux-out 2>&1 &
pid=$!
n=0
while [ ! -s /run/ppp-up ] && kill -0 $pid 2>/dev/null && [ $n -lt $((WAIT * 5)) ]; do
	n=$((n + 1))
	sleep 0.2
done
t=$(awk -v a=$t0 -v b="$(cut -d' ' -f1 /proc/uptime)" 'BEGIN{printf "%.1f", b-a}')
if [ -s /run/ppp-up ]; then echo "up after $t s"; elif kill -0 $pid 2>/dev/null; then echo "neither up nor ended after $t s"; else echo "ended after $t s"; fi
[ -s /run/ppp-up ] || tail -n 12 /run/log/pptplinux |
	grep -vE '^(Using interface|Connect: |Connect time|Sent [0-9]* bytes|Script pptp .*finished)'
# of what pptp logs, not the steps that went well
sed -n 's/.*pptp\[[0-9]*\]: anon //p' /run/log/messages |
	grep -vE 'synchronous pptp option|Sent control packet|Received Start|connection established|Received Outgoing|call established' |
	sed 's/\[[a-z_]*:[a-z_.]*:[0-9]*\]//'
kill $pid 2>/dev/null
wait $pid
exit 0
