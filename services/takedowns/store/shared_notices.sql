-- name: wants
-- Whether an organization chose to share.
SELECT lumen FROM org_settings WHERE org_id = $1;

-- name: choose
-- Its choice, and whose it was.
INSERT INTO org_settings (org_id, lumen, changed_at, changed_by) VALUES ($1, $2, $3, $4)
ON CONFLICT (org_id) DO UPDATE SET lumen = excluded.lumen, changed_at = excluded.changed_at, changed_by = excluded.changed_by;

-- name: share_if_wanted
-- A copy of a copyright notice that left, if its organization wants that now.
INSERT INTO lumen_copies (notice_id, status, due_at)
SELECT n.id, 'planned', $2 FROM notices n JOIN org_settings s ON s.org_id = n.org_id
 WHERE n.id = $1 AND s.lumen AND n.category = 0
ON CONFLICT (notice_id) DO NOTHING;

-- name: withdraw_unwanted
-- What its organization does not want published any more.
UPDATE lumen_copies l SET status = 'withdrawn', due_at = NULL FROM notices n
 WHERE l.due_at <= $1 AND n.id = l.notice_id AND NOT EXISTS (SELECT FROM org_settings s WHERE s.org_id = n.org_id AND s.lumen);

-- name: claim_copy
-- One that is due. From here on it may have left.
UPDATE lumen_copies SET status = 'sending', claimed_until = $2, tries = tries + 1, due_at = NULL
 WHERE notice_id = (SELECT notice_id FROM lumen_copies WHERE due_at <= $1 AND status IN ('planned', 'deferred')
                     ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING notice_id, tries;

-- name: show_sent
-- What the public may know of a notice. URLs that were withheld since are not told.
SELECT n.id, h.host, n.language, n.sent_at, c.stage_name, l.platforms, l.handles,
       ARRAY(SELECT u.url FROM notice_urls nu JOIN urls u ON u.creator_id = nu.creator_id AND u.id = nu.url_id
              WHERE nu.notice_id = n.id AND u.state <> 14 ORDER BY u.id) AS urls
  FROM notices n JOIN hosts h ON h.id = n.host_id JOIN creators c ON c.id = n.creator_id
  LEFT JOIN LATERAL (SELECT array_agg(platform ORDER BY pos) AS platforms, array_agg(handle ORDER BY pos) AS handles
                       FROM creator_links WHERE creator_id = c.id) l ON true
 WHERE n.id = $1;

-- name: settle_copy
-- What became of it.
UPDATE lumen_copies SET status = $2::text, due_at = $3, claimed_until = NULL, lumen_id = nullif($4, ''),
                        sent_at = CASE WHEN $2::text = 'sent' THEN $5::timestamptz END
 WHERE notice_id = $1;

-- name: give_up_lost
-- Their sender vanished: whether they left is not known.
UPDATE lumen_copies SET status = 'uncertain', claimed_until = NULL WHERE status = 'sending' AND claimed_until < $1 RETURNING notice_id;
