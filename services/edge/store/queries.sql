-- name: claim
-- Take a key that is free: never used, used more than $6 seconds ago, or left unanswered by somebody who asked the same.
-- Who takes over goes on under the first try's call id, so that its fence decides, and has the debits of those before him undone.
INSERT INTO idempotency AS held (org_id, key_digest, fingerprint, call_id, claimed_until)
VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5))
ON CONFLICT (org_id, key_digest) DO UPDATE SET
  fingerprint = EXCLUDED.fingerprint,
  call_id = CASE WHEN held.created_at > now() - make_interval(secs => $6) THEN held.call_id ELSE EXCLUDED.call_id END,
  turn = CASE WHEN held.created_at > now() - make_interval(secs => $6) THEN held.turn + 1 ELSE 1 END,
  debits = CASE WHEN held.created_at > now() - make_interval(secs => $6) THEN held.debits + 1 ELSE 1 END,
  created_at = CASE WHEN held.created_at > now() - make_interval(secs => $6) THEN held.created_at ELSE now() END,
  claimed_until = EXCLUDED.claimed_until, status = NULL, code = NULL, sealed_by = NULL, answer = NULL
WHERE held.created_at <= now() - make_interval(secs => $6)
   OR (held.status IS NULL AND held.claimed_until <= now() AND held.fingerprint = EXCLUDED.fingerprint)
RETURNING call_id, turn, debits;

-- name: find
-- What stands under a key that could not be taken.
SELECT fingerprint, call_id, status, code, sealed_by, answer FROM idempotency WHERE org_id = $1 AND key_digest = $2;

-- name: keep
-- The answer, for whoever repeats the request; nothing if the claim was taken over meanwhile.
UPDATE idempotency SET status = $5, code = $6, sealed_by = $7, answer = $8
 WHERE org_id = $1 AND key_digest = $2 AND call_id = $3 AND turn = $4 AND status IS NULL;

-- name: free
-- Forget the key: the request left no trace.
DELETE FROM idempotency WHERE org_id = $1 AND key_digest = $2 AND call_id = $3 AND turn = $4 AND status IS NULL;

-- name: hold
-- Let the next try of the same request take over at once. $5: this one may have paid; else the next pays under the same id.
UPDATE idempotency SET claimed_until = now(), debits = debits - CASE WHEN $5 THEN 0 ELSE 1 END
 WHERE org_id = $1 AND key_digest = $2 AND call_id = $3 AND turn = $4 AND status IS NULL AND claimed_until > now();

-- name: sweep
-- Keys older than $1 seconds, $2 at a time, oldest first.
DELETE FROM idempotency WHERE (org_id, key_digest) IN
  (SELECT org_id, key_digest FROM idempotency WHERE created_at <= now() - make_interval(secs => $1)
    ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED);
