package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.org/mediamove/billing"
	"example.org/mediamove/cloudflare"
	"example.org/mediamove/ledger"
	"example.org/mediamove/mastodon"
)

func newCost(w *world) *cobra.Command {
	c := &cobra.Command{
		Use:   "cost",
		Short: "What R2 costs: explain the bill, and say where it will end",
		Long:  "Cost explains the bill. What a sync would cost is told beforehand by mediamove plan.\n" + exitHelp,
		Args:  noSuchCommand,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },

		SuggestionsMinimumDistance: 2,
	}
	c.AddCommand(newCostReport(w))
	return c
}

// costOptions are what was typed. Amounts and rates stay text until parse: a decimal
// must not pass through a float on its way.
type costOptions struct {
	common
	billFlags
	settingFlags // of which it has --account
	month        string
	budget       string
	currency     string
	rate         string
	cloudflare   bool
	markdown     bool
}

// newCostReport makes the command that explains the bill. It needs neither the bucket nor
// the lock, so it may run beside a sync.
func newCostReport(w *world) *cobra.Command {
	o := new(costOptions)
	c := &cobra.Command{
		Use:   "report",
		Short: "The bill of one billing cycle, what made it, and where it will end",
		Long: `Report reads the ledger: what mediamove itself used, by command and run. It sends
nothing to the bucket and takes no lock, also while a sync is running.

With --cloudflare it asks Cloudflare's analytics for the account's own numbers, so
that mediamove's share stands beside Mastodon's and all others'. These are kept for 31
days, and some are estimates; a report with days missing is marked partial, and is no
error. It takes CLOUDFLARE_API_TOKEN (permission Account Analytics: Read) from the
environment, the env file or systemd's credentials, and the account from --account,
CLOUDFLARE_ACCOUNT_ID, S3_ENDPOINT or the ledger.

The forecast goes on as the last seven days went. Neither the first sync counts as a
habit, nor a command that was not begun on two of these days.
With --budget it says on which day the bill would pass it, and what keeps it below.
` + exitHelp,
		Example: `  mediamove cost report --cycle-day 15 --budget 6.00
  mediamove cost report --cloudflare --env-file /home/mastodon/live/.env.production
  mediamove cost report --month 2026-11 --markdown --currency JPY --rate 152`,
		Args: wantArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return runCostReport(c.Context(), w, o) },
	}
	o.addFlags(c.Flags())
	return c
}

// addFlags takes only --account of the settings: a report is about an account, and the
// ledger knows the bucket.
func (o *costOptions) addFlags(fs *pflag.FlagSet) {
	o.common.addFlags(fs)
	o.billFlags.addFlags(fs)
	o.fs = fs
	fs.String("account", "", "instead of CLOUDFLARE_ACCOUNT_ID: the `ID` before .r2.cloudflarestorage.com")
	fs.StringVar(&o.month, "month", "", "the billing cycle that begins in this `MONTH`, such as 2026-11 (default the running one)")
	fs.StringVar(&o.budget, "budget", "", "hold the cycle against so many `USD`")
	fs.StringVar(&o.currency, "currency", "", "show this `CODE`, such as JPY, beside US dollars; wants --rate")
	fs.StringVar(&o.rate, "rate", "", "how `MUCH` of it one US dollar is, such as 152")
	fs.BoolVar(&o.cloudflare, "cloudflare", false, "ask Cloudflare's analytics for the account's own numbers")
	fs.BoolVar(&o.markdown, "markdown", false, "print a table for an announcement: no keys, no ids")
}

// parse turns what was typed into what is meant.
// All that was mistyped is found here, before the ledger is opened.
func (o *costOptions) parse(w *world) (opt billing.Options, p purse, err error) {
	if o.json && o.markdown {
		return opt, p, usagef("type only one of them", "--json and --markdown are two ways to print it")
	}
	// An empty value is a script's variable that nobody has set. To take it for a flag that
	// was left out would answer another question than the one that was asked.
	for _, name := range []string{"month", "budget", "currency", "rate", "account"} {
		if f := o.fs.Lookup(name); f.Changed && f.Value.String() == "" {
			return opt, p, usagef("leave it out, or say what it is to be: mediamove cost report --help", "--%s: it is empty", name)
		}
	}
	if o.fs.Changed("account") && !o.cloudflare {
		return opt, p, usagef("add --cloudflare, or leave --account out", "--account: only --cloudflare asks about an account")
	}
	t, err := o.tariff()
	if err != nil {
		return opt, p, err
	}
	opt = billing.Options{Prices: t.PriceList, Cycle: t.Cycle, Now: w.time()}
	if o.month != "" {
		if opt.Month, err = billing.ParseMonth(o.month); err != nil {
			return opt, p, err
		}
	}
	if o.budget != "" {
		usd, err := parseUSD("--budget", o.budget)
		if err != nil {
			return opt, p, err
		}
		opt.Budget = &usd
	}
	p, err = parsePurse(o.currency, o.rate)
	return opt, p, err
}

