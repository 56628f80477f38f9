package handlers

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/internal/i18n"
	"github.com/connexa-panel/connexa/views"
)

// speedSetup returns the speed part of the settings page.
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
func (h *Handlers) saveSpeedSettings(w http.ResponseWriter, r *http.Request) error {
	return saveForm(h, w, r, readSpeedSettings, h.speed.ChangeSpeedSettings, "/settings#speed")
}

// readSpeedSettings returns the values of the form.
func readSpeedSettings(f url.Values) connexa.SpeedSettings {
	return connexa.SpeedSettings{
		Mode:     connexa.SpeedMode(f.Get("speed_mode")),
		AtOnce:   formNumber(f, "speed_at_once"),
		QuickMB:  formNumber(f, "speed_quick_mb"),
		FullMB:   formNumber(f, "speed_full_mb"),
		SlowKbit: formNumber(f, "speed_slow_kbit"),
		HourGB:   formNumber(f, "speed_hour_gb"),
		MonthGB:  formNumber(f, "speed_month_gb"),
	}
}

// endpointOf returns the endpoint that a form names.
func endpointOf(f url.Values) connexa.Endpoint {
	return connexa.Endpoint{
		Kind: connexa.EndpointKind(f.Get("endpoint_kind")), URL: f.Get("endpoint_url"), UpURL: f.Get("endpoint_up_url"),
		Token: connexa.Secret(strings.TrimSpace(f.Get("endpoint_token"))),
	}
}

// newEndpoint answers GET /speed/endpoints.
func (h *Handlers) newEndpoint(w http.ResponseWriter, r *http.Request) error {
	return h.renderPage(w, r, views.EndpointPage(h.layoutData(w, r, connexa.T("speed.choose.title"), views.NavSettings), views.EndpointForm{}))
}

// addEndpoint answers POST /speed/endpoints. If the form also has a run, it starts the
// run.
func (h *Handlers) addEndpoint(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	e := endpointOf(r.PostForm)
	run := r.PostForm.Get("kind") != ""
	if err := h.speed.AddEndpoint(r.Context(), e); err != nil {
		return h.renderEndpointError(w, r, e, err)
	}
	if run {
		return h.startRun(w, r)
	}
	return h.redirectDone(w, r, connexa.T("speed.endpoint.added", e.Name()), "/settings#endpoints")
}

// renderEndpointError is renderFormError for the form of a speed endpoint.
func (h *Handlers) renderEndpointError(w http.ResponseWriter, r *http.Request, e connexa.Endpoint, err error) error {
	f := views.EndpointForm{Typed: e}
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
	return renderFormError(err, func(status int, errs connexa.FieldErrors) error {
		f.Errors = errs
		return h.renderStatus(w, r, status, views.EndpointPage(pg, f))
	})
}

// testEndpoint answers POST /speed/endpoints/test: a brief measurement without a
// tunnel.
func (h *Handlers) testEndpoint(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	e := endpointOf(r.PostForm)
	m, err := h.speed.TryEndpoint(r.Context(), e)
	if errs, ok := errors.AsType[connexa.FieldErrors](err); ok {
		for _, text := range errs {
			return &connexa.Error{Code: connexa.Invalid, Text: text}
		}
	}
	toast := views.Toast{Tone: views.ToneGood, Text: connexa.T("speed.test.good", m.Endpoint, m.Latency)}
	var probeErr interface {
		error
		Cause() connexa.Cause
	}
	switch {
	case errors.As(err, &probeErr):
		toast = views.Toast{Tone: views.ToneBad, Text: connexa.T("speed.test.bad", e.Name(), connexa.T("cause."+string(probeErr.Cause())), probeErr.Error())}
	case err != nil && connexa.CodeOf(err) != connexa.Internal:
		return err
	case err != nil:
		h.log.Warn("try a speed endpoint", "endpoint", e.Name(), "err", err)
		toast = views.Toast{Tone: views.ToneBad, Text: connexa.T("speed.test.bad", e.Name(), connexa.T("cause.internet.failed"), err.Error())}
	}
	if isHTMX(r) {
		return h.renderFragment(w, r, views.ToastPartial(toast))
	}
	h.flashTone(w, r, toast.Tone, toast.Text)
	return h.redirectTo(w, r, "/settings#endpoints")
}

// preferEndpoint answers POST /speed/endpoints/first.
func (h *Handlers) preferEndpoint(w http.ResponseWriter, r *http.Request) error {
	return h.endpointAct(w, r, h.speed.PreferEndpoint)
}

// removeEndpoint answers POST /speed/endpoints/remove, first with a question.
func (h *Handlers) removeEndpoint(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	if !isConfirmed(r) {
		c := views.ConfirmRemoveEndpoint(i18n.From(r.Context()), endpointOf(r.PostForm))
		return h.askConfirm(w, r, http.StatusOK, c, connexa.T("settings.title"), views.NavSettings)
	}
	return h.endpointAct(w, r, h.speed.RemoveEndpoint)
}

func (h *Handlers) endpointAct(w http.ResponseWriter, r *http.Request, act func(context.Context, connexa.Endpoint) error) error {
	if err := parseForm(r); err != nil {
		return err
	}
	if err := act(r.Context(), endpointOf(r.PostForm)); err != nil {
		return err
	}
	return h.redirectDone(w, r, connexa.T("settings.saved"), "/settings#endpoints")
}
