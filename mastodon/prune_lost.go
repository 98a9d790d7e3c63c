package mastodon

import (
	"errors"
	"fmt"
	"strings"

	"example.org/mediamove/media"
)

// A lost is what [PruneRule.Lost] has instead of the statements of a [prunable];
// empty for a class that it isn't for.
type lost struct{ fates, clear string }

var errNeverLost = errors.New("only attachments can be cleared because their file is lost")

// covers says why a rule is not for one of these classes.
func (r PruneRule) covers(classes ...media.Class) error {
	for _, class := range classes {
		if r.Lost && class != media.MediaAttachments {
			return fmt.Errorf("prune %q: %w", class, errNeverLost)
		}
	}
	return nil
}

func (p *prunable) fatesBy(r PruneRule) string {
	if r.Lost {
		return p.lost.fates
	}
	return p.fates
}

func (p *prunable) clearBy(r PruneRule) string {
	if r.Lost {
		return p.lost.clear
	}
	return p.clear
}

// argumentsBy are those of the UPDATE. A lost row's time of its file, as the snapshot
// has it, is one more: it tells two fetches of one name from each other.
func (p *prunable) argumentsBy(r PruneRule, rows []Cleared) ([]argument, error) {
	if err := r.covers(p.class); err != nil {
		return nil, err
	}
	args, err := p.clearArguments(r, rows)
	if err != nil || !r.Lost {
		return args, err
	}
	times := make([]*string, len(rows))
	for i, c := range rows {
		values, err := p.values(c)
		if err != nil {
			return nil, err
		}
		if at, ok := values["file_updated_at"].(string); ok {
			times[i] = &at
		}
	}
	return append(args, textArray(times)), nil
}

// lostYoungSQL is [KeepYoung] of a lost file. A file whose time nobody has noted is
// as old as its row.
const lostYoungSQL = `(p.created < $2 AND p.updated < $2
	AND (SELECT ({filed} < $2) IS NOT FALSE FROM {media_attachments} m WHERE m.id = p.id)) IS NOT TRUE`

// lostKeepSQL is keepSQL without the interactions.
func lostKeepSQL() string {
	var b strings.Builder
	b.WriteString("CASE")
	for _, k := range keeps() {
		switch {
		case k.interaction:
			continue
		case k.keep == KeepYoung:
			k.sql = lostYoungSQL
		}
		fmt.Fprintf(&b, " WHEN %s THEN '%s'", k.sql, k.keep)
	}
	return b.String() + " ELSE '' END"
}

const lostFatesSQL = `WITH {page}, {rejected}, {gone} SELECT p.id, p.created, p.bytes, {lost keep} FROM page p`

// clearLostSQL is clearSQL for lost files. JSON has times in ISO 8601, which is read
// alike whatever the session's DateStyle is.
const clearLostSQL = `WITH want AS MATERIALIZED (
	SELECT w.id, w.file, w.thumbnail, w.filed::pg_catalog.timestamp AS filed
	FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($5)) w(id, file, thumbnail, filed)
), {page}, {rejected}, {gone}, free AS MATERIALIZED (
	SELECT p.id, p.account_id, p.status_id FROM page p WHERE {lost keep} = ''
), locked AS MATERIALIZED (
	SELECT t.id FROM {target of media_attachments} t WHERE t.id = ANY ($1) FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE {target of media_attachments} t SET {nulls}
FROM want w, free f, locked l
WHERE t.id = ANY ($1) AND w.id = t.id AND f.id = t.id AND l.id = t.id
AND t.file_file_name = w.file AND t.thumbnail_file_name IS NOT DISTINCT FROM w.thumbnail AND {filed} IS NOT DISTINCT FROM w.filed
AND {present} AND {complete} AND {created} < $2 AND {updated} < $2 AND ({filed} < $2) IS NOT FALSE
AND t.account_id = f.account_id AND t.status_id = f.status_id
RETURNING t.id`

// losing adds the statements for lost files.
func (s statements) losing(p prunable) prunable {
	column := func(name string) string { return s.found.utc(string(p.class), name) }
	words := []string{
		"{lost keep}", lostKeepSQL(), "{created}", column("created_at"), "{updated}", column("updated_at"), "{filed}", column("file_updated_at"),
		"{nulls}", strings.Join(p.columns, " = NULL, ") + " = NULL",
	}
	p.lost = lost{s.fill(lostFatesSQL, words...), s.fill(clearLostSQL, words...)}
	return p
}
