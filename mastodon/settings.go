// Package mastodon knows an instance: its settings, under the names that
// Mastodon itself uses (config/initializers/paperclip.rb, 1_hosts.rb and
// config/database.yml of Mastodon 3.5 to 4.6), read from flags, the
// environment, .env.production and systemd credentials. Cloudflare's two names
// stand beside them, as Cloudflare's own tools have them. And its [Database]: which
// rows own files, as db/schema.rb of those versions has them.
//
// Nothing here writes to an instance's files or database.
package mastodon

// Settings are what mediamove has to know of an instance. The zero value of
// a field is "unset" or "set and empty", which Mastodon treats alike unless
// said otherwise; [Settings.Source] tells them apart.
type Settings struct {
	// S3Enabled means that Mastodon itself writes to the bucket: S3_ENABLED
	// is the exact string "true", as Mastodon compares it.
	S3Enabled bool
	Bucket    string // S3_BUCKET
	Endpoint  string // S3_ENDPOINT: a URL without the bucket's name
	Region    string // S3_REGION; R2 reads "" and "us-east-1" as "auto"
	Protocol  string // S3_PROTOCOL: "https" (also when unset) or "http"
	KeyPrefix string // S3_KEY_PREFIX: stands before every key (since 4.3)
	// Permission is S3_PERMISSION, the ACL of new objects: nil when unset
	// (Mastodon then sends public-read), empty for no ACL at all, as R2 needs.
	Permission *string
	AliasHost  string // S3_ALIAS_HOST, else S3_CLOUDFRONT_HOST: the host of public URLs

	AccessKeyID     string // AWS_ACCESS_KEY_ID
	SecretAccessKey Secret // AWS_SECRET_ACCESS_KEY

	LocalDomain string // LOCAL_DOMAIN: the instance's name for ever
	WebDomain   string // WEB_DOMAIN: where its pages are, if that is another host
	RootPath    string // PAPERCLIP_ROOT_PATH: the media root, as it was given

	DatabaseURL Secret // DATABASE_URL: wins over the six below; holds a password
	DBHost      string // DB_HOST: a name, or a folder with a socket
	DBPort      string // DB_PORT
	DBName      string // DB_NAME
	DBUser      string // DB_USER
	DBPass      Secret // DB_PASS
	DBSSLMode   string // DB_SSLMODE, as libpq's sslmode (since 4.2)

	// CLOUDFLARE_API_TOKEN and CLOUDFLARE_ACCOUNT_ID: for the account's own
	// analytics, not for the bucket.
	CloudflareToken   Secret
	CloudflareAccount string

	// Warnings are what an admin should know before the work begins.
	Warnings []Warning

	sources map[string]string
}

// A Warning is no reason to stop.
type Warning struct {
	Text string // what was found, without any secret
	Hint string // what to do about it
}

// Source says where a setting's value came from, in words for people, such as
// "the environment"; "" when it is unset. Names are Mastodon's.
func (s Settings) Source(name string) string { return s.sources[name] }

// Missing names the settings that a sync cannot do without and that are
// unset or empty, in the order in which an admin would fill them in.
func (s Settings) Missing() []string {
	var names []string
	for _, need := range []struct{ name, value string }{
		{"LOCAL_DOMAIN", s.LocalDomain},
		{"S3_BUCKET", s.Bucket},
		{"S3_ENDPOINT", s.Endpoint},
		{"AWS_ACCESS_KEY_ID", s.AccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", string(s.SecretAccessKey)},
	} {
		if need.value == "" {
			names = append(names, need.name)
		}
	}
	return names
}

// NamesDatabase reports whether the settings say which database is meant. Else Mastodon
// would take its defaults, which may be there on any host, and be another instance's.
func (s Settings) NamesDatabase() bool {
	return s.DatabaseURL != "" || s.DBHost != "" || s.DBName != "" || s.DBUser != ""
}

// A binding ties one of Mastodon's names to its field.
type binding struct {
	name string
	kind kind
	set  func(string)
}

// kind says where a value may come from and whether it may be shown.
type kind uint8

const (
	plain      kind = iota
	credential      // may also be a systemd credential
	secret          // a credential that no flag may carry and no file should show
)

func (s *Settings) bindings() []binding {
	return []binding{
		{"S3_ENABLED", plain, func(v string) { s.S3Enabled = v == "true" }},
		{"S3_BUCKET", plain, into(&s.Bucket)},
		{"S3_ENDPOINT", plain, into(&s.Endpoint)},
		{"S3_REGION", plain, into(&s.Region)},
		{"S3_PROTOCOL", plain, into(&s.Protocol)},
		{"S3_KEY_PREFIX", plain, into(&s.KeyPrefix)},
		{"S3_PERMISSION", plain, func(v string) { s.Permission = &v }},
		{"S3_CLOUDFRONT_HOST", plain, into(&s.AliasHost)}, // the old name: before the new one, which wins
		{"S3_ALIAS_HOST", plain, into(&s.AliasHost)},
		{"AWS_ACCESS_KEY_ID", credential, into(&s.AccessKeyID)},
		{"AWS_SECRET_ACCESS_KEY", secret, into(&s.SecretAccessKey)},
		{"LOCAL_DOMAIN", plain, into(&s.LocalDomain)},
		{"WEB_DOMAIN", plain, into(&s.WebDomain)},
		{"PAPERCLIP_ROOT_PATH", plain, into(&s.RootPath)},
		{"DATABASE_URL", secret, into(&s.DatabaseURL)},
		{"DB_HOST", plain, into(&s.DBHost)},
		{"DB_PORT", plain, into(&s.DBPort)},
		{"DB_NAME", plain, into(&s.DBName)},
		{"DB_USER", plain, into(&s.DBUser)},
		{"DB_PASS", secret, into(&s.DBPass)},
		{"DB_SSLMODE", plain, into(&s.DBSSLMode)},
		{"CLOUDFLARE_API_TOKEN", secret, into(&s.CloudflareToken)},
		{"CLOUDFLARE_ACCOUNT_ID", credential, into(&s.CloudflareAccount)},
	}
}

func into[T ~string](field *T) func(string) {
	return func(v string) { *field = T(v) }
}
