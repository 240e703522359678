-- name: list_takedowns
-- A page of a creator's or a batch's URLs, newest first. $6: below this id.
SELECT u.id, c.public_id, u.batch_id, u.url, h.host, u.state, u.stage, u.category, u.attempt, u.first_notice_at, u.removed_at,
       u.next_action_at, k.verdict, k.at AS checked_at
  FROM urls u JOIN creators c ON c.id = u.creator_id JOIN hosts h ON h.id = u.host_id
  LEFT JOIN LATERAL (SELECT verdict, at FROM checks WHERE creator_id = u.creator_id AND url_id = u.id ORDER BY at DESC LIMIT 1) k ON true
 WHERE c.org_id = $1 AND c.deleted_at IS NULL AND ($2::uuid IS NULL OR c.public_id = $2) AND ($3::uuid IS NULL OR u.batch_id = $3)
   AND ($4::smallint IS NULL OR u.state = $4) AND ($5::text IS NULL OR h.host = $5) AND ($6::uuid IS NULL OR u.id < $6)
 ORDER BY u.id DESC LIMIT $7;

-- name: has_creator
-- Whether the creator is the organization's.
SELECT true FROM creators WHERE org_id = $1 AND public_id = $2 AND deleted_at IS NULL;

-- name: has_batch
-- Whether the batch is the organization's.
SELECT true FROM batches WHERE org_id = $1 AND id = $2;

-- name: show_takedown
-- One URL of one of the organization's creators: the key begins with the creator.
SELECT u.creator_id, u.id, c.public_id, c.org_id, u.batch_id, u.url, h.host, u.state, u.stage, u.category, u.attempt,
       u.first_notice_at, u.removed_at, u.next_action_at, k.verdict, k.at AS checked_at
  FROM urls u JOIN creators c ON c.id = u.creator_id JOIN hosts h ON h.id = u.host_id
  LEFT JOIN LATERAL (SELECT verdict, at FROM checks WHERE creator_id = u.creator_id AND url_id = u.id ORDER BY at DESC LIMIT 1) k ON true
 WHERE u.id = $2 AND u.creator_id = ANY(ARRAY(SELECT id FROM creators WHERE org_id = $1 AND deleted_at IS NULL));

-- name: timeline
-- What happened to a URL.
SELECT at, from_state, to_state, reason FROM url_events WHERE creator_id = $1 AND url_id = $2 ORDER BY id DESC LIMIT 100;

-- name: notices_about
-- Notices about a URL.
SELECT n.* FROM notice_urls nu JOIN notices n ON n.id = nu.notice_id
 WHERE nu.creator_id = $1 AND nu.url_id = $2 ORDER BY n.planned_at DESC LIMIT 100;

-- name: looks
-- Looks at a URL.
SELECT at, verdict, http, final_url FROM checks WHERE creator_id = $1 AND url_id = $2 ORDER BY at DESC LIMIT 100;

-- name: count_states
-- URLs by state.
SELECT u.state, count(*) AS n FROM urls u JOIN creators c ON c.id = u.creator_id
 WHERE c.org_id = $1 AND c.deleted_at IS NULL AND ($2::uuid IS NULL OR c.public_id = $2) GROUP BY u.state;

-- name: removals
-- Removals of the last days: how many in 30, and how long they took in 90.
SELECT count(*) FILTER (WHERE u.removed_at > $3::timestamptz - interval '30 days') AS recent,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM u.removed_at - u.first_notice_at) / 3600)
         FILTER (WHERE u.first_notice_at IS NOT NULL) AS median_h
  FROM urls u JOIN creators c ON c.id = u.creator_id
 WHERE c.org_id = $1 AND c.deleted_at IS NULL AND ($2::uuid IS NULL OR c.public_id = $2)
   AND u.removed_at > $3::timestamptz - interval '90 days';

-- name: count_actions
-- What a person has to do.
SELECT count(*) FROM actions a JOIN creators c ON c.id = a.creator_id
 WHERE a.org_id = $1 AND a.closed_at IS NULL AND ($2::uuid IS NULL OR c.public_id = $2);

-- name: list_actions
-- A page of it, newest first.
SELECT a.*, c.public_id, h.host, n.to_addr,
       ARRAY(SELECT nu.url_id FROM notice_urls nu WHERE nu.notice_id = a.notice_id ORDER BY nu.url_id) AS takedown_ids
  FROM actions a JOIN creators c ON c.id = a.creator_id JOIN hosts h ON h.id = a.host_id LEFT JOIN notices n ON n.id = a.notice_id
 WHERE a.org_id = $1 AND a.closed_at IS NULL AND ($2::uuid IS NULL OR a.id < $2) ORDER BY a.id DESC LIMIT $3;

-- name: open_action_of
-- The notice of the open action that a URL belongs to.
SELECT a.notice_id FROM actions a JOIN notice_urls nu ON nu.notice_id = a.notice_id
 WHERE a.org_id = $1 AND a.closed_at IS NULL AND nu.creator_id = $2 AND nu.url_id = $3 ORDER BY a.id DESC LIMIT 1;

-- name: is_being_sent
-- Whether a notice about a URL is on its way at this moment.
SELECT EXISTS (SELECT FROM notice_urls nu JOIN notices n ON n.id = nu.notice_id
  WHERE nu.creator_id = $1 AND nu.url_id = $2 AND n.status = 'sending');

-- name: show_notice
-- One notice.
SELECT n.*, c.public_id, h.host FROM notices n JOIN creators c ON c.id = n.creator_id JOIN hosts h ON h.id = n.host_id
 WHERE n.org_id = $1 AND n.id = $2;

-- name: urls_in_notice
-- What it is about.
SELECT url_id FROM notice_urls WHERE notice_id = $1 ORDER BY url_id;

-- name: answers
-- What came back.
SELECT at, kind, raw FROM inbound WHERE notice_id = $1 ORDER BY at DESC LIMIT 50;

-- name: show_host
-- A host that some organization's URL was on.
SELECT h.* FROM hosts h WHERE h.host = $1;

-- name: count_open
-- Open actions of all organizations.
SELECT count(*) FROM actions WHERE closed_at IS NULL;

-- name: oldest_due
-- Seconds by which the oldest due step is late.
SELECT coalesce(extract(epoch FROM $1::timestamptz - min(next_action_at)), 0) FROM urls WHERE next_action_at IS NOT NULL AND state = ANY($2);
