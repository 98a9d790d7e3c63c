package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"time"

	"example.org/mediamove/fixtures/pgtest"
	"example.org/mediamove/r2"
)

// A glance is what [runBare] saw.
type glance struct {
	Objects int     `json:"objects"`
	Rows    int64   `json:"rows"`   // that may own objects
	Others  int64   `json:"others"` // that say who has to do with them
	List    float64 `json:"list_seconds"`
	Copy    float64 `json:"copy_seconds"`
}

// copies ask for the columns that say which objects a row owns, of every row.
func copies() []string {
	return []string{
		`COPY media_attachments (` + attachmentColumns + `) TO STDOUT`,
		`COPY accounts (` + accountColumns + `) TO STDOUT`,
		`COPY custom_emojis (id, domain, image_file_name, image_content_type, image_file_size, image_updated_at, image_storage_schema_version) TO STDOUT`,
		`COPY preview_cards (` + cardColumns + `) TO STDOUT`,
		`COPY site_uploads (id, var, blurhash, file_file_name, file_content_type, file_file_size, file_updated_at) TO STDOUT`,
	}
}

const (
	attachmentColumns = `id, remote_url, processing, blurhash,
	file_file_name, file_content_type, file_file_size, file_updated_at, file_storage_schema_version,
	thumbnail_file_name, thumbnail_content_type, thumbnail_file_size, thumbnail_updated_at, thumbnail_storage_schema_version`
	accountColumns = `id, domain,
	avatar_file_name, avatar_content_type, avatar_file_size, avatar_updated_at, avatar_storage_schema_version,
	header_file_name, header_content_type, header_file_size, header_updated_at, header_storage_schema_version`
	cardColumns = `id, blurhash, image_file_name, image_content_type, image_file_size, image_updated_at, image_storage_schema_version`
)

// pruneCopies ask besides for what says how old a copy is and who has to do with it.
func pruneCopies() (owners, others []string) {
	owners = copies()
	owners[0] = `COPY media_attachments (` + attachmentColumns + `, status_id, account_id, created_at, updated_at) TO STDOUT`
	owners[1] = `COPY accounts (` + accountColumns + `, uri, suspended_at) TO STDOUT`
	owners[3] = `COPY preview_cards (` + cardColumns + `, updated_at) TO STDOUT`
	return owners, []string{
		`COPY statuses (id, uri, local, in_reply_to_id, reblog_of_id, deleted_at) TO STDOUT`,
		`COPY favourites (status_id, account_id) TO STDOUT`,
		`COPY bookmarks (status_id) TO STDOUT`,
		`COPY status_pins (status_id, account_id) TO STDOUT`,
		`COPY quotes (status_id, quoted_status_id) TO STDOUT`,
		`COPY reports (status_ids) TO STDOUT`,
		`COPY unavailable_domains (domain) TO STDOUT`,
		`COPY domain_blocks (domain, reject_media) TO STDOUT`,
	}
}

// runBare is the client that does nothing but what has to be done by anybody who looks
// for orphans: it lists the bucket, by mediamove's own reader of listings, and has the
// columns sent that they are judged by. All of it is thrown away.
func runBare(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("bench bare", flag.ContinueOnError)
	dsn := fs.String("dsn", "", "the database, as `KEY=VALUE KEY=VALUE`")
	prune := fs.Bool("prune", false, "the columns too that say what may be pruned")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *dsn == "" {
		return errors.New("bare needs -dsn")
	}
	b, err := r2.Open(r2.Config{
		Endpoint: os.Getenv("S3_ENDPOINT"), Region: os.Getenv("S3_REGION"), Bucket: os.Getenv("S3_BUCKET"),
		AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: r2.Secret(os.Getenv("AWS_SECRET_ACCESS_KEY")),
	})
	if err != nil {
		return err
	}
	var saw glance
	began := time.Now()
	for _, err := range b.List(ctx, "") {
		if err != nil {
			return err
		}
		saw.Objects++
	}
	listed := time.Now()
	owners, others := copies(), []string(nil)
	if *prune {
		owners, others = pruneCopies()
	}
	if saw.Rows, err = copyAll(ctx, *dsn, owners); err != nil {
		return err
	}
	if saw.Others, err = copyAll(ctx, *dsn, others); err != nil {
		return err
	}
	saw.List, saw.Copy = listed.Sub(began).Seconds(), time.Since(listed).Seconds()
	return json.NewEncoder(os.Stdout).Encode(saw)
}

// copyAll throws away what the statements send, and counts it.
func copyAll(ctx context.Context, dsn string, statements []string) (rows int64, err error) {
	for _, sql := range statements {
		n, err := pgtest.CopyOut(ctx, dsn, sql, io.Discard)
		if err != nil {
			return rows, err
		}
		rows += n
	}
	return rows, nil
}
