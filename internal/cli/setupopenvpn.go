package cli

import (
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/connexa-panel/connexa/internal/config"
	"github.com/connexa-panel/connexa/internal/openvpn"
	"github.com/connexa-panel/connexa/internal/openvpn/isolation"
)

// SetupOpenVPN creates the devices of OpenVPN exits and the nftables table that isolates
// them, or removes both. It leaves what is correct already.
func SetupOpenVPN(cfg config.SetupOpenVPN, out io.Writer) error {
	if cfg.Remove {
		return removeOpenVPN(out)
	}
	owner, name, err := openVPNOwner(cfg)
	if err != nil {
		return err
	}
	// The table first, so that no device is ever open.
	if err := isolation.Protect(); err != nil {
		return explainRights(err)
	}
	// Also the existing devices beyond the count: a node may use one of them, and all must
	// have the same owner.
	all, err := isolation.List()
	if err != nil {
		return err
	}
	for n := range cfg.Count {
		all = append(all, n)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	for _, n := range all {
		if err := isolation.Make(n, owner); err != nil {
			return explainRights(err)
		}
		if _, err := isolation.Check(n); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "%d devices are ready, %s to %s; they belong to %s, and the table %s of nftables closes them\n",
		len(all), isolation.Name(0), isolation.Name(all[len(all)-1]), name, isolation.Table)
	if more := len(all) - cfg.Count; more > 0 {
		fmt.Fprintf(out, "%d of them are more than --count %d, and stay, as nodes may have them; for fewer: connexa setup-openvpn --remove, then this command again\n", more, cfg.Count)
	}
	if name == cfg.User {
		fmt.Fprintf(out, "openvpn runs as %s, the panel's own account, and could read what the panel can; better: useradd --system --no-create-home --shell /usr/sbin/nologin %s, then this command again\n",
			name, openvpn.Account)
	} else if name != "root" {
		fmt.Fprintf(out, "a panel that does not run as root needs CAP_SETUID and CAP_SETGID to start openvpn as %s\n", name)
	}
	return nil
}

// openVPNOwner returns the account that will own the devices.
func openVPNOwner(cfg config.SetupOpenVPN) (uid uint32, name string, err error) {
	name = cfg.Owner
	if name == "" {
		if uid, _, err = openvpn.LookupAccount(openvpn.Account); err == nil {
			return uid, openvpn.Account, nil
		}
		name = cfg.User
	}
	const advice = "make an account for openvpn: useradd --system --no-create-home --shell /usr/sbin/nologin " + openvpn.Account
	uid, _, err = openvpn.LookupAccount(name)
	switch {
	case err != nil:
		err = fmt.Errorf("%w; %s", err, advice)
	case uid == 0:
		err = fmt.Errorf("%s is root, and openvpn is to have no rights; %s", name, advice)
	}
	return uid, name, err
}

func removeOpenVPN(out io.Writer) error {
	list, err := isolation.List()
	if err != nil {
		return err
	}
	for _, n := range list {
		if err := isolation.Remove(n); err != nil {
			return explainRights(err)
		}
	}
	if err := isolation.Unprotect(); err != nil {
		return explainRights(err)
	}
	fmt.Fprintf(out, "%d devices and the table %s of nftables were removed\n", len(list), isolation.Table)
	return nil
}

func explainRights(err error) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w (this is for root: sudo connexa setup-openvpn)", err)
	}
	return err
}
