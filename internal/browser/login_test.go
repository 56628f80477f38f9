package browser

import (
	"os/exec"
	"regexp"
	"testing"
)

const loginButton = `form[action="/login"] .btn.primary`

func TestLogin(t *testing.T) {
	t.Parallel()
	b := startPanel(t).openTab(t)
	b.expect(unprocessable, tooMany)

	// A page that was asked for before the login comes after it.
	b.see("/runs")
	b.wait(at("/login"))

	b.fill(`[name=username]`, admin)
	try := func(word string) {
		t.Helper()
		b.do(mark)
		b.fill(`[name=password]`, word)
		b.click(loginButton)
		b.wait(arrived)
	}
	const problem = `document.querySelector("#problem")?.textContent ?? ""`
	tries := 0
	for ; tries < 12; tries++ {
		try("not the password")
		if got := get[string](b, `document.querySelector("[name=username]").value`); got != admin {
			t.Fatalf("the name that was typed became %q", got)
		}
		if get[string](b, `document.querySelector("[name=password]").value`) != "" {
			t.Fatal("the page sends the password back")
		}
		if get[bool](b, `/Try again in \d/.test(`+problem+`)`) {
			break
		}
		if got := get[string](b, problem); got != "The user name or the password is wrong." {
			t.Fatalf("the page says %q", got)
		}
	}
	if tries < 3 || tries == 12 {
		t.Errorf("a wait is shown after %d wrong passwords", tries)
	}
	// The right one has to wait as well, and then leads to the page asked for. The
	// page counts down, sends nothing early and says when it is time.
	b.wait(`/Try again in \d+:\d\d\.|You may try again now/.test(` + problem + `)`)
	b.wait(`document.querySelector("#problem").textContent === "You may try again now." && !document.querySelector("form [aria-disabled]")`)
	try(password)
	b.wait(at("/runs"))
}

func TestLogoutEndsTheOtherTab(t *testing.T) {
	t.Parallel()
	b := startPanel(t).openTab(t)
	b.expect(unauthorized)
	b.login()
	other := b.another()
	other.expect(unauthorized, streamEnded)
	other.see("/nodes")
	other.live()

	b.click(`button[popovertarget=account].entry`)
	b.click(`form[action="/logout"] button`)
	b.wait(at("/login"))
	// The stream ends within 5 s, and the page asks for the login or says that it hears no more.
	other.wait(at("/login") + ` || document.querySelector("#live")?.hidden === false`)
	other.see("/nodes")
	other.wait(at("/login"))
}

// forced gives the admin a password that the program makes up, and logs in with it.
func (p *panel) forced(t *testing.T) (*tab, string) {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path, "passwd", "--data", p.data, "--generate").Output()
	if err != nil {
		t.Fatal(err)
	}
	made := regexp.MustCompile(`\n  (\S+)\n`).FindSubmatch(out)
	if made == nil {
		t.Fatal("no password was printed")
	}
	b := p.openTab(t)
	b.expect(unprocessable)
	b.see("/login?next=%2Fruns")
	b.fill(`[name=username]`, admin)
	b.fill(`[name=password]`, string(made[1]))
	b.click(loginButton)
	b.wait(at("/password"))
	return b, string(made[1])
}

const changeButton = `form[action="/password"] .btn.primary`

func TestAMadeUpPasswordIsChangedFirst(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	b, made := p.forced(t)
	b.see("/nodes")
	b.wait(at("/password"))
	b.fill(`[name=old]`, made)
	b.fill(`[name=new]`, "password1234")
	b.fill(`[name=repeat]`, "password1234")
	b.click(changeButton)
	b.wait(has("#e-new", "Too easy to guess"))
	b.fill(`[name=old]`, made)
	b.fill(`[name=new]`, "Kite-7 lantern copper")
	b.fill(`[name=repeat]`, "Kite-7 lantern copper")
	b.click(changeButton)
	b.wait(at("/nodes"))
	b.live()
}
