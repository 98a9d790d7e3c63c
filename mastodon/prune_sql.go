package mastodon

import (
	"fmt"
	"slices"
	"strings"

	"example.org/mediamove/media"
)

// statements write the SQL of one database.
type statements struct {
	found *findings
	words []string // what {words} stand for, for strings.NewReplacer
}

// rounds is how deep words stand for words.
const rounds = 4

// fill replaces the words of a statement.
func (s statements) fill(sql string, words ...string) string {
	all := strings.NewReplacer(slices.Concat(words, s.words)...)
	for range rounds {
		sql = all.Replace(sql)
	}
	return sql
}

// common are the words of all statements.
func (f *findings) common() []string {
	quoted := quotedSQL
	if f.tables["quotes"] == nil {
		quoted = "false"
	}
	return []string{
		"{page}", pageSQL, "{reported}", reportedSQL, "{rejected}", rejectedSQL, "{gone}", goneSQL, "{keep}", keepSQL(), "{interacted}", interactedSQL(), "{quoted}", quoted,
		"{local post}", "(l.local OR l.uri IS NULL)", "{present}", present, "{complete}", "(processing IS NULL OR processing = 2)",
	}
}

// pageSQL reads the rows with the ids of $1, and what their account says.
// OFFSET 0 and LIMIT 1 keep the planner from reading a whole table of accounts,
// favourites or posts in order to look up a few hundred: it can't know that their
// index is in memory.
const pageSQL = `page AS MATERIALIZED (
	SELECT m.*, a.* FROM (
		SELECT id, status_id, account_id, processing, {created} AS created, {updated} AS updated,
			{present} AS fetchable, file_file_name <> '' AS filed, ` + hostSQL + `remote_url` + hostEnd + ` AS origin,
			COALESCE(file_file_size, 0)::pg_catalog.int8 + COALESCE(thumbnail_file_size, 0)::pg_catalog.int8 AS bytes
		FROM {media_attachments} WHERE id = ANY ($1)
	) m
	LEFT JOIN LATERAL (
		SELECT domain <> '' AS remote, pg_catalog.lower(domain) AS domain, ` + hostSQL + `uri` + hostEnd + ` AS actor, suspended_at IS NOT NULL AS suspended
		FROM {accounts} WHERE id = m.account_id OFFSET 0
	) a ON true
)`

// The host in a URL, without its port.
const (
	hostSQL = `pg_catalog.lower(pg_catalog.split_part(pg_catalog.split_part(`
	hostEnd = `, '/', 3), ':', 1))`
)

// Sets that are looked up once for a page, and not row by row: reports.status_ids
// has no index, so that all reports are read; and a domain block covers subdomains.
// The most specific one should count, but a parent that is blocked keeps copies too.
const (
	reportedSQL = `reported AS MATERIALIZED (
	SELECT DISTINCT r.status_id FROM (SELECT pg_catalog.unnest(status_ids) AS status_id FROM {reports}) r
	WHERE r.status_id IN (SELECT status_id FROM page)
)`
	rejectedSQL = `rejected AS MATERIALIZED (
	SELECT DISTINCT d.domain FROM (
		SELECT domain, pg_catalog.string_to_array(domain, '.') AS parts FROM (SELECT DISTINCT domain FROM page OFFSET 0) p
	) d
	CROSS JOIN LATERAL pg_catalog.generate_series(1, pg_catalog.cardinality(d.parts)) n
	JOIN {domain_blocks} b ON b.domain = pg_catalog.array_to_string(d.parts[n:], '.') AND b.reject_media
)`
	goneSQL = `gone AS MATERIALIZED (
	SELECT domain FROM {unavailable_domains} WHERE domain IN (SELECT pg_catalog.unnest(ARRAY[domain, actor, origin]) FROM page)
)`
)

// A keepRule is when a reason applies to the row p of a page: not if it is NULL.
type keepRule struct {
	keep        Keep
	interaction bool // with a local user
	sql         string
}

