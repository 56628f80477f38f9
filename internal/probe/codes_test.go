package probe_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/internal/lab"
	"github.com/connexa-panel/connexa/internal/lab/labtest"
	"github.com/connexa-panel/connexa/internal/pptp"
	"github.com/connexa-panel/connexa/internal/pptp/control"
	"github.com/connexa-panel/connexa/internal/pptp/gre"
	"github.com/connexa-panel/connexa/internal/probe"
)

// TestCodesTextNamesServerCodes checks that a login explains the codes of a server's
// refusal in the reader's language, and keeps the codes as evidence.
func TestCodesTextNamesServerCodes(t *testing.T) {
	tests := []struct{ behaviour, cause, english, russian, evidence string }{
		{"ends-at:call:cdn:3", "gre.disconnected", "The server ended the call: shut down by the administrator.", "Сервер завершил вызов: завершено администратором.", "result 3"},
		{"ends-at:lcp:cdn:1", "lcp.disconnected", "The server ended the call: carrier lost.", "Сервер завершил вызов: потеряна несущая.", "result 1"},
		{"ends-at:login:cdn:2/4", "auth.disconnected", "The server ended the call: general error, no resources left.", "Сервер завершил вызов: общая ошибка, не хватает ресурсов.", "error 4"},
		{"ends-at:after-login:cdn:4", "ip.ended_after_login", "The server ended the call: ended on request.", "Сервер завершил вызов: завершено по запросу.", "result 4"},
		{"ends-at:ccp:cdn:3/0/34", "ip.ended_after_login", "The server ended the call: shut down by the administrator, cause 34, no channel available.",
			"Сервер завершил вызов: завершено администратором, причина 34, нет свободного канала.", "cause 34"},
		{"ends-at:ip:cdn:2", "ip.disconnected", "The server ended the call: general error, no reason given.", "Сервер завершил вызов: общая ошибка, причина не названа.", "result 2"},
		{"ends-at:call:stop:3", "gre.stopped", "The server stopped the control connection: the server is shutting down.", "Сервер завершил управляющее соединение: сервер выключается.", "shutting down"},
		{"ends-at:ip:stop:1", "ip.stopped", "The server stopped the control connection: no reason given.", "Сервер завершил управляющее соединение: причина не названа.", "no special reason"},
		{"call:busy", "call.busy", "The server refused the call: busy.", "Сервер отклонил вызов: занято.", "busy"},
		{"call:refused", "call.rejected", "The server refused the call: ", "Сервер отклонил вызов: ", "refused"},
		{"denied:4", "control.rejected", "The server refused: this address is not authorized to connect.", "Сервер отказал: этому адресу не разрешено подключаться.", "not authorised"},
	}
	var spec []string
	for _, tt := range tests {
		spec = append(spec, tt.behaviour+"=1")
	}
	sw := gre.NewSwitch()
	nodes := map[string]lab.Node{}
	for _, n := range labtest.Start(t, lab.Config{Nodes: len(tests), Seed: 7, Faults: labtest.Faults(t, strings.Join(spec, ",")), GRE: sw.Open}).Nodes() {
		nodes[n.Behaviour.String()] = n
	}
	mux := gre.NewMux(sw.Open)
	for _, tt := range tests {
		n, ok := nodes[tt.behaviour]
		if !ok {
			t.Fatalf("there is no %s among %v", tt.behaviour, nodes)
		}
		t.Run(tt.behaviour, func(t *testing.T) {
			t.Parallel()
			p := probe.Prober{Attempts: func() int { return 1 }}
			p.Session.GRE = mux
			got, err := p.Login(t.Context(), connexa.Job{Kind: connexa.Login, Address: n.Addr.Addr().String(), Port: int(n.Addr.Port()), Login: n.Login, Password: connexa.Secret(n.Password)})
			if err != nil || string(got.Outcome.Cause) != tt.cause {
				t.Fatalf("%q, %v; want %s\n%s", got.Outcome.Cause, err, tt.cause, got.Detail.Evidence)
			}
			for lang, want := range map[i18n.Lang]string{i18n.English: tt.english, i18n.Russian: tt.russian} {
				if text := i18n.New(lang, nil).Text(got.Detail.Text); !strings.HasPrefix(text, want) {
					t.Errorf("%s: %q, want %q", lang, text, want)
				}
			}
			if !strings.Contains(got.Detail.Evidence, tt.evidence) {
				t.Errorf("the evidence is %q, want %q in it", got.Detail.Evidence, tt.evidence)
			}
		})
	}
}

