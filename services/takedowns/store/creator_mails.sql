-- name: untold_creators
-- Creators that live, of whom something happened before $1 that nobody was told, and whom no mail was about since $2.
SELECT c.id, c.org_id, c.stage_name, coalesce(c.notification_email, c.email) AS address
  FROM creators c
 WHERE c.deleted_at IS NULL
   AND c.id IN (SELECT a.creator_id FROM actions a WHERE a.told_at IS NULL AND a.opened_at <= $1
                UNION
                SELECT n.creator_id FROM inbound i JOIN notices n ON n.id = i.notice_id
                 WHERE i.told_at IS NULL AND i.notice_id IS NOT NULL AND i.kind = ANY($3) AND i.at <= $1)
   AND NOT EXISTS (SELECT FROM creator_mails m WHERE m.creator_id = c.id AND m.made_at > $2)
 ORDER BY c.id LIMIT $4;

-- name: tell_actions
-- Everything that a person has to do for this creator and that was not told yet; whether it is a sandbox's.
UPDATE actions a SET told_at = $2 FROM hosts h
 WHERE a.creator_id = $1 AND a.told_at IS NULL AND h.id = a.host_id
RETURNING a.reason AS kind, h.host, a.notice_id,
          EXISTS (SELECT FROM creators c WHERE c.id = a.creator_id AND c.is_sandbox)
          OR EXISTS (SELECT FROM notice_urls nu JOIN urls u ON u.creator_id = nu.creator_id AND u.id = nu.url_id
                       JOIN batches b ON b.id = u.batch_id WHERE nu.notice_id = a.notice_id AND b.is_sandbox) AS is_sandbox;

-- name: tell_answers
-- Every answer of a host about this creator that was not told yet. Nothing leaves for a sandbox, so none of these is one's.
UPDATE inbound i SET told_at = $2 FROM notices n JOIN hosts h ON h.id = n.host_id
 WHERE n.creator_id = $1 AND i.notice_id = n.id AND i.told_at IS NULL AND i.kind = ANY($3)
RETURNING i.kind, h.host, i.notice_id, false AS is_sandbox;

-- name: add_creator_mail
-- A mail that is planned, or only rendered.
INSERT INTO creator_mails (id, org_id, creator_id, to_addr, status, raw, made_at, due_at)
VALUES ($1, $2, $3, $4, $5::text, $6, $7::timestamptz, CASE WHEN $5::text = 'planned' THEN $7::timestamptz END);

-- name: claim_creator_mail
-- One that is due. From here on it may have left.
UPDATE creator_mails SET status = 'sending', claimed_until = $2, tries = tries + 1, due_at = NULL
 WHERE id = (SELECT m.id FROM creator_mails m JOIN creators c ON c.id = m.creator_id
              WHERE m.due_at <= $1 AND m.status IN ('planned', 'deferred') AND m.raw IS NOT NULL AND c.deleted_at IS NULL
              ORDER BY m.due_at LIMIT 1 FOR UPDATE OF m SKIP LOCKED)
RETURNING id, to_addr, raw, tries;

-- name: settle_creator_mail
-- What became of it.
UPDATE creator_mails SET status = $2::text, due_at = $3, last_code = coalesce($4, last_code), claimed_until = NULL,
                         sent_at = CASE WHEN $2::text = 'sent' THEN $5::timestamptz END
 WHERE id = $1;

-- name: give_up_lost_creator_mails
-- Their sender vanished: whether they left is not known.
UPDATE creator_mails SET status = 'uncertain', claimed_until = NULL WHERE status = 'sending' AND claimed_until < $1;
