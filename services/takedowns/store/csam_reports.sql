-- name: add_report
-- A report that waits. The same message again is the same report.
INSERT INTO csam_reports (id, org_id, key_id, urls, url_count, reported_at) VALUES ($1, $2, $3, $4, cardinality($4::text[]), $5)
ON CONFLICT (id) DO NOTHING;

-- name: known_urls
-- Takedowns of these URLs, whoever of the organization's creators they are for, with the state they are in.
SELECT u.creator_id, u.id, c.public_id FROM creators c CROSS JOIN unnest($2::bytea[]) AS s(k)
 CROSS JOIN LATERAL (SELECT creator_id, id FROM urls WHERE creator_id = c.id AND url_key = s.k AND state <> 14 OFFSET 0) u
 WHERE c.org_id = $1;

-- name: withhold_urls
-- The text of these goes; that they were paid for, and what for, stays.
UPDATE urls SET url = 'withheld', next_action_at = NULL WHERE creator_id = $1 AND id = ANY($2);

-- name: open_reports
-- What waits for a person, oldest first. Without the URLs.
SELECT id, org_id, url_count, reported_at FROM csam_reports WHERE closed_at IS NULL ORDER BY reported_at LIMIT $1;

-- name: show_report
-- One, with its URLs while it waits.
SELECT id, org_id, urls, url_count, reported_at, closed_at, authority, reference FROM csam_reports WHERE id = $1;

-- name: close_report
-- The authorities were told: the URLs go.
UPDATE csam_reports SET urls = NULL, closed_at = $2, closed_by = $3, authority = $4, reference = $5
 WHERE id = $1 AND closed_at IS NULL RETURNING true;

-- name: count_open
-- How many wait.
SELECT count(*) FROM csam_reports WHERE closed_at IS NULL;