// keeps lists the reasons in their order. Only those who have a local account can
// bookmark, and moderators are local. Which post of a quote is whose is told by the
// posts, as Mastodon's own `tootctl media remove --keep-interacted` does.
func keeps() []keepRule {
	one := func(sql string) string { return "(SELECT true FROM " + sql + " LIMIT 1)" }
	return []keepRule{
		{keep: KeepLocal, sql: "(p.fetchable AND p.remote) IS NOT TRUE"},
		{keep: KeepNoFile, sql: "p.filed IS NOT TRUE"},
		{keep: KeepUnfetchable, sql: "p.status_id IS NULL OR p.domain IN (SELECT domain FROM rejected)"},
		{keep: KeepProcessing, sql: "NOT (p.processing IS NULL OR p.processing = 2)"},
		{keep: KeepYoung, sql: "(p.created < $2 AND p.updated < $2) IS NOT TRUE"},
		{KeepFavourited, true, one("{favourites} f JOIN {accounts} l ON l.id = f.account_id WHERE f.status_id = p.status_id AND l.domain IS NULL")},
		{KeepBookmarked, true, one("{bookmarks} b WHERE b.status_id = p.status_id")},
		{KeepBoosted, true, one("{statuses} l WHERE l.reblog_of_id = p.status_id AND {local post}")},
		{KeepRepliedTo, true, one("{statuses} l WHERE l.in_reply_to_id = p.status_id AND {local post}")},
		{KeepQuoted, true, "{quoted}"},
		{KeepPinned, true, one("{status_pins} f JOIN {accounts} l ON l.id = f.account_id WHERE f.status_id = p.status_id AND l.domain IS NULL")},
		{KeepReported, true, "r.status_id IS NOT NULL"},
		{keep: KeepOriginGone, sql: "p.domain IN (SELECT domain FROM gone) OR p.actor IN (SELECT domain FROM gone) OR p.origin IN (SELECT domain FROM gone)"},
		{keep: KeepDiscarded, sql: one("{statuses} s WHERE s.id = p.status_id AND s.deleted_at IS NULL") + " IS NOT TRUE"},
		{keep: KeepSuspended, sql: "p.suspended"},
	}
}

const quotedSQL = `((SELECT true FROM {quotes} q JOIN {statuses} l ON l.id = q.status_id WHERE q.quoted_status_id = p.status_id AND {local post} LIMIT 1)
	OR (SELECT true FROM {quotes} q JOIN {statuses} l ON l.id = q.quoted_status_id WHERE q.status_id = p.status_id AND {local post} LIMIT 1))`

// keepSQL is the first reason that applies, or the empty text.
func keepSQL() string {
	var b strings.Builder
	b.WriteString("CASE")
	for _, k := range keeps() {
		fmt.Fprintf(&b, " WHEN %s THEN '%s'", k.sql, k.keep)
	}
	return b.String() + " ELSE '' END"
}

// interactedSQL is whether any of the interactions applies.
func interactedSQL() string {
	var all []string
	for _, k := range keeps() {
		if k.interaction {
			all = append(all, k.sql)
		}
	}
	return "(" + strings.Join(all, " OR ") + ") IS TRUE"
}

const touchedSQL = `WITH page AS MATERIALIZED (SELECT id, status_id FROM {media_attachments} WHERE id = ANY ($1)), {reported}
SELECT p.id FROM page p LEFT JOIN reported r ON r.status_id = p.status_id WHERE {interacted}`

const fatesSQL = `WITH {page}, {reported}, {rejected}, {gone}
SELECT p.id, p.created, p.bytes, {keep} FROM page p LEFT JOIN reported r ON r.status_id = p.status_id`

// clearSQL never waits for a row: what somebody else is changing is not for us. The
// columns of the row itself are asked for again beside its fate, because they are
// what PostgreSQL looks at once more if the row has changed in the meantime.
const clearSQL = `WITH want AS MATERIALIZED (
	SELECT w.id, w.file, w.thumbnail FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($3), pg_catalog.unnest($4)) w(id, file, thumbnail)
), {page}, {reported}, {rejected}, {gone}, free AS MATERIALIZED (
	SELECT p.id, p.account_id, p.status_id FROM page p LEFT JOIN reported r ON r.status_id = p.status_id WHERE {keep} = ''
), locked AS MATERIALIZED (
	SELECT t.id FROM {target of media_attachments} t WHERE t.id = ANY ($1) FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE {target of media_attachments} t SET {nulls}
FROM want w, free f, locked l
WHERE t.id = ANY ($1) AND w.id = t.id AND f.id = t.id AND l.id = t.id
AND t.file_file_name = w.file AND t.thumbnail_file_name IS NOT DISTINCT FROM w.thumbnail
AND {present} AND {complete} AND {created} < $2 AND {updated} < $2 AND t.account_id = f.account_id AND t.status_id = f.status_id
RETURNING t.id`

