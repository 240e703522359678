-- name: list_batches
-- A page, newest first.
SELECT id, status, url_count, new, duplicate, invalid, failed, debited, refunded, notes, created_at
  FROM batches WHERE org_id = $1 AND ($3::uuid IS NULL OR id < $3) ORDER BY id DESC LIMIT $2

-- name: find_batch
-- One batch of the organization.
SELECT id, status, url_count, new, duplicate, invalid, failed, debited, refunded, notes, created_at
  FROM batches WHERE org_id = $1 AND id = $2

-- name: list_invalid
-- Why URLs of a batch were not taken.
SELECT reason, n, samples FROM batch_invalid WHERE batch_id = $1 ORDER BY n DESC, reason

-- name: count_states
-- Where the URLs stand that a batch pays for.
SELECT state, count(*) AS n FROM urls WHERE batch_id = $1 GROUP BY state ORDER BY state
