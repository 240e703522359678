-- Statements on deliveries of webhooks. Locks are taken in one order: endpoint, then line. A line's row is what inserts, claims
-- and ends of attempts meet at: nothing is added behind a line that somebody is just removing.

-- name: find_takers
-- Endpoints that want an event. $1 org (null: everybody)  $2 model (or null)  $3 type  $4 not to this endpoint (or null)
SELECT e.webhook_id FROM live_webhook_endpoints e
 WHERE (e.event_types = '{}' OR $3::text = ANY (e.event_types))
   AND e.webhook_id IS DISTINCT FROM $4::uuid
   AND (($1::uuid IS NULL)
        OR (e.org_id = $1 AND e.app_id IS NULL)
        OR e.app_id IN (SELECT g.app_id FROM grants g WHERE g.org_id = $1 AND g.model_id = $2::uuid AND g.revoked_at IS NULL))
 ORDER BY e.webhook_id

-- name: add_event
-- What will be sent. $1 event  $2 org  $3 model  $4 type  $5 entity  $6 number  $7 versioned?  $8 body  $9 now
INSERT INTO webhook_events (event_id, org_id, model_id, type, entity, number, is_versioned, body, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)

-- name: hold_lines
-- Make the lines of an entity, or hold those there are: their times stay. $1 endpoints, in order  $2 entity  $3 now
INSERT INTO webhook_lines (webhook_id, entity, due_at)
SELECT e.webhook_id, $2, $3 FROM unnest($1::uuid[]) WITH ORDINALITY AS e (webhook_id, position) ORDER BY e.position
ON CONFLICT (webhook_id, entity) DO UPDATE SET due_at = webhook_lines.due_at

-- name: add_deliveries
-- One for each endpoint; superseded where a newer version was sent already. $1 deliveries  $2 endpoints  $3 event
-- $4 entity  $5 number  $6 versioned?  $7 now
INSERT INTO webhook_deliveries (delivery_id, webhook_id, event_id, entity, number, state, created_at, finished_at)
SELECT t.delivery_id, t.webhook_id, $3, $4, $5, CASE WHEN s.is_old THEN 'superseded' ELSE 'pending' END, $7,
       CASE WHEN s.is_old THEN $7::timestamptz END
  FROM unnest($1::uuid[], $2::uuid[]) AS t (delivery_id, webhook_id),
       LATERAL (SELECT $6::boolean AND EXISTS (
                  SELECT 1 FROM webhook_deliveries n
                   WHERE n.webhook_id = t.webhook_id AND n.entity = $4 AND n.number > $5 AND n.begun_at IS NOT NULL
                ) AS is_old) s

-- name: claim_lines
-- Lines that are due, few for any one endpoint (one for an endpoint that fails), endpoints in no order: none comes before
-- others for ever. $1 now  $2 until  $3 limit  $4 in flight to one endpoint
WITH ready AS (
  SELECT e.webhook_id, CASE WHEN e.failing_since IS NULL THEN $4::bigint ELSE 1 END
         - (SELECT count(*) FROM webhook_lines c WHERE c.webhook_id = e.webhook_id AND c.claimed_until > $1) AS room
    FROM webhook_endpoints e
   WHERE e.webhook_id IN (SELECT webhook_id FROM live_webhook_endpoints)
     AND EXISTS (SELECT 1 FROM webhook_lines l WHERE l.webhook_id = e.webhook_id AND l.due_at <= $1
                    AND (l.claimed_until IS NULL OR l.claimed_until <= $1))
     AND (SELECT count(*) FROM webhook_lines c WHERE c.webhook_id = e.webhook_id AND c.claimed_until > $1)
         < CASE WHEN e.failing_since IS NULL THEN $4::bigint ELSE 1 END
   ORDER BY random() LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED
), wanted AS (
  SELECT l.line_id FROM ready r
   CROSS JOIN LATERAL (
     SELECT w.line_id FROM webhook_lines w
      WHERE w.webhook_id = r.webhook_id AND w.due_at <= $1 AND (w.claimed_until IS NULL OR w.claimed_until <= $1)
      ORDER BY w.due_at LIMIT greatest(r.room, 0) FOR UPDATE SKIP LOCKED
   ) l LIMIT $3
)
UPDATE webhook_lines l SET claimed_until = $2 FROM wanted w WHERE l.line_id = w.line_id
RETURNING l.line_id, l.webhook_id, l.entity