// TestEveryCodeHasWords checks that every code of RFC 2637 and Q.931, known or not, has a
// text in the catalogue.
func TestEveryCodeHasWords(t *testing.T) {
	var all []error
	for code := range 256 {
		all = append(all,
			&control.Disconnected{Notify: control.CDN{Result: control.DisconnectResult(code), General: control.GeneralError(code), Cause: control.Cause(code)}},
			&control.Refused{Step: control.StepCall, Result: control.CallResult(code), General: control.GeneralError(code), Cause: control.Cause(257 * code)},
			&control.Refused{Step: control.StepStart, Result: control.StartResult(code), General: control.GeneralError(code)},
			&control.Error{Step: control.StepSession, Failure: control.FailureStopped, Reason: control.StopReason(code)})
	}
	for _, lang := range i18n.Langs() {
		p := i18n.New(lang, nil)
		for _, err := range all {
			text := p.Text(probe.CodesText(err))
			for _, family := range []string{"probe.", "call.result.", "disconnect.result.", "start.result.", "general.error.", "stop.reason.", "q931.", "{0}"} {
				if text == "" || strings.Contains(text, family) {
					t.Fatalf("%s: %v: got the text %q", lang, err, text)
				}
			}
		}
	}
	if text := i18n.New(i18n.English, nil).Text(probe.CodesText(&pptp.Refused{Code: 1999})); !strings.Contains(text, " 1999,") {
		t.Errorf("a login code without a text: got %q, want none", text)
	}
	for _, err := range []error{nil, &pptp.Refused{}, &pptp.Refused{Code: 691}, fmt.Errorf("other"), &control.Error{Failure: control.FailureClosed}, &pptp.Error{Step: "lcp", Code: "timeout"}} {
		if text := probe.CodesText(err); !text.IsZero() {
			t.Errorf("%v: got the text %v", err, text)
		}
	}
}

// resolverOf returns a resolver for the addresses of these servers.
func resolverOf(list []lab.Node) func(context.Context, string) ([]netip.Addr, error) {
	return func(context.Context, string) (at []netip.Addr, err error) {
		for _, n := range list {
			at = append(at, n.Addr.Addr())
		}
		return at, nil
	}
}

// TestLoginSaysWhichAddressAnswered checks that a login of a name with several
// addresses says which of them accepted the connection.
func TestLoginSaysWhichAddressAnswered(t *testing.T) {
	sw := gre.NewSwitch()
	at := map[string]lab.Node{}
	for _, n := range labtest.Start(t, lab.Config{Nodes: 3, Seed: 5, Faults: labtest.Faults(t, "good=1,refuse=1,login-refused:691=1"), GRE: sw.Open}).Nodes() {
		at[n.Behaviour.String()] = n
	}
	good, refuse, wrong := at["good"], at["refuse"], at["login-refused:691"]
	mux := gre.NewMux(sw.Open)
	for _, tt := range []struct {
		name  string
		list  []lab.Node
		login lab.Node
		cause string
		text  string
	}{
		{"the first answers", []lab.Node{good, refuse}, good, "", ""},
		{"the second answers", []lab.Node{refuse, good}, good, "", fmt.Sprintf("The name has several addresses: %v answered, %v did not.", good.Addr.Addr(), refuse.Addr.Addr())},
		{"the second answers and refuses the login", []lab.Node{refuse, wrong}, wrong, "auth.691",
			fmt.Sprintf("The name has several addresses: %v answered, %v did not.", wrong.Addr.Addr(), refuse.Addr.Addr())},
		{"one address", []lab.Node{refuse}, good, "tcp.refused", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := probe.Prober{Attempts: func() int { return 1 }}
			p.Session.GRE, p.Session.Resolve = mux, resolverOf(tt.list)
			got, err := p.Login(t.Context(), connexa.Job{Kind: connexa.Login, Address: "vpn.test", Port: int(tt.login.Addr.Port()), Login: tt.login.Login, Password: connexa.Secret(tt.login.Password)})
			if err != nil || string(got.Outcome.Cause) != tt.cause {
				t.Fatalf("%+v, %v", got, err)
			}
			if text := i18n.New(i18n.English, nil).Text(got.Detail.Text); text != tt.text {
				t.Errorf("got %q, want %q", text, tt.text)
			}
		})
	}
}
