package mastodon_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"text/template"

	"example.org/mediamove/mastodon"
)

const canary = "CanaryHunter2"

// Every way of printing, around the secret and around what holds it. (Not %p,
// which fmt handles before it asks any method, and which go vet refuses.)
func TestSecretIsNeverShown(t *testing.T) {
	t.Parallel()
	secret := mastodon.Secret(canary)
	settings := mastodon.Settings{SecretAccessKey: secret, DatabaseURL: secret, DBPass: secret, CloudflareToken: secret}
	for _, v := range []any{secret, &secret, settings, &settings, []mastodon.Secret{secret}, map[string]mastodon.Var{"A": {Text: secret}}} {
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10.3s"} {
			fmt.Fprintf(&out, verb, v)
		}
		fmt.Fprint(&out, v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("text", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("json", "v", v)
		_ = json.NewEncoder(&out).Encode(v)
		_ = xml.NewEncoder(&out).Encode(v)
		_ = template.Must(template.New("").Parse("{{.}}")).Execute(&out, v)
		hex := fmt.Sprintf("%x", canary)
		if s := out.String(); strings.Contains(s, canary) || strings.Contains(strings.ToLower(s), hex) {
			t.Errorf("%T shows its secret: %s", v, s)
		}
	}
}

func TestSecretTellsWhetherItIsSet(t *testing.T) {
	t.Parallel()
	if s := fmt.Sprint(mastodon.Secret("")); s != "" {
		t.Errorf("an empty secret prints as %q", s)
	}
	if s := fmt.Sprint(mastodon.Secret("x")); s != "[secret]" {
		t.Errorf("a secret prints as %q", s)
	}
	if s := string(mastodon.Secret(canary)); s != canary {
		t.Errorf("the text is %q", s)
	}
}