-- name: find_heads
-- The first delivery of each of some lines, and whether it may still be sent: a grant may have ended. $1 lines
SELECT DISTINCT ON (l.line_id) l.line_id, d.delivery_id, d.event_id, d.attempts, e.webhook_id, e.org_id, e.url,
       e.failing_since, v.body,
       e.app_id IS NULL OR v.model_id IS NULL OR EXISTS (
         SELECT 1 FROM grants g
          WHERE g.app_id = e.app_id AND g.org_id = v.org_id AND g.model_id = v.model_id AND g.revoked_at IS NULL
       ) AS may_be_sent
  FROM webhook_lines l
  JOIN webhook_deliveries d ON d.webhook_id = l.webhook_id AND d.entity = l.entity AND d.state = 'pending'
  JOIN webhook_events v ON v.event_id = d.event_id
  JOIN webhook_endpoints e ON e.webhook_id = l.webhook_id
 WHERE l.line_id = ANY($1::bigint[])
 ORDER BY l.line_id, d.number, d.event_id

-- name: begin_deliveries
-- The first byte may leave from now on. $1 deliveries  $2 now
UPDATE webhook_deliveries SET begun_at = coalesce(begun_at, $2) WHERE delivery_id = ANY($1::uuid[])

-- name: cancel_delivery
-- It is not to be sent any more. $1 delivery  $2 now
UPDATE webhook_deliveries SET state = 'cancelled', finished_at = $2 WHERE delivery_id = $1 AND state = 'pending'

-- name: hold_line
-- A line that is still the caller's, held. $1 line  $2 the caller's claim
SELECT line_id FROM webhook_lines WHERE line_id = $1 AND claimed_until = $2 FOR UPDATE

-- name: note_attempt
-- One attempt, unless the delivery is forgotten. $1 attempt  $2 delivery  $3 at  $4 milliseconds  $5 status  $6 error
INSERT INTO webhook_attempts (attempt_id, delivery_id, at, duration_ms, status, error)
SELECT $1, d.delivery_id, $3, $4, $5, $6 FROM webhook_deliveries d WHERE d.delivery_id = $2

-- name: count_attempt
-- It was tried in vain, and is pending still. $1 delivery
UPDATE webhook_deliveries SET attempts = attempts + 1 WHERE delivery_id = $1 AND state = 'pending'

-- name: finish_delivery
-- Its end, once. $1 delivery  $2 state  $3 now
UPDATE webhook_deliveries SET state = $2, finished_at = $3, attempts = attempts + 1
 WHERE delivery_id = $1 AND state = 'pending'

-- name: note_success
-- Something got through. $1 endpoint
UPDATE webhook_endpoints SET failing_since = NULL WHERE webhook_id = $1 AND failing_since IS NOT NULL

-- name: note_failure
-- The first failure since. $1 endpoint  $2 now
UPDATE webhook_endpoints SET failing_since = $2 WHERE webhook_id = $1 AND failing_since IS NULL

-- name: lock_endpoint
-- Hold an endpoint; always before its lines. $1 org  $2 endpoint
SELECT state FROM webhook_endpoints WHERE org_id = $1 AND webhook_id = $2 FOR NO KEY UPDATE

-- name: disable_endpoint
-- Nothing more is sent to it. $1 endpoint  $2 reason  $3 now
UPDATE webhook_endpoints SET state = 'disabled', reason = $2, updated_at = $3 WHERE webhook_id = $1 AND state = 'active'

-- name: release_line
-- Its head, or the next one, is due then. $1 line  $2 due
UPDATE webhook_lines SET due_at = $2, claimed_until = NULL WHERE line_id = $1

-- name: end_line
-- Nothing waits in it any more. $1 line
DELETE FROM webhook_lines l WHERE l.line_id = $1 AND NOT EXISTS (
  SELECT 1 FROM webhook_deliveries d WHERE d.webhook_id = l.webhook_id AND d.entity = l.entity AND d.state = 'pending')

