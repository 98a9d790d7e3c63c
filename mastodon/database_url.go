package mastodon

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// parseDatabaseURL reads postgresql://user:password@host:port/database?keyword=value
// as libpq does, and Rails' names for the keywords too. What is empty is left
// out. It never quotes its input, for a password may have slipped anywhere: the
// reason is all that is said, "" if nothing is wrong.
func parseDatabaseURL(raw string) (params, string) {
	rest, ok := strings.CutPrefix(raw, "postgresql://")
	if !ok {
		if rest, ok = strings.CutPrefix(raw, "postgres://"); !ok {
			return nil, "it does not begin with postgresql:// or postgres://"
		}
	}
	if strings.ContainsFunc(rest, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '#' }) {
		return nil, "it holds a space, a control character or a #"
	}
	rest, query, _ := strings.Cut(rest, "?")
	authority, database, _ := strings.Cut(rest, "/")
	if strings.ContainsAny(database, "/@") {
		return nil, "it has a / or @ too many"
	}
	p := params{"dbname": database}
	if reason := p.authority(authority); reason != "" {
		return nil, reason
	}
	if reason := p.unescape(); reason != "" {
		return nil, reason
	}
	if reason := p.query(query); reason != "" {
		return nil, reason
	}
	for key, value := range p {
		if value == "" {
			delete(p, key)
		}
	}
	return p, ""
}

// authority reads user:password@host:port,host:port.
func (p params) authority(s string) string {
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		p["user"], p["password"], _ = strings.Cut(s[:at], ":")
		s = s[at+1:]
	}
	var hosts, ports []string
	for one := range strings.SplitSeq(s, ",") {
		host, port := one, ""
		if colon := strings.LastIndexByte(one, ':'); colon > strings.LastIndexByte(one, ']') {
			host, port = one[:colon], one[colon+1:]
		}
		hosts = append(hosts, strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
		ports = append(ports, port)
	}
	p["host"], p["port"] = strings.Join(hosts, ","), strings.Join(ports, ",")
	if !validPorts(p["port"]) {
		return "what stands where the port should be is no number"
	}
	if strings.Trim(p["port"], ",") == "" {
		p["port"] = ""
	}
	return ""
}

// unescape turns %XX into bytes; unlike in a form, + stays what it is.
func (p params) unescape() string {
	for key, value := range p {
		text, err := url.PathUnescape(value)
		if err != nil {
			return "it holds a % without two hexadecimal digits"
		}
		if strings.ContainsRune(text, 0) {
			return "it holds a %00"
		}
		p[key] = text
	}
	return ""
}

// query reads keyword=value&keyword=value; they win over what stands before.
func (p params) query(s string) string {
	if s == "" {
		return ""
	}
	for pair := range strings.SplitSeq(s, "&") {
		name, value, ok := strings.Cut(pair, "=")
		keyword, known := urlKeyword(name)
		if !ok || !known {
			return "it has a parameter after the ? that mediamove does not know"
		}
		one := params{keyword: value}
		if reason := one.unescape(); reason != "" {
			return reason
		}
		if keyword != "" && value != "" {
			p[keyword] = one[keyword]
		}
	}
	if !validPorts(p["port"]) {
		return "its port is no number"
	}
	return ""
}

// urlKeyword returns libpq's keyword for a parameter of the URL; "" for one that
// changes nothing here. A parameter that might make the connection safer is
// known, or refused, but never ignored.
func urlKeyword(name string) (keyword string, known bool) {
	switch name {
	case "username":
		return "user", true
	case "database":
		return "dbname", true
	case "schema_search_path":
		return "search_path", true
	}
	own := []string{
		"host", "port", "dbname", "user", "password", "options", "sslmode", "sslrootcert", "sslcert",
		"sslkey", "sslpassword", "sslsni", "sslcertmode", "sslnegotiation", "channel_binding", "require_auth",
	}
	if slices.Contains(own, name) {
		return name, true
	}
	ignored := []string{ // of Rails' connection pool, of TCP, and names of the session
		"pool", "timeout", "encoding", "client_encoding", "prepared_statements", "statement_limit", "advisory_locks",
		"reaping_frequency", "idle_timeout", "checkout_timeout", "application_name", "fallback_application_name",
		"keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
		"target_session_attrs", "load_balance_hosts", "connect_timeout",
	}
	return "", slices.Contains(ignored, name)
}

// validPorts reports whether every element of a list is empty or a port.
func validPorts(list string) bool {
	for port := range strings.SplitSeq(list, ",") {
		if n, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || n == 0) {
			return false
		}
	}
	return true
}
