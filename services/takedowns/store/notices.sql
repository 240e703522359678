-- name: add_notice
-- A notice that is planned, or rendered for a person.
INSERT INTO notices (id, org_id, creator_id, host_id, stage, category, channel, to_addr, template_v, language, msg_id, thread_root,
                     status, reason, subject, raw, sha256, planned_at, due_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, sha256($16), $17, $18);

-- name: add_notice_urls
-- What it is about.
INSERT INTO notice_urls (notice_id, creator_id, url_id) SELECT $1, c, i FROM unnest($2::bigint[], $3::uuid[]) AS s(c, i);

-- name: hold_notice
-- A notice and all it is made from, for nobody else until the transaction ends.
SELECT n.*, c.public_id, c.deleted_at,
       c.is_sandbox OR EXISTS (SELECT FROM notice_urls nu JOIN urls u ON u.creator_id = nu.creator_id AND u.id = nu.url_id
         JOIN batches b ON b.id = u.batch_id WHERE nu.notice_id = n.id AND b.is_sandbox) AS is_sandbox
  FROM notices n JOIN creators c ON c.id = n.creator_id WHERE n.id = $1 FOR UPDATE OF n;

-- name: urls_of_notice
-- Its URLs with the states they are in.
SELECT u.creator_id, u.id, u.url, u.state FROM notice_urls nu JOIN urls u ON u.creator_id = nu.creator_id AND u.id = nu.url_id
 WHERE nu.notice_id = $1 ORDER BY u.id;

-- name: update_notice
-- Where a notice stands. $13: this was a try.
UPDATE notices SET status = $2, reason = $3, due_at = $4, claimed_until = $5, raw = coalesce($6, raw), sha256 = coalesce(sha256($6), sha256),
       subject = coalesce($7, subject), sent_at = coalesce($8, sent_at), ticket = coalesce($9, ticket), last_code = coalesce($10, last_code),
       next_followup_at = $11, template_v = coalesce($12, template_v), tries = tries + $13::int
 WHERE id = $1;

-- name: drop_notice_urls
-- All but these.
DELETE FROM notice_urls WHERE notice_id = $1 AND url_id <> ALL($2::uuid[]);

-- name: claim_notices
-- Notices that are due, for nobody else until $2.
UPDATE notices SET claimed_until = $2
 WHERE id IN (SELECT id FROM notices WHERE due_at <= $1 AND (claimed_until IS NULL OR claimed_until < $1)
                 AND status IN ('planned', 'deferred') ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED)
RETURNING id;

-- name: lost_sendings
-- Whoever sent these is gone.
SELECT id FROM notices WHERE status = 'sending' AND claimed_until < $1 ORDER BY planned_at LIMIT $2;

-- name: thread_root
-- The first mail of the conversation with this contact about this creator.
SELECT coalesce(thread_root, msg_id) FROM notices
 WHERE creator_id = $1 AND host_id = $2 AND stage = $3 AND to_addr = $4 AND sent_at IS NOT NULL ORDER BY sent_at LIMIT 1;

-- name: last_planned
-- When the newest notice of a creator to a host left by itself, or will.
SELECT max(coalesce(sent_at, due_at)) FROM notices
 WHERE creator_id = $1 AND host_id = $2 AND channel IN ('email', 'api') AND status IN ('planned', 'sending', 'sent', 'deferred', 'acked');

-- name: bad_mailboxes
-- Addresses nobody is written to at.
SELECT address FROM contacts WHERE bad_at IS NOT NULL;

-- name: know_mailbox
-- What vouches for an address.
INSERT INTO contacts (address, source, verified_at) VALUES ($1, $2, $3)
ON CONFLICT (address) DO UPDATE SET source = excluded.source, verified_at = excluded.verified_at;

-- name: hold_mailbox
-- An address, for nobody else until the transaction ends.
SELECT * FROM contacts WHERE address = $1 FOR UPDATE;

-- name: claim_mailbox
-- A mail to it is under way.
UPDATE contacts SET claimed_until = $2 WHERE address = $1;

-- name: release_mailbox
-- A mail to it came to its end: sent ($2), or bounced for good ($3). Bad after as many hard bounces as $4.
UPDATE contacts SET claimed_until = NULL, last_sent_at = coalesce($2, last_sent_at),
       sent_in_hour = CASE WHEN $2::timestamptz IS NULL THEN sent_in_hour
                           WHEN sent_hour IS NULL OR sent_hour <= $2 - interval '1 hour' THEN 1 ELSE sent_in_hour + 1 END,
       sent_hour = CASE WHEN $2::timestamptz IS NULL THEN sent_hour
                        WHEN sent_hour IS NULL OR sent_hour <= $2 - interval '1 hour' THEN $2 ELSE sent_hour END,
       hard_bounces = CASE WHEN $3 THEN hard_bounces + 1 ELSE hard_bounces END,
       bad_at = CASE WHEN $3 AND hard_bounces + 1 >= $4 THEN coalesce(bad_at, $5) ELSE bad_at END
 WHERE address = $1 RETURNING bad_at IS NOT NULL AS is_bad;

-- name: mail_day
-- What a sending domain has sent today, and on how many days before; the row is held until the transaction ends.
WITH today AS (
  INSERT INTO mail_days AS d (domain, day) VALUES ($1, $2) ON CONFLICT (domain, day) DO UPDATE SET sent = d.sent RETURNING sent)
SELECT today.sent, (SELECT count(*) FROM mail_days b WHERE b.domain = $1 AND b.day < $2 AND b.sent > 0) AS days_before FROM today;

-- name: count_mail
-- One more today.
UPDATE mail_days SET sent = sent + 1 WHERE domain = $1 AND day = $2;

-- name: add_inbound
-- A mail that came in. The same one again has no second effect.
INSERT INTO inbound (id, notice_id, kind, raw, digest, at) VALUES ($1, $2, $3, $4, sha256($4), $5)
ON CONFLICT (digest) DO NOTHING RETURNING true;

-- name: add_action
-- Something for a person to do.
INSERT INTO actions (id, org_id, creator_id, notice_id, host_id, reason, form_url, text, opened_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: close_actions
-- It is done.
UPDATE actions SET closed_at = $2, closed_by = $3 WHERE notice_id = $1 AND closed_at IS NULL;
