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
	Rows    int64   `json:"rows"`
	List    float64 `json:"list_seconds"`
	Copy    float64 `json:"copy_seconds"`
}

// copies ask for the columns that say which objects a row owns, of every row.
func copies() []string {
	return []string{
		`COPY media_attachments (id, remote_url, processing, blurhash,
			file_file_name, file_content_type, file_file_size, file_updated_at, file_storage_schema_version,
			thumbnail_file_name, thumbnail_content_type, thumbnail_file_size, thumbnail_updated_at, thumbnail_storage_schema_version) TO STDOUT`,
		`COPY accounts (id, domain,
			avatar_file_name, avatar_content_type, avatar_file_size, avatar_updated_at, avatar_storage_schema_version,
			header_file_name, header_content_type, header_file_size, header_updated_at, header_storage_schema_version) TO STDOUT`,
		`COPY custom_emojis (id, domain, image_file_name, image_content_type, image_file_size, image_updated_at, image_storage_schema_version) TO STDOUT`,
		`COPY preview_cards (id, blurhash, image_file_name, image_content_type, image_file_size, image_updated_at, image_storage_schema_version) TO STDOUT`,
		`COPY site_uploads (id, var, blurhash, file_file_name, file_content_type, file_file_size, file_updated_at) TO STDOUT`,
	}
}

// runBare is the client that does nothing but what has to be done by anybody who looks
// for orphans: it lists the bucket, by mediamove's own reader of listings, and has the
// columns sent that they are judged by. All of it is thrown away.
func runBare(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("bench bare", flag.ContinueOnError)
	dsn := fs.String("dsn", "", "the database, as `KEY=VALUE KEY=VALUE`")
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
	for _, sql := range copies() {
		n, err := pgtest.CopyOut(ctx, *dsn, sql, io.Discard)
		if err != nil {
			return err
		}
		saw.Rows += n
	}
	saw.List, saw.Copy = listed.Sub(began).Seconds(), time.Since(listed).Seconds()
	return json.NewEncoder(os.Stdout).Encode(saw)
}
