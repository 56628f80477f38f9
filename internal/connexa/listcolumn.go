package connexa

import (
	"slices"
	"strconv"
	"strings"
)

// ListColumn is a column of the node list as a reader has chosen it.
type ListColumn struct {
	Name  string `json:"name"`            // one of ListColumnNames
	Width int    `json:"width,omitempty"` // in CSS pixels; 0: the usual width
}

// ServerColumn is the column that every list has, as its first.
const ServerColumn = "server"

// Limits of the width of a column.
const (
	MinColumnWidth = 60
	MaxColumnWidth = 900
)

// listColumnNames is in the order in which the choice of columns offers them.
var listColumnNames = []string{
	ServerColumn, "status", "place", "reason", "latency", "speed", "service", "checked",
	"step", "loss", "upload", "tags", "comment", "country", "state", "city", "zip", "provider", "asn",
	"address", "port", "login", "encryption", "pap", "vendor", "firmware", "host", "kind", "added", "changed",
}

// ListColumnNames lists the columns that the node list can have. The caller must not
// change the list.
func ListColumnNames() []string { return listColumnNames }

// DefaultListColumns returns the columns of a list for which nobody has chosen any.
func DefaultListColumns(speed, services bool) []ListColumn {
	names := []string{ServerColumn, "status", "place", "reason", "latency"}
	if speed {
		names = append(names, "speed")
	}
	if services {
		names = append(names, "service")
	}
	list := make([]ListColumn, 0, len(names)+1)
	for _, name := range append(names, "checked") {
		list = append(list, ListColumn{Name: name})
	}
	return list
}

// ParseListColumns reads columns as FormatListColumns writes them. It skips unknown and
// repeated ones and adds ServerColumn if it is not the first. No columns at all are nil.
func ParseListColumns(s string) []ListColumn {
	var list []ListColumn
	for part := range strings.SplitSeq(s, ",") {
		name, width, _ := strings.Cut(strings.TrimSpace(part), ":")
		c := ListColumn{Name: name}
		if n, err := strconv.Atoi(width); err == nil && n > 0 {
			c.Width = min(max(n, MinColumnWidth), MaxColumnWidth)
		}
		list = append(list, c)
	}
	return CheckListColumns(list)
}

// CheckListColumns returns the columns as ParseListColumns does.
func CheckListColumns(list []ListColumn) []ListColumn {
	var out []ListColumn
	for _, c := range list {
		if slices.Contains(listColumnNames, c.Name) && !slices.ContainsFunc(out, func(o ListColumn) bool { return o.Name == c.Name }) {
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return nil
	}
	server := slices.IndexFunc(out, func(c ListColumn) bool { return c.Name == ServerColumn })
	first := ListColumn{Name: ServerColumn}
	if server >= 0 {
		first = out[server]
		out = slices.Delete(out, server, server+1)
	}
	return append([]ListColumn{first}, out...)
}

// FormatListColumns writes columns for a URL: "server,comment:300".
func FormatListColumns(list []ListColumn) string {
	parts := make([]string, len(list))
	for i, c := range list {
		parts[i] = c.Name
		if c.Width > 0 {
			parts[i] += ":" + strconv.Itoa(c.Width)
		}
	}
	return strings.Join(parts, ",")
}

// Density is the height of the rows of a list.
type Density string

// The densities.
const (
	Comfortable Density = "comfortable"
	Compact     Density = "compact"
)

// ParseDensity reads a density; an unknown one is empty.
func ParseDensity(s string) Density {
	if d := Density(s); d == Comfortable || d == Compact {
		return d
	}
	return ""
}
