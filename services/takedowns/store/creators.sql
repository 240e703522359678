-- name: lock_creators
-- One change of an organization's creators at a time: what is known is read, compared in code and written back.
SELECT pg_advisory_xact_lock(hashtextextended('takedowns.creators:' || $1::uuid::text, 0))

-- name: find_creator
-- The creator that lives under this id, in this organization.
SELECT c.*, l.platforms, l.handles FROM creators c
  LEFT JOIN LATERAL (SELECT array_agg(platform ORDER BY pos) AS platforms, array_agg(handle ORDER BY pos) AS handles
                       FROM creator_links WHERE creator_id = c.id) l ON true
 WHERE c.public_id = $2 AND c.org_id = $1 AND c.deleted_at IS NULL

-- name: find_by_email
-- The creators that live under these addresses.
SELECT c.*, l.platforms, l.handles FROM creators c
  LEFT JOIN LATERAL (SELECT array_agg(platform ORDER BY pos) AS platforms, array_agg(handle ORDER BY pos) AS handles
                       FROM creator_links WHERE creator_id = c.id) l ON true
 WHERE c.org_id = $1 AND c.email_key = ANY($2) AND c.deleted_at IS NULL

-- name: add_creators
-- New creators, one row each; answers the numbers they got.
INSERT INTO creators (public_id, org_id, is_sandbox, stage_name, email, email_key, legal_name, notification_email, notes)
SELECT s.public_id, $1, s.is_sandbox, s.stage_name, s.email, s.email_key, s.legal_name, s.notification_email, s.notes
  FROM unnest($2::uuid[], $3::boolean[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
    AS s(public_id, is_sandbox, stage_name, email, email_key, legal_name, notification_email, notes)
RETURNING id, public_id

-- name: update_creators
-- Known creators as they are to be.
UPDATE creators c
   SET stage_name = s.stage_name, email = s.email, email_key = s.email_key, legal_name = s.legal_name,
       notification_email = s.notification_email, notes = s.notes, updated_at = now()
  FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
    AS s(id, stage_name, email, email_key, legal_name, notification_email, notes)
 WHERE c.id = s.id AND c.org_id = $1

-- name: drop_links
-- Before an update: links are always replaced.
DELETE FROM creator_links WHERE creator_id = ANY($1)

-- name: add_links
-- The official links of creators, in their order.
INSERT INTO creator_links (creator_id, platform, handle, handle_key, pos)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::smallint[])

-- name: delete_creator
-- Gone for its organization; its address is free, its rows and what was sent for it stay.
UPDATE creators SET deleted_at = now(), updated_at = now() WHERE id = $1 AND deleted_at IS NULL

-- name: list_creators
-- A page of the creators that live, oldest first.
SELECT c.*, l.platforms, l.handles FROM creators c
  LEFT JOIN LATERAL (SELECT array_agg(platform ORDER BY pos) AS platforms, array_agg(handle ORDER BY pos) AS handles
                       FROM creator_links WHERE creator_id = c.id) l ON true
 WHERE c.org_id = $1 AND c.deleted_at IS NULL ORDER BY c.id LIMIT $2 OFFSET $3

-- name: count_creators
-- How many live.
SELECT count(*) FROM creators WHERE org_id = $1 AND deleted_at IS NULL

-- name: count_associated
-- What hangs on a creator: its URLs, and those of them that a notice names which was sent.
SELECT (SELECT count(*) FROM urls WHERE creator_id = $1) AS urls,
       (SELECT count(DISTINCT u.url_id) FROM notice_urls u JOIN notices n ON n.id = u.notice_id
         WHERE u.creator_id = $1 AND n.sent_at IS NOT NULL) AS takedowns

-- name: list_stats
-- What was submitted for each creator that lives; the counters are kept by submissions, nothing is counted here.
SELECT c.public_id, c.stage_name, coalesce(s.total, 0) AS total, coalesce(s.new, 0) AS new,
       coalesce(s.duplicate, 0) AS duplicate, coalesce(s.invalid, 0) AS invalid
  FROM creators c LEFT JOIN creator_stats s ON s.creator_id = c.id
 WHERE c.org_id = $1 AND c.deleted_at IS NULL AND c.stage_name ILIKE $2 ORDER BY c.id

-- name: purge_creators
-- The personal data of creators that were deleted a while ago; counters and the record of what was sent stay.
WITH old AS (SELECT id FROM creators WHERE deleted_at < $1 AND purged_at IS NULL ORDER BY deleted_at LIMIT $2
               FOR UPDATE SKIP LOCKED),
     links AS (DELETE FROM creator_links WHERE creator_id IN (SELECT id FROM old)),
     mails AS (UPDATE creator_mails SET to_addr = 'deleted', raw = NULL WHERE creator_id IN (SELECT id FROM old))
UPDATE creators SET stage_name = 'deleted', email = 'deleted', email_key = 'deleted', legal_name = NULL,
                    notification_email = NULL, notes = NULL, authority_basis = NULL, purged_at = now()
 WHERE id IN (SELECT id FROM old)
