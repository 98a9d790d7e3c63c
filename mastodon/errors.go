package mastodon

import (
	"errors"
	"fmt"
	"io/fs"
)

// A FileError says that an env file or a credential could not be read.
// errors.Is finds fs.ErrNotExist and fs.ErrPermission in it.
type FileError struct {
	Path string
	Hint string // what to do, for an admin
	Err  error
}

func (e *FileError) Error() string { return fmt.Sprintf("read %s: %v", e.Path, e.Err) }

// Unwrap returns the cause.
func (e *FileError) Unwrap() error { return e.Err }

// fileError takes the path out of the cause, where the os package repeats
// it, and finds the hint.
func fileError(path string, err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	e := &FileError{Path: path, Err: err}
	switch _, syntax := errors.AsType[*SyntaxError](err); {
	case syntax:
		e.Hint = "put right that line; the file is read as Mastodon's Ruby reads it"
	case errors.Is(err, fs.ErrNotExist):
		e.Hint = "name Mastodon's settings file, often /home/mastodon/live/.env.production"
	case errors.Is(err, fs.ErrPermission):
		e.Hint = "run as the user that Mastodon runs as, or let this user read the file"
	default:
		e.Hint = "name the settings file itself, often /home/mastodon/live/.env.production"
	}
	return e
}

// A ConflictError says that one setting has two different values. Neither is
// shown: either may be a secret.
type ConflictError struct {
	Name          string
	First, Second string // where the values stand, in words
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s is set differently in %s and in %s: make them agree, or unset one", e.Name, e.First, e.Second)
}

// A SettingError says what is wrong with one setting, without its value.
type SettingError struct {
	Name   string
	Source string // where it is set, in words
	Reason string
	Hint   string // what to do; may be empty
}

func (e *SettingError) Error() string {
	return fmt.Sprintf("%s in %s: %s", e.Name, e.Source, e.Reason)
}