-- name: resume_deliveries
-- What waits for an endpoint has a whole ladder before it again. $1 endpoint
UPDATE webhook_deliveries SET attempts = 0 WHERE webhook_id = $1 AND state = 'pending' AND attempts > 0

-- name: resume_lines
-- All of an endpoint's lines are due. $1 endpoint  $2 now
UPDATE webhook_lines SET due_at = $2
 WHERE line_id IN (SELECT line_id FROM webhook_lines WHERE webhook_id = $1 ORDER BY entity FOR UPDATE)

-- name: drop_lines
-- An endpoint's lines are gone. $1 endpoint
DELETE FROM webhook_lines
 WHERE line_id IN (SELECT line_id FROM webhook_lines WHERE webhook_id = $1 ORDER BY entity FOR UPDATE)

-- name: cancel_deliveries
-- What waits for an endpoint is never sent. $1 endpoint  $2 now
UPDATE webhook_deliveries SET state = 'cancelled', finished_at = $2 WHERE webhook_id = $1 AND state = 'pending'

-- name: reopen_delivery
-- Send it once more, with a ladder of its own. $1 endpoint  $2 delivery
UPDATE webhook_deliveries SET state = 'pending', finished_at = NULL, attempts = 0
 WHERE webhook_id = $1 AND delivery_id = $2 AND state <> 'pending'

-- name: find_delivery
-- Where a delivery stands. $1 endpoint  $2 delivery
SELECT delivery_id, entity, state FROM webhook_deliveries WHERE webhook_id = $1 AND delivery_id = $2

-- name: page_deliveries
-- An endpoint's deliveries with their attempts, newest first. $1 org  $2 endpoint  $3 limit  $4 before (or null)
-- $5 state (empty: any)  $6 this one only (or null)
SELECT d.delivery_id, d.event_id, v.type, d.state, d.created_at, d.finished_at, l.due_at,
       NOT EXISTS (SELECT 1 FROM webhook_deliveries o
                    WHERE o.webhook_id = d.webhook_id AND o.entity = d.entity AND o.state = 'pending'
                      AND (o.number, o.event_id) < (d.number, d.event_id)) AS is_head,
       (SELECT coalesce(jsonb_agg(jsonb_build_object(
                 'at', a.at, 'duration_ms', a.duration_ms, 'status', a.status, 'error', a.error) ORDER BY a.attempt_id), '[]')
          FROM (SELECT * FROM webhook_attempts t WHERE t.delivery_id = d.delivery_id ORDER BY t.attempt_id DESC LIMIT 20) a
       ) AS attempts
  FROM webhook_deliveries d
  JOIN webhook_events v ON v.event_id = d.event_id
  JOIN webhook_endpoints e ON e.webhook_id = d.webhook_id
  LEFT JOIN webhook_lines l ON l.webhook_id = d.webhook_id AND l.entity = d.entity AND d.state = 'pending' AND e.state = 'active'
 WHERE e.org_id = $1 AND d.webhook_id = $2 AND ($4::uuid IS NULL OR d.delivery_id < $4) AND ($5 = '' OR d.state = $5)
   AND ($6::uuid IS NULL OR d.delivery_id = $6)
 ORDER BY d.delivery_id DESC LIMIT $3

-- name: find_overdue
-- Since when the line has been due that waits longest for somebody to take it. $1 now
SELECT min(l.due_at) FROM webhook_lines l JOIN live_webhook_endpoints e ON e.webhook_id = l.webhook_id WHERE l.due_at <= $1

-- name: forget_deliveries
-- A portion of old deliveries; their attempts go with them. $1 before
DELETE FROM webhook_deliveries
 WHERE delivery_id IN (SELECT delivery_id FROM webhook_deliveries WHERE created_at < $1 LIMIT 1000) RETURNING delivery_id

-- name: forget_events
-- A portion of old events that nobody is to get any more. $1 before
DELETE FROM webhook_events
 WHERE event_id IN (SELECT v.event_id FROM webhook_events v
                     WHERE v.created_at < $1
                       AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.event_id = v.event_id) LIMIT 1000)
RETURNING event_id
