-- name: claim_urls
-- URLs in these states ($3) whose time has come ($1), for nobody else until $2.
WITH due AS (
  SELECT creator_id, id FROM urls WHERE next_action_at <= $1 AND state = ANY($3) ORDER BY next_action_at LIMIT $4 FOR UPDATE SKIP LOCKED)
UPDATE urls u SET next_action_at = $2
  FROM due, creators c
 WHERE u.creator_id = due.creator_id AND u.id = due.id AND c.id = u.creator_id
RETURNING u.creator_id, u.id, u.url, u.host_id, u.state, u.stage, u.category, u.first_notice_at, c.public_id, c.org_id,
          c.is_sandbox OR EXISTS (SELECT FROM batches b WHERE b.id = u.batch_id AND b.is_sandbox) AS is_sandbox,
          c.deleted_at IS NOT NULL AS is_deleted;

-- name: claim_looks
-- As claim_urls, with what a look is judged by: the last notice that left, the last five looks, the page when it was alive, markers.
WITH due AS (
  SELECT creator_id, id FROM urls WHERE next_action_at <= $1 AND state = ANY($3) ORDER BY next_action_at LIMIT $4 FOR UPDATE SKIP LOCKED),
claimed AS (
  UPDATE urls u SET next_action_at = $2 FROM due WHERE u.creator_id = due.creator_id AND u.id = due.id
  RETURNING u.creator_id, u.id, u.url, u.host_id, u.state, u.stage, u.removed_at, u.first_notice_at)
SELECT k.*, h.host, d.removed_markers, d.live_markers, d.escalate_after_h,
       (SELECT max(n.sent_at) FROM notice_urls nu JOIN notices n ON n.id = nu.notice_id
         WHERE nu.creator_id = k.creator_id AND nu.url_id = k.id) AS sent_at,
       (SELECT array_agg(c.verdict ORDER BY c.at DESC) FROM (SELECT verdict, at FROM checks WHERE creator_id = k.creator_id
          AND url_id = k.id ORDER BY at DESC LIMIT 5) c) AS verdicts,
       (SELECT array_agg(c.at ORDER BY c.at DESC) FROM (SELECT at FROM checks WHERE creator_id = k.creator_id
          AND url_id = k.id ORDER BY at DESC LIMIT 5) c) AS looked_at,
       (SELECT simhash FROM checks WHERE creator_id = k.creator_id AND url_id = k.id AND verdict = 'alive' AND simhash IS NOT NULL
         ORDER BY at LIMIT 1) AS first_simhash
  FROM claimed k JOIN hosts h ON h.id = k.host_id LEFT JOIN directory d ON d.id = h.directory_id;

-- name: move_urls
-- Have an event happen to those URLs ($2) of a creator ($1) that are in its states ($3). $4: the state they are in then; $5: stages up,
-- or $6: the stage; $7: attempts up; $8: next step at; $9: the time; $10: sets the first notice; $11: clears it where no notice but $12
-- was delivered; $13: the time of the next step stays. One creator and the ids said twice: a look into one partition's index for each,
-- whatever the planner believes of the table's size.
WITH held AS (
  SELECT u.id, u.state AS previous FROM urls u WHERE u.creator_id = $1 AND u.id = ANY($2) AND u.state = ANY($3)
   ORDER BY u.id FOR UPDATE OF u)
UPDATE urls u SET state = $4::smallint, stage = coalesce($6::smallint, u.stage + $5::smallint), attempt = u.attempt + $7::smallint,
       next_action_at = CASE WHEN $13::boolean THEN u.next_action_at ELSE $8::timestamptz END,
       first_notice_at = CASE
         WHEN $10::boolean THEN coalesce(u.first_notice_at, $9::timestamptz)
         WHEN $11::boolean AND NOT EXISTS (SELECT FROM notice_urls nu JOIN notices n ON n.id = nu.notice_id
                WHERE nu.creator_id = u.creator_id AND nu.url_id = u.id AND n.id IS DISTINCT FROM $12::uuid
                  AND n.sent_at IS NOT NULL AND n.status <> 'bounced') THEN NULL
         ELSE u.first_notice_at END,
       removed_at = CASE WHEN $4::smallint = 8 THEN $9::timestamptz ELSE u.removed_at END
  FROM held, creators c
 WHERE u.creator_id = $1 AND u.id = ANY($2) AND u.id = held.id AND c.id = $1
