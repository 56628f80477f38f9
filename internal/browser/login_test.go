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
	b.expectErrors(unprocessable, tooMany)

	// A login leads to the page that was requested before it.
	b.openPage("/runs")
	b.waitTrue(pathIs("/login"))

	b.fillField(`[name=username]`, admin)
	try := func(word string) {
		t.Helper()
		b.mustRun(mark)
		b.fillField(`[name=password]`, word)
		b.clickOn(loginButton)
		b.waitTrue(arrived)
	}
	const problem = `document.querySelector("#problem")?.textContent ?? ""`
	tries := 0
	for ; tries < 12; tries++ {
		try("not the password")
		if got := getValue[string](b, `document.querySelector("[name=username]").value`); got != admin {
			t.Fatalf("the name that was typed became %q", got)
		}
		if getValue[string](b, `document.querySelector("[name=password]").value`) != "" {
			t.Fatal("the page sends the password back")
		}
		if getValue[bool](b, `/Try again in \d/.test(`+problem+`)`) {
			break
		}
		if got := getValue[string](b, problem); got != "Wrong username or password." {
			t.Fatalf("the page says %q", got)
		}
	}
	if tries < 3 || tries == 12 {
		t.Errorf("a wait is shown after %d wrong passwords", tries)
	}
	// The correct password must wait too, and then leads to the requested page. The page
	// counts down, sends nothing early, and shows when the wait is over.
	b.waitTrue(`/Try again in \d+:\d\d\.|You can try again now/.test(` + problem + `)`)
	b.waitTrue(`document.querySelector("#problem").textContent === "You can try again now." && !document.querySelector("form [aria-disabled]")`)
	try(password)
	b.waitTrue(pathIs("/runs"))
}

func TestLogoutEndsTheOtherTab(t *testing.T) {
	t.Parallel()
	b := startPanel(t).openTab(t)
	b.expectErrors(unauthorized)
	b.logIn()
	other := b.newTab()
	other.expectErrors(unauthorized, streamEnded)
	other.openPage("/nodes")
	other.waitLive()

	b.clickOn(`button[popovertarget=account].entry`)
	b.clickOn(`form[action="/logout"] button`)
	b.waitTrue(pathIs("/login"))
	// The stream ends within 5 s. Then the page shows the login or says that it is not
	// live.
	other.waitTrue(pathIs("/login") + ` || document.querySelector("#live")?.hidden === false`)
	other.openPage("/nodes")
	other.waitTrue(pathIs("/login"))
}

// forcedLogin sets a generated password for the admin and logs in with it.
func (p *panel) forcedLogin(t *testing.T) (*tab, string) {
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
	b.expectErrors(unprocessable)
	b.openPage("/login?next=%2Fruns")
	b.fillField(`[name=username]`, admin)
	b.fillField(`[name=password]`, string(made[1]))
	b.clickOn(loginButton)
	b.waitTrue(pathIs("/password"))
	return b, string(made[1])
}

const changeButton = `form[action="/password"] .btn.primary`

func TestAMadeUpPasswordIsChangedFirst(t *testing.T) {
	t.Parallel()
	p := startPanel(t)
	b, made := p.forcedLogin(t)
	b.openPage("/nodes")
	b.waitTrue(pathIs("/password"))
	b.fillField(`[name=old]`, made)
	b.fillField(`[name=new]`, "password1234")
	b.fillField(`[name=repeat]`, "password1234")
	b.clickOn(changeButton)
	b.waitTrue(hasText("#e-new", "Too easy to guess"))
	b.fillField(`[name=old]`, made)
	b.fillField(`[name=new]`, "Kite-7 lantern copper")
	b.fillField(`[name=repeat]`, "Kite-7 lantern copper")
	b.clickOn(changeButton)
	b.waitTrue(pathIs("/nodes"))
	b.waitLive()
}
