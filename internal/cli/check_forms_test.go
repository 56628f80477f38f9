package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
)

// TestCheckFormsAgree checks, for every behaviour of the lab that a check can meet,
// that the text shows each step once and in order, and that the text and the JSON
// object of the same probe agree.
func TestCheckFormsAgree(t *testing.T) {
	for _, tt := range []struct {
		faults string
		set    func(*checkTest)
	}{
		{faults: "good"}, {faults: "refuse"}, {faults: "ssh"}, {faults: "garbage"}, {faults: "reset"}, {faults: "denied:3"}, {faults: "denied:4"}, {faults: "denied:5"},
		{faults: "call:busy"}, {faults: "call:refused"}, {faults: "call:dropped"}, {faults: "swapped-cdn"},
		{faults: "gre:silent"}, {faults: "gre:mute"}, {faults: "gre:deaf"}, {faults: "gre:stray"},
		{faults: "nak:lcp"}, {faults: "nak:ipcp"}, {faults: "terminate:Too_many_users"}, {faults: "no-address"},
		{faults: "auth:eap"}, {faults: "auth:pap"}, {faults: "auth:chap-md5"}, {faults: "impostor"}, {faults: "login-refused:691"}, {faults: "login-refused:649"},
		{faults: "auth:pap", set: func(c *checkTest) { c.cfg.AllowPAP = true }},
		{faults: "auth:pap", set: func(c *checkTest) { c.cfg.Encryption = "required" }},
		{faults: "auth:chap-md5", set: func(c *checkTest) { c.cfg.Encryption = "required" }},
		{faults: "mppe:none", set: func(c *checkTest) { c.cfg.Encryption = "required" }},
		{faults: "mppe:rejected", set: func(c *checkTest) { c.cfg.Encryption = "required" }},
		{faults: "mppe-required", set: func(c *checkTest) { c.cfg.Encryption = "off" }},
		{faults: "mppe:none"}, {faults: "mppe:128-stateful"}, {faults: "wrong-keys"}, {faults: "data:rejected"}, {faults: "data:plain"},
		{faults: "reset:accept"}, {faults: "reset:unread"}, {faults: "close:request"},
		{faults: "ends-at:call:closed"}, {faults: "ends-at:call:reset"}, {faults: "ends-at:call:cdn:2/4"}, {faults: "ends-at:call:stop:3"}, {faults: "ends-at:call:closed+ends-after:3s"},
		{faults: "ends-at:lcp:closed"}, {faults: "ends-at:lcp:cdn:3"}, {faults: "ends-at:login:closed"}, {faults: "ends-at:login:terminate:Maintenance"}, {faults: "ends-at:after-login:terminate"},
		{faults: "ends-at:after-login:cdn:3"}, {faults: "ends-at:ccp:terminate:MPPE_disabled"}, {faults: "ends-at:ip:closed"}, {faults: "ends-at:ip:stop:3"},
		{faults: "lcp:nak-mru"}, {faults: "lcp:code-reject"}, {faults: "lcp:callback"}, {faults: "lcp:loop"}, {faults: "lcp:silent"},
		{faults: "ccp:nak"}, {faults: "ccp:terminate"}, {faults: "ip:conflict"}, {faults: "ip:reject-all"}, {faults: "ip:code-reject"},
		{faults: "login:malformed"}, {faults: "login:wordless"}, {faults: "auth:spap"}, {faults: "offers:pap/mschapv2", set: func(c *checkTest) { c.cfg.AllowPAP = true }},
		{faults: "offers:chap-md5/pap+in-order+declined:terminate"}, {faults: "auth:pap+vendor:accel-ppp+declined:cdn"},
		{faults: "password:widened"}, {faults: "password:utf16"}, {faults: "password:widened+second:reset", set: func(c *checkTest) { c.cfg.Password = "не тот" }},
		{faults: "password:widened+second:closed"}, {faults: "second:silent", set: func(c *checkTest) { c.cfg.Password = "пароль" }},
		{faults: "mppe-required+auth:pap", set: func(c *checkTest) { c.cfg.AllowPAP = true }},
		{faults: "good", set: func(c *checkTest) { c.cfg.Password = "пароль" }},
		{faults: "good", set: func(c *checkTest) { c.cfg.Password = "p🔑ss" }},
		{faults: "no-dns", set: speedCheck}, {faults: "no-internet", set: speedCheck}, {faults: "endpoint:429", set: speedCheck}, {faults: "rate:50M", set: speedCheck},
		{faults: "refuse", set: speedCheck}, {faults: "wrong-keys", set: speedCheck},
	} {
		c, _ := newCheckTest(t, tt.faults)
		name := tt.faults
		if tt.set != nil {
			tt.set(c)
			name = fmt.Sprintf("%s, encryption %s, PAP %v, speed %v, password %s", name, c.cfg.Encryption, c.cfg.AllowPAP, c.cfg.Speed, c.cfg.Password.Reveal())
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job, err := c.cfg.Job(c.cfg.Password)
			if err != nil {
				t.Fatal(err)
			}
			found, err := c.probeServer(t.Context(), job)
			if err != nil {
				t.Fatal(err)
			}
			var object bytes.Buffer
			if err := found.writeText(&c.out); err != nil {
				t.Fatal(err)
			}
			if err := found.writeJSON(&object); err != nil {
				t.Fatal(err)
			}
			compareForms(t, c, c.out.String(), object.Bytes())
		})
	}
}

