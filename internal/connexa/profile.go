package connexa

import "time"

// Profile is a certificate of a client for one of its devices. There is a profile file
// for each node.
type Profile struct {
	ID        int64
	ClientID  int64  // of the client
	Client    string // its login
	Label     string // for people: "phone"
	Name      string // in the certificate: no two profiles have one name
	Serial    string // of the certificate, hexadecimal
	Password  bool   // the login and the password are required too
	CreatedAt time.Time
	ExpiresAt time.Time // zero: with its client
	RevokedAt time.Time // zero: it was not
}

// Good reports whether the profile is valid at a time.
func (p Profile) Good(now time.Time) bool {
	return p.RevokedAt.IsZero() && (p.ExpiresAt.IsZero() || now.Before(p.ExpiresAt))
}

// NewProfile is a request for a profile.
type NewProfile struct {
	ClientID int64
	Label    string
	Password bool
	Expires  time.Time // zero: never
}

// mostLabel is the maximum length of the label of a profile, in characters.
const mostLabel = 60

// Check returns the FieldErrors of p.
func (p NewProfile) Check(now time.Time) error {
	errs := FieldErrors{}
	switch n := len([]rune(p.Label)); {
	case n == 0 || n > mostLabel:
		errs.Add("label", "field.profile.label", mostLabel)
	case !isLine(p.Label):
		errs.Add("label", "field.control")
	}
	if !p.Expires.IsZero() && !p.Expires.After(now) {
		errs.Add("expires", "field.profile.expires")
	}
	return errs.OrNil()
}

// ProfileKey is a profile with its certificate and key, in PEM.
type ProfileKey struct {
	Profile
	Cert string
	Key  Secret
}

// ProfileLink allows one download of the file of a profile for one node, by its token.
type ProfileLink struct {
	ID        int64
	ProfileID int64
	NodeID    int64
	ExpiresAt time.Time
}
