package config

import (
	"io"
	"strings"
	"testing"
)

// TestPasswdAccount checks the flag of the account, and its name in version 0.9.
func TestPasswdAccount(t *testing.T) {
	for _, flag := range []string{"--account", "--user"} {
		c, err := Parse([]string{"passwd", flag, "bob"}, io.Discard)
		if err != nil || c.Passwd.Account != "bob" {
			t.Errorf("%s bob: got %+v, %v; want the account bob", flag, c.Passwd, err)
		}
	}
}

// TestUsageErrorsSayWhichHelp checks that a wrong command line leads to the help that has
// what is missing.
func TestUsageErrorsSayWhichHelp(t *testing.T) {
	for line, want := range map[string]string{
		"check":         "missing flags: --login=L (connexa check --help lists its arguments and flags)",
		"nonsense":      "unexpected argument nonsense (connexa --help lists the commands)",
		"passwd --user": "--account: needs a value (connexa passwd --help lists its arguments and flags)",
	} {
		_, err := Parse(strings.Fields(line), io.Discard)
		if err == nil || err.Error() != want {
			t.Errorf("connexa %s: got %v, want %s", line, err, want)
		}
	}
}