RETURNING u.creator_id, u.id, u.url, held.previous, c.org_id, c.public_id;

-- name: note_moves
-- The timeline.
INSERT INTO url_events (creator_id, url_id, from_state, to_state, reason, at)
SELECT c, i, f, $4, $5, $6 FROM unnest($1::bigint[], $2::uuid[], $3::smallint[]) AS s(c, i, f);

-- name: rearm_urls
-- Another time for the next step.
UPDATE urls SET next_action_at = $3 WHERE creator_id = $1 AND id = ANY($2) AND state = ANY($4);

-- name: move_stage
-- URLs that are ready wait for a notice of this stage.
UPDATE urls SET stage = $3::smallint, next_action_at = $4::timestamptz WHERE creator_id = $1 AND id = ANY($2) AND state = 3;

-- name: awaited_urls
-- Those of the URLs that a notice is about which has not left yet, and may.
SELECT nu.creator_id, nu.url_id FROM notice_urls nu JOIN unnest($1::bigint[], $2::uuid[]) AS s(c, i)
    ON nu.creator_id = s.c AND nu.url_id = s.i
  JOIN notices n ON n.id = nu.notice_id WHERE n.status IN ('planned', 'sending', 'deferred');

-- name: queued_of_batch
-- URLs of a batch that nothing was done for yet.
SELECT creator_id, id, host_id FROM urls WHERE batch_id = $1 AND state = 1 LIMIT $2;

-- name: work_of
-- What a creator registered about itself. No e-mail, no notes: they have no business in a notice.
SELECT c.stage_name, c.legal_name, l.platforms, l.handles FROM creators c
  LEFT JOIN LATERAL (SELECT array_agg(platform ORDER BY pos) AS platforms, array_agg(handle ORDER BY pos) AS handles
                       FROM creator_links WHERE creator_id = c.id) l ON true
 WHERE c.id = $1;

-- name: earlier_notices
-- Notices about any of these URLs that were delivered, newest first.
SELECT n.id, n.sent_at FROM notices n
 WHERE n.sent_at IS NOT NULL AND n.status <> 'bounced' AND n.id IN (
   SELECT nu.notice_id FROM notice_urls nu JOIN unnest($1::bigint[], $2::uuid[]) AS s(c, i) ON nu.creator_id = s.c AND nu.url_id = s.i)
 ORDER BY n.sent_at DESC LIMIT $3;

-- name: add_check
-- One look at a URL.
INSERT INTO checks (creator_id, url_id, at, verdict, http, final_url, title_hash, simhash, err)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING;

-- name: count_failures
-- One more failure of each of these, in the order of the index; those of more than a day ago are forgotten, and what fails several times
-- within a minute failed once. Answers the counts.
INSERT INTO url_failures AS f (creator_id, url_id, last_at)
SELECT c, i, $3::timestamptz FROM unnest($1::bigint[], $2::uuid[]) AS s(c, i)
ON CONFLICT (creator_id, url_id) DO UPDATE
   SET tries = CASE WHEN f.last_at < $3::timestamptz - interval '1 day' THEN 1
                    WHEN f.last_at > $3::timestamptz - interval '1 min' THEN f.tries ELSE f.tries + 1 END,
       last_at = CASE WHEN f.last_at > $3::timestamptz - interval '1 min' THEN f.last_at ELSE $3::timestamptz END
RETURNING creator_id, url_id, tries;
