-- name: refund_urls
-- End URLs that no notice ever left for, and give their credits back. $2: their ids; $3: the state they end in; $4: from which states.
-- Locked in the order of the index. A batch that is not settled yet is left alone: its debit is still to be counted.
WITH held AS (
  SELECT u.id, u.state AS previous, u.batch_id FROM urls u
   WHERE u.creator_id = $1 AND u.id = ANY($2) AND u.state = ANY($4) AND u.refunded_at IS NULL AND u.first_notice_at IS NULL
     AND NOT EXISTS (SELECT FROM batches b WHERE b.id = u.batch_id AND b.status = 'leasing')
   ORDER BY u.creator_id, u.url_key FOR UPDATE OF u)
UPDATE urls u SET state = $3, refunded_at = now(), next_action_at = NULL
  FROM held WHERE u.creator_id = $1 AND u.id = ANY($2) AND u.id = held.id
RETURNING u.id, u.url, u.batch_id, held.previous, u.refunded_at AS at

-- name: note_events
-- The timeline of these URLs.
INSERT INTO url_events (creator_id, url_id, from_state, to_state, reason)
SELECT $1, i, f, $4, $5 FROM unnest($2::uuid[], $3::smallint[]) AS s(i, f)

-- name: count_refunds
-- What batches have given back, in the order of their ids; answers whose they are.
UPDATE batches b SET refunded = b.refunded + s.n
  FROM (SELECT * FROM unnest($1::uuid[], $2::int[]) AS t(id, n) ORDER BY id) s
 WHERE b.id = s.id

-- name: gather_refunds
-- Add to the open refund of each batch, or open one.
INSERT INTO batch_refunds AS t (id, batch_id, amount)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[])
ON CONFLICT (batch_id) WHERE sent_at IS NULL DO UPDATE SET amount = t.amount + excluded.amount

-- name: due_refunds
-- Open refunds that gathered long enough; others may be sending some at the same time.
SELECT r.id, r.batch_id, b.org_id FROM batch_refunds r JOIN batches b ON b.id = r.batch_id
 WHERE r.sent_at IS NULL AND r.opened_at < now() - make_interval(secs => $1)
 ORDER BY r.opened_at LIMIT $2 FOR UPDATE OF r SKIP LOCKED

-- name: send_refunds
-- They are closed, with what they came to.
UPDATE batch_refunds SET sent_at = now() WHERE id = ANY($1) RETURNING id, batch_id, amount

-- name: refundable_of
-- URLs of a creator that can end without a notice.
SELECT id FROM urls WHERE creator_id = $1 AND state = ANY($2) AND refunded_at IS NULL AND first_notice_at IS NULL LIMIT $3

-- name: find_deleted
-- A creator that was deleted, by its public id.
SELECT id FROM creators WHERE org_id = $1 AND public_id = $2 AND deleted_at IS NOT NULL

-- name: stop_timers
-- Nothing more is done for a creator's URLs.
UPDATE urls SET next_action_at = NULL WHERE creator_id = $1 AND next_action_at IS NOT NULL

-- name: stop_notices
-- Nor for its notices: no follow-ups, and what has not left yet does not leave.
UPDATE notices SET next_followup_at = NULL, due_at = NULL,
                   status = CASE WHEN status IN ('planned', 'rendered', 'deferred') THEN 'closed' ELSE status END
 WHERE creator_id = $1 AND (due_at IS NOT NULL OR next_followup_at IS NOT NULL OR status IN ('planned', 'rendered', 'deferred'))

-- name: has_leasing
-- Whether a batch with URLs of this creator is still under way.
SELECT EXISTS (SELECT FROM batches b WHERE b.status = 'leasing' AND b.org_id = $2
                AND EXISTS (SELECT FROM urls u WHERE u.batch_id = b.id AND u.creator_id = $1))