func speedCheck(c *checkTest) {
	c.cfg.Speed = true
	c.cfg.Endpoint = connexa.Endpoint{Kind: connexa.EndpointOwn, URL: "http://" + labEndpoint}
}

var stepLine = regexp.MustCompile(`(?m)^  ([✓✗]) (\S+) +([0-9.]+) ms   (.*)$`)

func compareForms(t *testing.T, c *checkTest, text string, object []byte) {
	t.Helper()
	var got checkResult
	if err := json.Unmarshal(object, &got); err != nil {
		t.Fatal(err)
	}
	written := stepLine.FindAllStringSubmatch(text, -1)
	if len(written) != len(got.Steps) {
		t.Errorf("the text writes %d steps, the object has %d:\n%s%s", len(written), len(got.Steps), text, object)
	}
	height := 0
	for i, s := range got.Steps {
		if s.Step.Index() <= height || s.Note == "" || !s.OK && i < len(got.Steps)-1 {
			t.Errorf("step %d is %+v, after height %d", i, s, height)
		}
		height = s.Step.Index()
		mark := map[bool]string{true: "✓", false: "✗"}[s.OK]
		if want := []string{mark, c.words.T("step." + string(s.Step)), fmt.Sprintf("%.1f", s.MS), s.Note}; i < len(written) && !reflect.DeepEqual(written[i][1:], want) {
			t.Errorf("step %d is %q in the text, %q in the object", i, written[i][1:], want)
		}
	}
	if got.Cause != "" && got.Cause.Step().Index() > 0 {
		if last := got.Steps[len(got.Steps)-1]; last.OK || last.Step != got.Cause.Step() {
			t.Errorf("the cause is %s and the last step %+v", got.Cause, last)
		}
	}
	// Every field of the object is in the text, and every labelled line of the text is in
	// the object.
	flat := strings.Join(strings.Fields(text), " ")
	for label, field := range map[string]string{
		"": got.Message, "It means ": got.Means, "Seen ": got.Seen, "Try ": got.Try, "Flag ": got.Flag, "Details ": got.Evidence,
	} {
		if want := label + strings.Join(strings.Fields(field), " "); field != "" && !strings.Contains(flat, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		} else if field == "" && label != "" && strings.Contains(text, "\n  "+label) {
			t.Errorf("the object lacks %q of the text:\n%s", label, text)
		}
	}
	if got.Says != "" && !strings.Contains(flat, "It says “"+strings.Join(strings.Fields(got.Says), " ")+"”") || got.Says == "" && strings.Contains(text, "\n  It says") {
		t.Errorf("the server's words are %q in the object, and in the text:\n%s", got.Says, text)
	}
	if s := got.Session; s != nil && !strings.Contains(flat, "Address "+s.LocalIP+", ours inside the tunnel Login "+s.Auth+" Encryption "+s.Encryption+" MTU "+fmt.Sprint(s.MTU)) || s == nil && strings.Contains(text, "\n  MTU") {
		t.Errorf("the session is %+v in the object, and in the text:\n%s", s, text)
	}
	if s := got.Speed; s != nil && !strings.Contains(flat, fmt.Sprintf("Download %.2f Mbit/s", s.DownMbps)) || s == nil && strings.Contains(text, "\n  Download") {
		t.Errorf("the speed is %+v in the object, and in the text:\n%s", s, text)
	}
}

// TestCheckAdvisesFlagOnlyWhereItHelps checks that no flag is advised that is already
// set or cannot help.
func TestCheckAdvisesFlagOnlyWhereItHelps(t *testing.T) {
	for _, tt := range []struct {
		cause  connexa.Cause
		policy connexa.EncryptionPolicy
		want   string
	}{
		{"auth.pap_not_allowed", connexa.EncryptionPreferred, "--allow-pap"},
		{"auth.pap_not_allowed", connexa.EncryptionOff, "--allow-pap"},
		{"auth.pap_not_allowed", connexa.EncryptionRequired, "--allow-pap --encryption preferred"},
		{"encryption.refused", connexa.EncryptionRequired, "--encryption preferred"},
		{"encryption.no_keys", connexa.EncryptionRequired, "--encryption preferred"},
		{"encryption.required_by_server", connexa.EncryptionOff, "--encryption preferred"},
		{"encryption.required_by_server", connexa.EncryptionPreferred, ""},
		{"encryption.timeout", connexa.EncryptionPreferred, ""},
		{"encryption.server_cannot", connexa.EncryptionPreferred, ""},
		{"encryption.server_cannot", connexa.EncryptionRequired, ""},
		{"encryption.required_without_keys", connexa.EncryptionPreferred, ""},
		{"encryption.required_without_keys", connexa.EncryptionRequired, ""},
		{"encryption.key_mismatch", connexa.EncryptionRequired, ""},
		{"auth.691", connexa.EncryptionRequired, ""},
	} {
		got := (&checkResult{Cause: tt.cause, policy: tt.policy}).adviseFlag()
		if tt.want == "" && got != "" || !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s with encryption %s: %q, want %q", tt.cause, tt.policy, got, tt.want)
		}
	}
}
