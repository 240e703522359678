-- name: find_hosts
-- Hosts with what is known of them.
SELECT * FROM hosts WHERE id = ANY($1);

-- name: hosts_to_resolve
-- Hosts whose time to be looked at has come, and that nobody looks at.
SELECT id FROM hosts WHERE resolve_after <= $1 AND (claimed_until IS NULL OR claimed_until < $1) ORDER BY resolve_after LIMIT $2;

-- name: claim_host
-- A host to resolve, unless somebody does or its time has not come. $3: what was found before this time is out of date.
UPDATE hosts SET claimed_until = $4, first_tried_at = coalesce(first_tried_at, $2)
 WHERE id = $1 AND (claimed_until IS NULL OR claimed_until < $2) AND (resolve_after IS NULL OR resolve_after <= $2)
   AND (resolved_at IS NULL OR resolved_at < $3 OR resolve_after IS NOT NULL)
RETURNING *;

-- name: need_host
-- A host that is to be resolved, where no time is set for it.
UPDATE hosts SET resolve_after = $2 WHERE id = $1 AND resolve_after IS NULL;

-- name: settle_host
-- What a resolution found. Once that is somebody ($17: no time to look again), the next search begins anew.
UPDATE hosts SET directory_id = $2, method = $3, dmca_email = $4, form_url = $5, contact_source = $6, verified_at = $7,
       registrar_name = $8, registrar_iana = $9, registrar_email = $10, hoster_name = $11, hoster_email = $12, ips = $13, cdn = $14,
       compliance = coalesce($15, compliance), resolve_tries = CASE WHEN $17::timestamptz IS NULL THEN 1 ELSE resolve_tries + 1 END,
       first_tried_at = CASE WHEN $17::timestamptz IS NULL THEN NULL ELSE first_tried_at END, resolved_at = coalesce($16, resolved_at), resolve_after = $17,
       claimed_until = NULL
 WHERE id = $1;

-- name: postpone_host
-- A try that came to nothing.
UPDATE hosts SET resolve_tries = resolve_tries + 1, resolve_after = $2, claimed_until = NULL WHERE id = $1;

-- name: count_host
-- The record of a host.
UPDATE hosts SET sent = sent + $2, acked = acked + $3, removed = removed + $4 WHERE id = $1;

-- name: all_entries
-- The directory.
SELECT * FROM directory ORDER BY id;

-- name: put_shipped
-- A shipped row, unless an operator made it his.
INSERT INTO directory (id, source, name, match, kind, takedown_method, dmca_email, form_url, api, ncii_form_url, requires,
  max_urls_per_notice, same_hostname_only, attachments_ok, language, ack_sla_h, escalate_after_h, compliance, removed_markers,
  live_markers, source_url, confidence, notes)
VALUES ($1, 'shipped', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, match = excluded.match, kind = excluded.kind,
  takedown_method = excluded.takedown_method, dmca_email = excluded.dmca_email, form_url = excluded.form_url, api = excluded.api,
  ncii_form_url = excluded.ncii_form_url, requires = excluded.requires, max_urls_per_notice = excluded.max_urls_per_notice,
  same_hostname_only = excluded.same_hostname_only, attachments_ok = excluded.attachments_ok, language = excluded.language,
  ack_sla_h = excluded.ack_sla_h, escalate_after_h = excluded.escalate_after_h, compliance = excluded.compliance,
  source_url = excluded.source_url, confidence = excluded.confidence, notes = excluded.notes, updated_at = now()
WHERE directory.source = 'shipped' AND directory.verified_at IS NULL;

-- name: learn_form
-- A reply said so; an operator or a verified entry beats it, and what a person made of this row is his.
INSERT INTO directory (id, source, name, match, kind, takedown_method, form_url, confidence, notes, updated_at)
VALUES ($1, 'learned', $2, ARRAY[$2], 'forum', 'form', $3, 'low', 'A reply to a notice named this form.', $4)
ON CONFLICT (id) DO UPDATE SET form_url = excluded.form_url, updated_at = excluded.updated_at
WHERE directory.source = 'learned' AND directory.verified_at IS NULL;
