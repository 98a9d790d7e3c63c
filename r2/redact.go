package r2

import (
	"errors"
	"regexp"
	"strings"
	"unicode"
)

// A redactor keeps credentials out of what servers and libraries say. R2
// echoes the canonical request when a signature fails.
type redactor struct {
	known *strings.Replacer
	forms *regexp.Regexp
}

func newRedactor(c Config) *redactor {
	secrets := []string{c.AccessKeyID, string(c.SecretAccessKey)}
	if c.Proxy != nil {
		p, _ := c.Proxy.User.Password()
		secrets = append(secrets, p)
	}
	var pairs []string
	for _, s := range secrets {
		if s != "" { // which stands between any two letters
			pairs = append(pairs, s, hidden)
		}
	}
	return &redactor{
		known: strings.NewReplacer(pairs...),
		forms: regexp.MustCompile(`(?i)(AWS4-HMAC-SHA256|(x-amz-)?(signature|credential|security-token)\s*[=:])[^\n]*|\b[0-9a-f]{64}\b`),
	}
}

// maxShown is how much of foreign text an error shows.
const maxShown = 300

// text returns s fit for an error: without credentials, on one line, short.
func (r *redactor) text(s string) string {
	s = r.forms.ReplaceAllString(r.known.Replace(s), hidden)
	s = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxShown {
		s = strings.ToValidUTF8(s[:maxShown], "") + "…"
	}
	return s
}

// told returns err as it may be shown, the same error if nothing in it is
// secret.
func (r *redactor) told(err error) error {
	if s := r.text(err.Error()); s != err.Error() {
		return errors.New(s)
	}
	return err
}