// runCostReport prints one of three: JSON, a table for an announcement, or the screen. All
// figures are there before anything is printed, so that no half report is ever seen.
func runCostReport(ctx context.Context, w *world, o *costOptions) (err error) {
	opt, money, err := o.parse(w)
	if err != nil {
		return err
	}
	led, err := o.reader(ctx, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, led.Close()) }()
	f, err := o.collect(ctx, w, led, opt)
	if err != nil {
		return err
	}
	r := &costReport{f.Report(), money, f.Now}
	switch {
	case o.json:
		return printJSON(w.stdout, r.json())
	case o.markdown:
		_, err = io.WriteString(w.stdout, r.announcement())
	default:
		_, err = io.WriteString(w.stdout, r.screen())
	}
	return err
}

// collect asks the ledger, and Cloudflare if that is wanted.
func (o *costOptions) collect(ctx context.Context, w *world, led *ledger.Ledger, opt billing.Options) (billing.Figures, error) {
	if !o.cloudflare {
		return billing.Collect(ctx, led, nil, opt)
	}
	settings, err := o.resolve(w, o.settingFlags)
	if err != nil {
		return billing.Figures{}, err
	}
	log := w.logger(o.verbose)
	for _, warning := range settings.Warnings {
		log.WarnContext(ctx, "settings to look at", "what", warning.Text, "hint", warning.Hint)
	}
	id, err := led.Identity(ctx)
	if err != nil {
		return billing.Figures{}, err
	}
	client, err := w.accountant(settings, id.Endpoint, log)
	if err != nil {
		return billing.Figures{}, err
	}
	defer client.Close()
	return billing.Collect(ctx, led, client, opt)
}

// accountant is who asks Cloudflare about the account that the ledger's bucket is in.
func (w *world) accountant(s mastodon.Settings, endpoint string, log *slog.Logger) (*cloudflare.Client, error) {
	if s.CloudflareToken == "" {
		return nil, usagef("a token with the permission Account Analytics: Read, in the environment or the env file; never on the command line",
			"--cloudflare: CLOUDFLARE_API_TOKEN is not set")
	}
	account, err := accountOf(s, endpoint)
	if err != nil {
		return nil, err
	}
	client, err := cloudflare.New(cloudflare.Options{
		Endpoint: w.analytics, Token: cloudflare.Token(s.CloudflareToken), Account: account,
		Transport: w.transport, Now: w.time, Log: log,
	})
	// The client names options of its own; an admin knows them as variables.
	if e, ok := errors.AsType[*cloudflare.OptionError](err); ok {
		name := map[string]string{"Token": "CLOUDFLARE_API_TOKEN", "Account": "CLOUDFLARE_ACCOUNT_ID"}[e.Option]
		return nil, usagef(e.Hint, "--cloudflare: %s %s", name, e.Reason)
	}
	return client, err
}

// accountOf is the account that all who know one name. The analytics of another one
// than the ledger's would make mediamove's share a nonsense.
func accountOf(s mastodon.Settings, endpoint string) (string, error) {
	type source struct{ name, account string }
	sources := []source{{"CLOUDFLARE_ACCOUNT_ID", s.CloudflareAccount}}
	if s.Source("CLOUDFLARE_ACCOUNT_ID") == "the command line" {
		sources[0].name = "--account"
	}
	if account, _, ok := cloudflare.Place(s.Endpoint, ""); ok {
		sources = append(sources, source{"S3_ENDPOINT", account})
	}
	if account, _, ok := cloudflare.Place(endpoint, ""); ok {
		sources = append(sources, source{"this ledger", account})
	}
	var found source
	for _, s := range sources {
		switch {
		case s.account == "":
		case found.account == "":
			found = s
		case !strings.EqualFold(s.account, found.account):
			return "", usagef("name the account of the bucket that this ledger is about, or another ledger: --state DIR",
				"--cloudflare: %s and %s are of different accounts", found.name, s.name)
		}
	}
	if found.account == "" {
		return "", usagef("type --account ID, or set CLOUDFLARE_ACCOUNT_ID: the 32 digits and letters before .r2.cloudflarestorage.com",
			"--cloudflare: no account, as neither S3_ENDPOINT nor the ledger names one")
	}
	return found.account, nil
}