const fatesOfCardsSQL = `SELECT id, {updated}, COALESCE(image_file_size, 0)::pg_catalog.int8,
	CASE WHEN (image_file_name <> '') IS NOT TRUE THEN '` + string(KeepNoFile) + `' WHEN ({updated} < $2) IS NOT TRUE THEN '` + string(KeepYoung) + `' ELSE '' END
FROM {preview_cards} WHERE id = ANY ($1)`

const clearCardsSQL = `WITH want AS MATERIALIZED (
	SELECT w.id, w.file FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($3)) w(id, file)
), locked AS MATERIALIZED (
	SELECT t.id FROM {target of preview_cards} t WHERE t.id = ANY ($1) FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE {target of preview_cards} t SET {nulls}
FROM want w, locked l
WHERE t.id = ANY ($1) AND w.id = t.id AND l.id = t.id AND t.image_file_name = w.file AND w.file <> '' AND {updated} < $2
RETURNING t.id`

// restoreSQL gives a row its columns back from the JSON $2.
const restoreSQL = `UPDATE {target} t SET ({columns}) = (SELECT {values} FROM pg_catalog.json_to_record($2) x({types}))
WHERE t.id = $1 AND ({columns}) IS NULL AND {remote} RETURNING t.id`

const remoteSQL = `{present} AND EXISTS (SELECT FROM {accounts} a WHERE a.id = t.account_id AND a.domain IS NOT NULL)`

// lookSQL waits for whoever is changing one of the rows, and then says which have no
// file.
const lookSQL = `SELECT t.id, t.{file}_file_name IS NULL FROM {target} t WHERE t.id = ANY ($1) FOR NO KEY UPDATE`

func (s statements) attachments() prunable {
	return s.prunable(media.MediaAttachments, []string{"file", "thumbnail"}, fatesSQL, clearSQL, remoteSQL)
}

func (s statements) cards() prunable {
	return s.prunable(media.PreviewCards, []string{"image"}, fatesOfCardsSQL, clearCardsSQL, "true")
}

// prunable writes the statements of one class.
func (s statements) prunable(class media.Class, attachments []string, fates, clearing, remote string) prunable {
	p := prunable{class: class, attachments: attachments}
	var nulls, pairs, values, types []string
	for _, a := range attachments {
		for _, c := range []struct{ suffix, kind string }{{"_file_name", "varchar"}, {"_content_type", "varchar"}, {"_file_size", "int8"}, {"_updated_at", "timestamp"}} {
			name := a + c.suffix
			p.columns = append(p.columns, name)
			nulls = append(nulls, name+" = NULL")
			pairs = append(pairs, "'"+name+"', "+s.found.utc(string(class), name))
			values = append(values, s.found.utcBack(string(class), name))
			types = append(types, name+" pg_catalog."+c.kind)
		}
	}
	words := []string{
		"{created}", s.found.utc(string(class), "created_at"), "{updated}", s.found.utc(string(class), "updated_at"),
		"{target}", "{target of " + string(class) + "}", "{remote}", remote, "{file}", attachments[0],
		"{columns}", strings.Join(p.columns, ", "), "{nulls}", strings.Join(nulls, ", "),
		"{values}", strings.Join(values, ", "), "{types}", strings.Join(types, ", "),
	}
	p.json = "pg_catalog.json_build_object(" + strings.Join(pairs, ", ") + ")::pg_catalog.text"
	p.fates, p.clear = s.fill(fates, words...), s.fill(clearing, words...)
	p.restore, p.look = s.fill(restoreSQL, words...), s.fill(lookSQL, words...)
	return p
}
