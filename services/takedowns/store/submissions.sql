-- name: find_targets
-- Creators of the organization that live, with their official links.
SELECT c.id, c.public_id, l.platforms, l.handles FROM creators c
  LEFT JOIN LATERAL (SELECT array_agg(platform ORDER BY pos) AS platforms, array_agg(handle ORDER BY pos) AS handles
                       FROM creator_links WHERE creator_id = c.id) l ON true
 WHERE c.org_id = $1 AND c.public_id = ANY($2) AND c.deleted_at IS NULL

-- name: find_batch
-- Whose it is, how far it is, and what its caller was told.
SELECT org_id, status, reply FROM batches WHERE id = $1

-- name: find_known
-- Which of these are duplicates now, by their place in the arrays from 1: there, and neither cancelled (13) nor refunded (90). 8: removed.
-- Lateral, so that it is one look into the index for each, whatever the planner believes of the table's size.
SELECT array_agg(n) AS known, array_agg(n) FILTER (WHERE state = 8) AS removed
  FROM unnest($1::bigint[], $2::bytea[]) WITH ORDINALITY AS s(c, k, n)
 CROSS JOIN LATERAL (SELECT u.state FROM urls u WHERE u.creator_id = s.c AND u.url_key = s.k OFFSET 0) AS found
 WHERE state NOT IN (13, 90)

-- name: find_hosts
-- Hosts with what is known of how they take notices; without a resolved method the directory's entry speaks.
SELECT h.id, h.host, coalesce(h.method, d.takedown_method) AS method, coalesce(h.dmca_email, d.dmca_email) AS dmca_email,
       coalesce(h.form_url, d.form_url) AS form_url, h.registrar_name, h.registrar_email
  FROM hosts h LEFT JOIN directory d ON d.id = h.directory_id
 WHERE h.host = ANY($1)

-- name: add_hosts
-- Rows for new hosts, in the order of their names, with the directory's best entry: an operator's before a shipped before a learned.
INSERT INTO hosts (host, site, directory_id, resolve_after)
SELECT s.host, s.site, d.id, now()
  FROM unnest($1::text[], $2::text[], $3::text[]) AS s(host, site, names)
  LEFT JOIN LATERAL (SELECT id FROM directory WHERE match && string_to_array(s.names, ' ')
                      ORDER BY array_position(ARRAY['operator', 'shipped', 'learned'], source) LIMIT 1) d ON true
 ORDER BY s.host
ON CONFLICT (host) DO NOTHING

-- name: begin_batch
-- The batch before its lease: if all ends here, the sweeper finds it.
INSERT INTO batches (id, org_id, key_id, is_sandbox, notes, status, required) VALUES ($1, $2, $3, $4, $5, 'leasing', $6)
ON CONFLICT (id) DO NOTHING RETURNING true

-- name: add_free_batch
-- A batch without a lease; settled in the same transaction.
INSERT INTO batches (id, org_id, key_id, is_sandbox, notes, status, required, settled_at)
VALUES ($1, $2, $3, $4, $5, 'accepted', 0, now())
ON CONFLICT (id) DO NOTHING RETURNING true

-- name: shrink_batch
-- A twin landed meanwhile: fewer credits are needed.
UPDATE batches SET required = $2 WHERE id = $1 AND status = 'leasing'

-- name: drop_batch
-- A batch whose lease was refused leaves no row.
DELETE FROM batches WHERE id = $1 AND status = 'leasing'

-- name: hold_batch
-- Whoever holds the row and finds it leasing may settle it.
SELECT org_id, key_id, url_count FROM batches WHERE id = $1 AND status = 'leasing' FOR UPDATE

-- name: hold_creators
-- Those that live; a deletion waits until this transaction ends.
SELECT id FROM creators WHERE id = ANY($1) AND deleted_at IS NULL ORDER BY id FOR SHARE

-- name: add_urls
-- What is new, or was cancelled (13) or refunded (90) before. The arrays are sorted by (creator, key), or two of these deadlock.
-- Ten minutes ahead is the net under a lost nudge.
-- $7: their categories; NULL: all are about copyright.
INSERT INTO urls AS t (id, creator_id, url_key, url, host_id, batch_id, next_action_at, category)
SELECT i, c, k, u, h, $1, now() + interval '10 min', coalesce(g, 0)
  FROM unnest($2::uuid[], $3::bigint[], $4::bytea[], $5::text[], $6::int[], $7::smallint[]) AS s(i, c, k, u, h, g)
ON CONFLICT (creator_id, url_key) DO UPDATE
   SET state = 1, stage = 0, batch_id = excluded.batch_id, attempt = t.attempt + 1, refunded_at = NULL,
       first_notice_at = NULL, removed_at = NULL, next_action_at = excluded.next_action_at,
       category = excluded.category
 WHERE t.state IN (13, 90)

-- name: find_stored
-- What this batch has stored.
SELECT creator_id, url_key FROM urls WHERE batch_id = $1

-- name: settle_batch
-- What the batch came to.
UPDATE batches SET status = $2, url_count = $3, new = $4, duplicate = $5, invalid = $6, failed = $7, debited = $8, reply = $9,
                   settled_at = now()
 WHERE id = $1

-- name: add_invalid
-- Why URLs of a batch were not taken, with samples.
INSERT INTO batch_invalid (batch_id, reason, n, samples)
SELECT $1, reason, n, samples FROM jsonb_to_recordset($2) AS s(reason text, n int, samples text[])

-- name: add_stats
-- The counters of creators, in the order of their numbers.
INSERT INTO creator_stats AS t (creator_id, total, new, duplicate, invalid)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) AS s(c, total, new, duplicate, invalid)
 ORDER BY c
ON CONFLICT (creator_id) DO UPDATE
   SET total = t.total + excluded.total, new = t.new + excluded.new, duplicate = t.duplicate + excluded.duplicate,
       invalid = t.invalid + excluded.invalid

-- name: look_again
-- Removed content (8) of a creator that is submitted again is looked at soon, unless it was looked at within a day.
UPDATE urls u SET next_action_at = now()
 WHERE u.creator_id = $1 AND u.url_key = ANY($2) AND u.state = 8 AND (u.next_action_at IS NULL OR u.next_action_at > now())
   AND NOT EXISTS (SELECT FROM checks WHERE creator_id = u.creator_id AND url_id = u.id AND at > now() - interval '1 day')

-- name: count_stored
-- What is stored of a batch, by creator.
SELECT creator_id, count(*) AS n FROM urls WHERE batch_id = $1 GROUP BY creator_id ORDER BY creator_id

-- name: settle_stored
-- A batch that ended half-way, by what is stored of it.
UPDATE batches SET status = $2, url_count = greatest(url_count, $3), new = $3, debited = $3, settled_at = now() WHERE id = $1

-- name: find_stuck
-- Batches that have been leasing for too long.
SELECT id FROM batches WHERE status = 'leasing' AND created_at < now() - make_interval(secs => $1) ORDER BY created_at LIMIT $2

-- name: count_leasing
-- Batches under way.
SELECT count(*) FROM batches WHERE status = 'leasing'

-- name: forget_replies
-- What callers were told is kept for a day.
UPDATE batches SET reply = NULL WHERE reply IS NOT NULL AND settled_at < now() - interval '1 day'
