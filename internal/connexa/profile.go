package connexa

import "time"

// Profile is a certificate that an access user has for one of its computers or
// telephones. With it goes a file for each node that it is used on.
type Profile struct {
	ID        int64
	ClientID  int64  // of the access user
	Client    string // its login
	Label     string // for people: "phone"
	Name      string // in the certificate: no two profiles have one name
	Serial    string // of the certificate, hexadecimal
	Password  bool   // the client is asked for the access user's login and password too
	CreatedAt time.Time
	ExpiresAt time.Time // zero: with its access user
	RevokedAt time.Time // zero: it was not
}

// Good says whether the profile lets anybody in at a time, as far as it is asked.
func (p Profile) Good(now time.Time) bool {
	return p.RevokedAt.IsZero() && (p.ExpiresAt.IsZero() || now.Before(p.ExpiresAt))
}

// NewProfile is what an admin says of a profile that is to be made.
type NewProfile struct {
	ClientID int64
	Label    string
	Password bool
	Expires  time.Time // zero: never by itself
}

// mostLabel is how many letters the label of a profile may have.
const mostLabel = 60

// Check says, field by field, what cannot be.
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

// ProfileKey is a profile with what its file holds of it, in PEM.
type ProfileKey struct {
	Profile
	Cert string
	Key  Secret
}

// ProfileLink lets whoever has its token download the file of a profile for one
// node, once.
type ProfileLink struct {
	ID        int64
	ProfileID int64
	NodeID    int64
	ExpiresAt time.Time
}
