package handlers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/connexa-panel/connexa/internal/connexa"
	"github.com/connexa-panel/connexa/views"
)

// exportServices answers GET /services/export with the services of the list in the
// format "format". It contains credentials and requires a recent authentication.
func (h *Handlers) exportServices(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	shape, ok := serviceShapes[connexa.ServiceFormat(v.Get("format"))]
	if !ok {
		return connexa.Errorf(connexa.NotFound, "error.not_found")
	}
	filter, err := connexa.ParseServiceFilter(v)
	if err != nil {
		return err
	}
	list, err := h.services.RunningServices(r.Context(), filter)
	if err == nil && len(list) == 0 {
		err = connexa.Errorf(connexa.NotFound, "services.none.title")
	}
	if err != nil {
		return err
	}
	host, _, err := h.clientHost(r)
	if err != nil {
		return err
	}
	ids := make([]int64, len(list))
	for i, s := range list {
		ids[i] = s.Node.ID
	}
	secrets, err := h.services.ServiceSecrets(r.Context(), ids)
	if err != nil {
		return err
	}
	var rows []exportedService
	for _, s := range list {
		if password, ok := secrets[s.Node.ID]; ok {
			rows = append(rows, exportedService{credentialsOf(s.Service, s.Node, host, password), s.Node, s.Service})
		}
	}
	file, err := shape.write(rows)
	if err != nil {
		return fmt.Errorf("export services: %w", err)
	}
	w.Header().Set("Content-Type", shape.kind+"; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+shape.name+`"`)
	w.Header().Set("Content-Length", strconv.Itoa(len(file)))
	if _, err := w.Write(file); err != nil {
		h.log.Debug("send an export", "err", err)
	}
	return nil
}

// exportedService is a service with its node and credentials.
type exportedService struct {
	views.ServiceCredentials
	node    connexa.Node
	service connexa.ServiceRow
}

// nodeLabel returns a unique name of a service for the lists of other programs.
func (s exportedService) nodeLabel() string {
	label := s.node.HostPort() + " " + s.node.Login
	if s.node.Country != "" {
		label = s.node.Country + " " + label
	}
	return label
}

// serviceShape is a file format of a list of services.
type serviceShape struct {
	name, kind string // of the file
	write      func([]exportedService) ([]byte, error)
}

var serviceShapes = map[connexa.ServiceFormat]serviceShape{
	connexa.FormatSOCKS5:   {"socks5.txt", "text/plain", linesOf(connexa.FormatSOCKS5)},
	connexa.FormatHTTP:     {"http.txt", "text/plain", linesOf(connexa.FormatHTTP)},
	connexa.FormatHostPort: {"proxies.txt", "text/plain", linesOf(connexa.FormatHostPort)},
	connexa.FormatUserPass: {"proxies.txt", "text/plain", linesOf(connexa.FormatUserPass)},
	connexa.FormatCSV:      {"services.csv", "text/csv", servicesCSV},
	connexa.FormatClash:    {"connexa.yaml", "application/yaml", clashProvider},
	connexa.FormatSingBox:  {"connexa.json", "application/json", singBoxOutbounds},
}

func linesOf(f connexa.ServiceFormat) func([]exportedService) ([]byte, error) {
	return func(list []exportedService) ([]byte, error) {
		var b bytes.Buffer
		for _, s := range list {
			b.WriteString(s.Line(f) + "\n")
		}
		return b.Bytes(), nil
	}
}

func servicesCSV(list []exportedService) ([]byte, error) {
	var b bytes.Buffer
	out := newCSVWriter(&b)
	rows := [][]string{{"host", "port", "user", "password", "state", "exit", "node", "login", "country", "city"}}
	for _, s := range list {
		rows = append(rows, []string{
			s.Host, strconv.Itoa(s.Port), s.User, s.Password.Reveal(), string(s.service.State), s.service.ExitIP,
			s.node.HostPort(), s.node.Login, s.node.Country, s.node.City,
		})
	}
	for _, row := range rows {
		if err := out.writeRow(row); err != nil {
			return nil, err
		}
	}
	err := out.flush()
	return b.Bytes(), err
}

// clashProvider returns a proxy provider of mihomo and Clash. It is JSON, which is also
// valid YAML, so that it needs no YAML quoting.
func clashProvider(list []exportedService) ([]byte, error) {
	type proxy struct {
		Name     string `json:"name"`
		Type     string `json:"type"`
		Server   string `json:"server"`
		Port     int    `json:"port"`
		User     string `json:"username"`
		Password string `json:"password"`
		UDP      bool   `json:"udp"`
	}
	var b bytes.Buffer
	b.WriteString("proxies:\n")
	for _, s := range list {
		line, err := json.Marshal(proxy{s.nodeLabel(), "socks5", s.Host, s.Port, s.User, s.Password.Reveal(), true})
		if err != nil {
			return nil, err
		}
		b.WriteString("  - " + string(line) + "\n")
	}
	return b.Bytes(), nil
}

// singBoxOutbounds returns a sing-box configuration that contains only outbounds, to be
// merged with another one.
func singBoxOutbounds(list []exportedService) ([]byte, error) {
	type outbound struct {
		Type     string `json:"type"`
		Tag      string `json:"tag"`
		Server   string `json:"server"`
		Port     int    `json:"server_port"`
		Version  string `json:"version"`
		User     string `json:"username"`
		Password string `json:"password"`
	}
	outbounds := make([]outbound, 0, len(list))
	for _, s := range list {
		outbounds = append(outbounds, outbound{"socks", s.nodeLabel(), s.Host, s.Port, "5", s.User, s.Password.Reveal()})
	}
	return json.MarshalIndent(map[string]any{"outbounds": outbounds}, "", "  ")
}
