-- Two roles for mediamove in Mastodon's database, with no more rights than it needs:
--
--   mediamove_read    sees the columns that say which files there are, since when and
--                     whether they are hidden, and which posts local users have to do
--                     with. Every command needs no more, but for `prune --apply`.
--   mediamove_prune   the same, and may clear the file columns of other servers'
--                     media and of preview cards: nothing else, and no local row.
--
-- Run it as a superuser, and again after every upgrade of Mastodon (a new column has
-- to be granted; running it again changes nothing else):
--
--   sudo -u postgres psql -v ON_ERROR_STOP=1 -d mastodon_production -f grants.sql
--
-- Then let the role that you use log in, and name it in mediamove's own settings
-- (DB_USER, DB_PASS), not in Mastodon's:
--
--   ALTER ROLE mediamove_read LOGIN;
--   \password mediamove_read
--
-- Mastodon's own role works without any of this; it may do more than mediamove needs.
-- On servers that began before PostgreSQL 15, everybody may create tables in the
-- schema public unless that was revoked: REVOKE CREATE ON SCHEMA public FROM PUBLIC.
--
-- PostgreSQL refuses to change the type of a column that a view shows, so a migration
-- of Mastodon may one day complain about mediamove.remote_media. Then:
-- DROP SCHEMA mediamove CASCADE, upgrade, and run this again.

BEGIN;

DO $roles$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'mediamove_read') THEN
    CREATE ROLE mediamove_read NOLOGIN;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'mediamove_prune') THEN
    CREATE ROLE mediamove_prune NOLOGIN;
  END IF;
END
$roles$;

-- Rights are inherited, settings are not: each role has its own.
GRANT mediamove_read TO mediamove_prune;
ALTER ROLE mediamove_read SET default_transaction_read_only = on;
ALTER ROLE mediamove_read SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE mediamove_prune SET idle_in_transaction_session_timeout = '60s';

-- What mediamove_read sees: of each table the columns that this version of Mastodon
-- has. No text that people wrote, no mail address, no key. Who favourited and pinned
-- is asked for, because only local users count; who bookmarked and reported is not.
DO $read$
DECLARE
  one record;
BEGIN
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO mediamove_read', current_database());
  FOR one IN
    SELECT c.oid::regclass AS tab, n.nspname AS schema, string_agg(quote_ident(a.attname), ', ') AS cols
    FROM (VALUES
      ('media_attachments', '{id, account_id, status_id, remote_url, processing, blurhash, created_at, updated_at,
        file_file_name, file_content_type, file_file_size, file_updated_at, file_storage_schema_version,
        thumbnail_file_name, thumbnail_content_type, thumbnail_file_size, thumbnail_updated_at, thumbnail_storage_schema_version}'::name[]),
      ('accounts', '{id, domain, uri, suspended_at, created_at, updated_at,
        avatar_file_name, avatar_content_type, avatar_file_size, avatar_updated_at, avatar_storage_schema_version,
        header_file_name, header_content_type, header_file_size, header_updated_at, header_storage_schema_version}'),
      ('custom_emojis', '{id, domain, created_at, updated_at,
        image_file_name, image_content_type, image_file_size, image_updated_at, image_storage_schema_version}'),
      ('preview_cards', '{id, blurhash, created_at, updated_at,
        image_file_name, image_content_type, image_file_size, image_updated_at, image_storage_schema_version}'),
      ('preview_card_providers', '{id, created_at, updated_at,
        icon_file_name, icon_content_type, icon_file_size, icon_updated_at}'),
      ('site_uploads', '{id, var, blurhash, created_at, updated_at,
        file_file_name, file_content_type, file_file_size, file_updated_at}'),
      ('statuses', '{id, uri, local, deleted_at, in_reply_to_id, reblog_of_id}'),
      ('favourites', '{account_id, status_id}'),
      ('bookmarks', '{status_id}'),
      ('status_pins', '{account_id, status_id}'),
      ('quotes', '{status_id, quoted_status_id}'),
      ('reports', '{status_ids}'),
      ('unavailable_domains', '{domain}'),
      ('domain_blocks', '{domain, reject_media}')
    ) AS want(tab, cols)
    JOIN pg_class c ON c.oid = to_regclass(want.tab)
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = ANY (want.cols) AND NOT a.attisdropped
    GROUP BY c.oid, n.nspname
  LOOP
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO mediamove_read', one.schema);
    EXECUTE format('REVOKE ALL ON %s FROM mediamove_read, mediamove_prune', one.tab);
    EXECUTE format('GRANT SELECT (%s) ON %s TO mediamove_read', one.cols, one.tab);
  END LOOP;
END
$read$;

-- What mediamove_prune may change: the columns that Mastodon's own batch sets to NULL
-- (app/lib/attachment_batch.rb), through views that show other servers' rows only. A
-- barrier keeps conditions of a query from seeing rows that the view hides.
CREATE SCHEMA IF NOT EXISTS mediamove;
DROP VIEW IF EXISTS mediamove.remote_media, mediamove.preview_cards;

CREATE VIEW mediamove.remote_media WITH (security_barrier) AS
  SELECT id, account_id, status_id, remote_url, processing, created_at, updated_at,
    file_file_name, file_content_type, file_file_size, file_updated_at,
    thumbnail_file_name, thumbnail_content_type, thumbnail_file_size, thumbnail_updated_at
  FROM media_attachments m
  WHERE remote_url <> '' AND EXISTS (SELECT FROM accounts a WHERE a.id = m.account_id AND a.domain IS NOT NULL);

CREATE VIEW mediamove.preview_cards WITH (security_barrier) AS
  SELECT id, created_at, updated_at, image_file_name, image_content_type, image_file_size, image_updated_at
  FROM preview_cards;

GRANT USAGE ON SCHEMA mediamove TO mediamove_prune;
GRANT SELECT, UPDATE (
    file_file_name, file_content_type, file_file_size, file_updated_at,
    thumbnail_file_name, thumbnail_content_type, thumbnail_file_size, thumbnail_updated_at
  ) ON mediamove.remote_media TO mediamove_prune;
GRANT SELECT, UPDATE (image_file_name, image_content_type, image_file_size, image_updated_at)
  ON mediamove.preview_cards TO mediamove_prune;

COMMIT;
