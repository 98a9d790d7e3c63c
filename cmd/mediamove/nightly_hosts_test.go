package main

import (
	"strings"
	"testing"
	"time"

	"example.org/mediamove/fixtures/instance"
)

// On any other host a timer's night ends at once, in order and with one line: whether it
// has a copy of the state folder, one of its own, or none.
func TestNightlyOtherHost(t *testing.T) {
	t.Parallel()
	c := newCached(t, instance.Small(77, "4.6"), 0)
	args := append([]string{"nightly", "--apply"}, c.some(10)...)
	state := c.copyState()
	for name, change := range map[string]func(){
		"the same state folder": func() {},
		"a copied state folder": func() { c.state = state },
		"no state folder":       func() { c.state = t.TempDir() + "/none" },
		"no database there":     func() { c.set("DB_PORT", "1"); c.set("DB_HOST", "127.0.0.1") },
	} {
		c.with(func() { c.machine = strings.Repeat("cd", 16); change() }, func() {
			c.intact(name, func() {
				r := c.clean(args...)
				if r.code != exitOK || strings.Count(r.stdout, "\n") != 1 || !strings.Contains(r.stdout, "another host cleans this bucket") {
					t.Errorf("%s: %v", name, r)
				}
			})
		})
	}
	if out := c.nightly(exitOK, args[2:]...); out.Prune.Removed.Objects == 0 {
		t.Errorf("%+v", out)
	}
}

// --take-over moves the work, once: then the old host has nothing to do any more.
func TestNightlyTakeOver(t *testing.T) {
	t.Parallel()
	c := newCached(t, instance.Small(78, "4.6"), 0)
	c.posts(c.db, 150, 5*time.Hour)
	args := append([]string{"nightly", "--apply"}, c.some(10)...)
	old := c.machine
	c.machine = strings.Repeat("cd", 16)
	if r := c.clean(append(args, "--take-over")...); r.code != exitOK {
		t.Fatal(r)
	}
	c.whole()
	c.with(func() { c.machine = old }, func() {
		c.intact("the old host", func() {
			if r := c.clean(args...); r.code != exitOK || !strings.Contains(r.stdout, "another host") {
				t.Error(r)
			}
		})
	})
	c.night()
	if r := c.clean(append([]string{"nightly", "--apply"}, c.some(5)...)...); r.code != exitOK {
		t.Error(r)
	}
	c.whole()

	// Another database is no host's to take over.
	c.with(func() { c.machine = strings.Repeat("ef", 16); c.use(c.copyOf("staging")) }, func() {
		c.intact("another database", func() {
			if r := c.clean(append(args, "--take-over")...); r.code != exitRefused || !strings.Contains(r.stderr, "mediamove bind") {
				t.Error(r)
			}
		})
	})
}

// What other commands remove between two nights is no shrinking of the instance: the
// forecast goes by what came.
func TestNightlyForecast(t *testing.T) {
	t.Parallel()
	c := newCached(t, instance.Small(79, "4.6"), 0)
	c.posts(c.db, 150, 5*time.Hour)
	const daily = 60_000
	var out nightlyJSON
	for day := range 5 {
		c.bucket.Plant(objectAt("elsewhere/"+itoa(int64(day)), c.now()), make([]byte, daily))
		c.night()
		if day == 2 {
			c.prune(exitOK, append([]string{"--apply"}, c.some(20)...)...)
			c.later(time.Hour)
		}
		out = c.nightly(exitOK, "--budget", "1GB")
	}
	if f := out.Forecast; f == nil || f.BytesPerDay < daily*0.99 || f.BytesPerDay > daily*1.01 {
		t.Errorf("%+v", f)
	}
}
