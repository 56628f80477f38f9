package handlers

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/views"
)

// speedSetup is the part of the settings page about speed tests.
func (h *Handlers) speedSetup(ctx context.Context) (views.SpeedSetup, error) {
	p, err := h.speed.SpeedSetup(ctx)
	if err != nil {
		return views.SpeedSetup{}, err
	}
	v := views.SpeedSetupOf(p.Settings)
	v.Endpoints, v.Spent, v.Uplink = p.Endpoints, p.Spent, p.Uplink
	return v, nil
}

// saveSpeedSettings answers POST /settings/speed.
func (h *Handlers) saveSpeedSettings(w http.ResponseWriter, r *http.Request) {
	saveForm(h, w, r, readSpeedSettings, h.speed.ChangeSpeedSettings, "/settings#speed")
}

// readSpeedSettings reads the form. What is no number becomes one that is out of
// every bound, so that it is complained about.
func readSpeedSettings(f url.Values) connexa.SpeedSettings {
	number := func(name string) int {
		n, err := strconv.Atoi(strings.TrimSpace(f.Get(name)))
		if err != nil {
			return -1
		}
		return n
	}
	return connexa.SpeedSettings{
		Mode:     connexa.SpeedMode(f.Get("speed_mode")),
		AtOnce:   number("speed_at_once"),
		QuickMB:  number("speed_quick_mb"),
		FullMB:   number("speed_full_mb"),
		SlowKbit: number("speed_slow_kbit"),
		HourGB:   number("speed_hour_gb"),
		MonthGB:  number("speed_month_gb"),
	}
}

// endpointOf reads the endpoint that a form names.
func endpointOf(f url.Values) connexa.Endpoint {
	return connexa.Endpoint{
		Kind: connexa.EndpointKind(f.Get("endpoint_kind")), URL: f.Get("endpoint_url"), UpURL: f.Get("endpoint_up_url"),
		Token: connexa.Secret(strings.TrimSpace(f.Get("endpoint_token"))),
	}
}

// newEndpoint answers GET /speed/endpoints.
func (h *Handlers) newEndpoint(w http.ResponseWriter, r *http.Request) {
	h.renderPage(w, r, views.EndpointPage(h.layoutData(w, r, connexa.T("speed.choose.title"), views.NavSettings), views.EndpointForm{}))
}

// addEndpoint answers POST /speed/endpoints. With a run in the same form, that
// goes on.
func (h *Handlers) addEndpoint(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		h.renderFailure(w, r, badForm(err))
		return
	}
	e := endpointOf(r.PostForm)
	run := r.PostForm.Get("kind") != ""
	err := h.speed.AddEndpoint(r.Context(), e)
	var errs connexa.FieldErrors
	switch {
	case errors.As(err, &errs):
		h.refuseEndpoint(w, r, e, errs)
	case err != nil:
		h.renderFailure(w, r, err)
	case run:
		h.startRun(w, r)
	default:
		h.addFlash(w, r, connexa.T("speed.endpoint.added", e.Name()))
		h.redirectTo(w, r, "/settings#endpoints")
	}
}

// refuseEndpoint draws the form again with what was typed.
func (h *Handlers) refuseEndpoint(w http.ResponseWriter, r *http.Request, e connexa.Endpoint, errs connexa.FieldErrors) {
	f := views.EndpointForm{Typed: e, Errors: errs}
	if r.PostForm.Get("kind") != "" {
		rest := url.Values{}
		for name, values := range r.PostForm {
			if !strings.HasPrefix(name, "endpoint_") {
				rest[name] = values
			}
		}
		f.Run = views.HiddenOf(rest)
	}
	pg := h.layoutData(w, r, connexa.T("speed.choose.title"), views.NavSettings)
	pg.Here = "/speed/endpoints"
	h.fragmentStatus(w, r, http.StatusUnprocessableEntity, views.EndpointPage(pg, f))
}

// testEndpoint answers POST /speed/endpoints/test: a look without a tunnel.
func (h *Handlers) testEndpoint(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		h.renderFailure(w, r, badForm(err))
		return
	}
	e := endpointOf(r.PostForm)
	m, err := h.speed.TryEndpoint(r.Context(), e)
	var errs connexa.FieldErrors
	if errors.As(err, &errs) {
		for _, text := range errs {
			h.renderError(w, r, connexa.Invalid, text)
			return
		}
	}
	said := views.Toast{Tone: views.ToneGood, Text: connexa.T("speed.test.good", m.Endpoint, m.Latency)}
	var told interface {
		error
		Cause() connexa.Cause
	}
	switch {
	case errors.As(err, &told):
		said = views.Toast{Tone: views.ToneBad, Text: connexa.T("speed.test.bad", e.Name(), connexa.T("cause."+string(told.Cause())), told.Error())}
	case err != nil && connexa.CodeOf(err) != connexa.Internal:
		h.renderFailure(w, r, err)
		return
	case err != nil:
		h.log.Warn("try a speed endpoint", "endpoint", e.Name(), "err", err)
		said = views.Toast{Tone: views.ToneBad, Text: connexa.T("speed.test.bad", e.Name(), connexa.T("cause.internet.failed"), err.Error())}
	}
	if isHTMX(r) {
		h.renderFragment(w, r, views.ToastPartial(said))
		return
	}
	h.flashTone(w, r, said.Tone, said.Text)
	h.redirectTo(w, r, "/settings#endpoints")
}

// preferEndpoint answers POST /speed/endpoints/first.
func (h *Handlers) preferEndpoint(w http.ResponseWriter, r *http.Request) {
	h.endpointAct(w, r, h.speed.PreferEndpoint)
}

// removeEndpoint answers POST /speed/endpoints/remove: at first with the question.
func (h *Handlers) removeEndpoint(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		h.renderFailure(w, r, badForm(err))
		return
	}
	if !isConfirmed(r) {
		c := views.ConfirmRemoveEndpoint(i18n.From(r.Context()), endpointOf(r.PostForm))
		h.askConfirm(w, r, c, connexa.T("settings.title"), views.NavSettings)
		return
	}
	h.endpointAct(w, r, h.speed.RemoveEndpoint)
}

func (h *Handlers) endpointAct(w http.ResponseWriter, r *http.Request, act func(context.Context, connexa.Endpoint) error) {
	err := r.ParseForm()
	if err != nil {
		h.renderFailure(w, r, badForm(err))
		return
	}
	if err := act(r.Context(), endpointOf(r.PostForm)); err != nil {
		h.renderFailure(w, r, err)
		return
	}
	h.addFlash(w, r, connexa.T("settings.saved"))
	h.redirectTo(w, r, "/settings#endpoints")
}
