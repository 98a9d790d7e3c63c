package mastodon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Sources are the places where settings may stand.
type Sources struct {
	// Flags holds what the command line says, by Mastodon's name of the
	// setting ("S3_BUCKET"). A flag wins over everything. Secrets are refused:
	// a command line is visible to every user of the machine.
	Flags map[string]string
	// Environ is the environment as [os.Environ] returns it.
	Environ []string
	// EnvFile is the path of .env.production; "" for none.
	EnvFile string
	// Known lists the MEDIAMOVE_ names that the caller reads itself. Any
	// other such name is an error: a misspelled setting must not pass silently.
	Known []string
}

const (
	inFlag    = "the command line"
	inEnviron = "the environment"
	ownPrefix = "MEDIAMOVE_"
)

// A place is one source, read: its name in words and its values by name.
type place struct {
	name string
	vars map[string]Var
}

// Resolve reads the settings. A flag wins; the environment, the env file and
// the systemd credentials (files in $CREDENTIALS_DIRECTORY that bear a
// setting's name, in capitals or not) are of equal rank, and a name that two
// of them set differently is an error. Everything wrong with the settings is
// found in one go and joined: [*ConflictError], [*SettingError] and
// [*FileError]. No error or warning holds a value.
func Resolve(src Sources) (Settings, error) {
	env := environ(src.Environ)
	s := Settings{Protocol: "https", sources: map[string]string{}}
	places := []place{{inEnviron, env}}
	creds, err := s.credentials(string(env["CREDENTIALS_DIRECTORY"].Text))
	if err != nil {
		return Settings{}, err
	}
	places = append(places, creds...)
	if src.EnvFile != "" {
		file, err := s.readEnvFile(src.EnvFile, env)
		if err != nil {
			return Settings{}, err
		}
		places = append(places, file)
	}
	errs := unknown(places, src.Known)
	for _, b := range s.bindings() {
		errs = append(errs, s.settle(b, src.Flags, places))
	}
	switch s.Protocol {
	case "":
		s.Protocol = "https"
	case "http", "https":
	default:
		errs = append(errs, &SettingError{"S3_PROTOCOL", s.Source("S3_PROTOCOL"), "neither https nor http", "https is what R2 needs"})
	}
	if err := errors.Join(errs...); err != nil {
		return Settings{}, err
	}
	return s, nil
}

// settle finds the one value of a setting among all places.
func (s *Settings) settle(b binding, flags map[string]string, places []place) error {
	if v, ok := flags[b.name]; ok {
		if b.kind == secret {
			return &SettingError{b.name, inFlag, "a secret", "set it in the environment or an env file"}
		}
		s.accept(b, v, inFlag)
		return nil
	}
	found := slices.DeleteFunc(slices.Clone(places), func(p place) bool {
		_, ok := p.vars[b.name]
		return !ok
	})
	if len(found) == 0 {
		return nil
	}
	for i, p := range found {
		v := p.vars[b.name]
		if v.Command {
			return &SettingError{b.name, p.name, "holds a shell command $(…), and mediamove runs none", "write its result, or give it another way"}
		}
		if v != found[0].vars[b.name] {
			return &ConflictError{b.name, found[0].name, found[i].name}
		}
	}
	s.accept(b, string(found[0].vars[b.name].Text), found[0].name)
	return nil
}

func (s *Settings) accept(b binding, value, source string) {
	b.set(value)
	s.sources[b.name] = source
}

// environ turns os.Environ's lines into values; the first of a name counts,
// as getenv has it.
func environ(lines []string) map[string]Var {
	vars := make(map[string]Var, len(lines))
	for _, line := range lines {
		name, value, _ := strings.Cut(line, "=")
		if _, twice := vars[name]; !twice {
			vars[name] = Var{Text: Secret(value)}
		}
	}
	return vars
}

// readEnvFile reads the env file and warns when strangers can read it too.
func (s *Settings) readEnvFile(path string, env map[string]Var) (_ place, err error) {
	f, err := os.Open(path)
	if err != nil {
		return place{}, fileError(path, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	vars, err := ParseEnv(f, func(name string) (string, bool) {
		v, ok := env[name]
		return string(v.Text), ok
	})
	if err != nil {
		return place{}, fileError(path, err)
	}
	info, err := f.Stat()
	if err != nil {
		return place{}, fileError(path, err)
	}
	// A pipe, as shells make one of <(…), has no other readers.
	if info.Mode().IsRegular() && info.Mode()&0o004 != 0 && s.holdsSecret(vars) {
		s.Warnings = append(s.Warnings, Warning{
			Text: fmt.Sprintf("%s holds secrets and every user of this machine can read it (mode %04o)", path, info.Mode().Perm()),
			Hint: "chmod o-rwx " + path,
		})
	}
	return place{path, vars}, nil
}

func (s *Settings) holdsSecret(vars map[string]Var) bool {
	return slices.ContainsFunc(s.bindings(), func(b binding) bool {
		return b.kind == secret && vars[b.name] != Var{}
	})
}

// credentials reads what systemd's LoadCredential= put into dir. One place
// per file, so that a conflict names the file.
func (s *Settings) credentials(dir string) ([]place, error) {
	if dir == "" {
		return nil, nil
	}
	var places []place
	for _, b := range s.bindings() {
		if b.kind == plain {
			continue
		}
		for _, name := range []string{b.name, strings.ToLower(b.name)} {
			path := filepath.Join(dir, name)
			data, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, fileError(path, err)
			}
			text := strings.TrimRight(string(data), "\r\n") // editors and echo end a file so
			places = append(places, place{"the credential " + name, map[string]Var{b.name: {Text: Secret(text)}}})
		}
	}
	return places, nil
}

// unknown finds settings in our own name that mean nothing.
func unknown(places []place, known []string) []error {
	var errs []error
	for _, p := range places {
		for name := range p.vars {
			if strings.HasPrefix(name, ownPrefix) && !slices.Contains(known, name) {
				errs = append(errs, &SettingError{name, p.name, "no such setting", "mediamove help lists the names it reads"})
			}
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}
