package views

import "net/http"

func failureTitle(status int) string {
	switch status {
	case http.StatusNotFound:
		return "failure.not_found"
	case http.StatusForbidden, http.StatusUnauthorized:
		return "failure.forbidden"
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		return "failure.busy"
	case http.StatusInternalServerError:
		return "failure.internal"
	default:
		return "failure.refused"
	}
}

func failureIcon(status int) string {
	switch status {
	case http.StatusNotFound:
		return "question"
	case http.StatusForbidden, http.StatusUnauthorized:
		return "lock"
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		return "clock"
	default:
		return "error"
	}
}
