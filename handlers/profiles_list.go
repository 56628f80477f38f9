package handlers

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// listProfiles answers GET /profiles with all profiles and the form of a new one.
func (h *Handlers) listProfiles(w http.ResponseWriter, r *http.Request) error {
	values := map[string]string{"client": clientOf(r.URL.Query())}
	return h.profilesView(w, r, http.StatusOK, views.ProfileForm{Values: values})
}

func (h *Handlers) profilesView(w http.ResponseWriter, r *http.Request, status int, form views.ProfileForm) error {
	if !h.vpns.Exits() {
		return connexa.Errorf(connexa.NotFound, "error.not_found")
	}
	v := views.Profiles{Form: form, Now: h.now(), Node: wantedNode(r)}
	var err error
	if v.Clients, err = h.profiles.ProfileClients(r.Context()); err != nil {
		return err
	}
	if v.Profiles, err = h.profiles.Profiles(r.Context(), 0); err != nil {
		return err
	}
	if v.Links, err = h.profiles.ProfileLinks(r.Context()); err != nil {
		return err
	}
	return h.renderStatus(w, r, status, views.ProfilesPage(h.layoutData(w, r, connexa.T("profiles.title"), views.NavServices), v))
}

// clientOf returns the parameter "client". It was named "user" in version 0.9.
func clientOf(v url.Values) string { return cmp.Or(v.Get("client"), v.Get("user")) }

// wantedNode returns the node in the query, for which a profile is wanted, or zero.
func wantedNode(r *http.Request) int64 {
	id, err := strconv.ParseInt(r.URL.Query().Get("node"), 10, 64)
	if err != nil || id < 0 {
		return 0
	}
	return id
}

// addProfile answers POST /profiles.
func (h *Handlers) addProfile(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	f := r.PostForm
	form := views.ProfileForm{Values: map[string]string{}, Errors: connexa.FieldErrors{}}
	form.Values["client"] = clientOf(f)
	for _, name := range []string{"label", "expires", "password"} {
		form.Values[name] = f.Get(name)
	}
	n := connexa.NewProfile{Label: strings.TrimSpace(f.Get("label")), Password: f.Get("password") == "1"}
	var err error
	if n.ClientID, err = strconv.ParseInt(clientOf(f), 10, 64); err != nil {
		form.Errors.Add("client", "field.profile.client")
	}
	if day := strings.TrimSpace(f.Get("expires")); day != "" {
		if n.Expires, err = lastMoment(day, h.settings.PanelZone()); err != nil {
			form.Errors.Add("expires", "field.profile.expires")
		}
	}
	if len(form.Errors) > 0 {
		return h.profilesView(w, r, http.StatusUnprocessableEntity, form)
	}
	id, err := h.profiles.AddProfile(r.Context(), n)
	if err != nil {
		return renderFormError(err, func(status int, errs connexa.FieldErrors) error {
			form.Errors = errs
			return h.profilesView(w, r, status, form)
		})
	}
	to := "/profiles/" + strconv.FormatInt(id, 10)
	if node := wantedNode(r); node != 0 {
		to += "?node=" + strconv.FormatInt(node, 10)
	}
	return h.redirectDone(w, r, connexa.T("profile.made"), to)
}

// lastMoment returns the end of a day in the panel's zone.
func lastMoment(day string, zone *time.Location) (time.Time, error) {
	t, err := time.ParseInLocation(time.DateOnly, day, zone)
	if err != nil {
		return t, err
	}
	return connexa.EndOfDay(t), nil
}
