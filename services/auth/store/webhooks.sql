-- Statements on endpoints of webhooks, their secrets, and announcements.

-- name: list_endpoints
-- An organization's endpoints, newest first. $1 org  $2 now
SELECT e.webhook_id, e.org_id, e.app_id, e.url, e.event_types, e.description, e.state, e.reason, e.failing_since,
       e.created_at, e.updated_at,
       (SELECT s.created_at FROM webhook_secrets s
         WHERE s.webhook_id = e.webhook_id AND s.ends_at IS NULL AND s.created_at > e.created_at) AS secret_rotated_at,
       (SELECT max(s.ends_at) FROM webhook_secrets s WHERE s.webhook_id = e.webhook_id AND s.ends_at > $2) AS old_secret_until
  FROM webhook_endpoints e
 WHERE e.org_id = $1 AND e.state <> 'deleted' ORDER BY e.webhook_id DESC

-- name: get_endpoint
-- An endpoint, deleted or not. $1 org  $2 now  $3 endpoint
SELECT e.webhook_id, e.org_id, e.app_id, e.url, e.event_types, e.description, e.state, e.reason, e.failing_since,
       e.created_at, e.updated_at,
       (SELECT s.created_at FROM webhook_secrets s
         WHERE s.webhook_id = e.webhook_id AND s.ends_at IS NULL AND s.created_at > e.created_at) AS secret_rotated_at,
       (SELECT max(s.ends_at) FROM webhook_secrets s WHERE s.webhook_id = e.webhook_id AND s.ends_at > $2) AS old_secret_until
  FROM webhook_endpoints e
 WHERE e.org_id = $1 AND e.webhook_id = $3

-- name: lock_endpoint
-- Hold an endpoint; always before its lines, so that nobody waits in a circle. $1 org  $2 endpoint
SELECT webhook_id, state FROM webhook_endpoints WHERE org_id = $1 AND webhook_id = $2 FOR NO KEY UPDATE

-- name: count_endpoints
-- Endpoints that were not deleted. $1 org
SELECT count(*) FROM webhook_endpoints WHERE org_id = $1 AND state <> 'deleted'

-- name: find_app
-- Whether an app is there. $1 org  $2 app
SELECT app_id FROM apps WHERE org_id = $1 AND app_id = $2 AND state <> 'deleted'

-- name: list_app_domains
-- The proved domains of an app. $1 org  $2 app
SELECT domain FROM app_domains WHERE org_id = $1 AND app_id = $2 AND verified_at IS NOT NULL

-- name: add_endpoint
-- A new endpoint. $1 endpoint  $2 org  $3 app  $4 URL  $5 types  $6 description  $7 now
INSERT INTO webhook_endpoints (webhook_id, org_id, app_id, url, event_types, description, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $7)

-- name: update_endpoint
-- What may change about an endpoint. $1 org  $2 endpoint  $3 URL  $4 types  $5 description  $6 state  $7 reason
-- $8 failing since  $9 now
UPDATE webhook_endpoints
   SET url = $3, event_types = $4, description = $5, state = $6, reason = $7, failing_since = $8, updated_at = $9
 WHERE org_id = $1 AND webhook_id = $2

-- name: add_secret
-- A secret that signs until another takes its place. $1 secret  $2 endpoint  $3 org  $4 sealed  $5 now
INSERT INTO webhook_secrets (secret_id, webhook_id, org_id, sealed, created_at) VALUES ($1, $2, $3, $4, $5)

-- name: end_secrets
-- The newest secret goes on for a while; those before it are gone. $1 endpoint  $2 until
WITH older AS (DELETE FROM webhook_secrets WHERE webhook_id = $1 AND ends_at IS NOT NULL)
UPDATE webhook_secrets SET ends_at = $2 WHERE webhook_id = $1 AND ends_at IS NULL

-- name: drop_secrets
-- Nothing is signed any more. $1 endpoint
DELETE FROM webhook_secrets WHERE webhook_id = $1

-- name: live_secrets
-- What signs for some endpoints, the newest first. $1 endpoints  $2 now
SELECT secret_id, webhook_id, org_id, sealed FROM webhook_secrets
 WHERE webhook_id = ANY($1::uuid[]) AND (ends_at IS NULL OR ends_at > $2)
 ORDER BY webhook_id, created_at DESC, secret_id DESC

-- name: sealed_secrets
-- A portion of all secrets, for rewrapping. $1 after  $2 limit
SELECT secret_id, org_id, sealed FROM webhook_secrets WHERE secret_id > $1 ORDER BY secret_id LIMIT $2 FOR UPDATE

-- name: rewrap_secret
-- The same secret, its data key under another key. $1 secret  $2 sealed
UPDATE webhook_secrets SET sealed = $2 WHERE secret_id = $1

-- name: add_announcement
-- What the operator says to everybody. $1 id  $2 now  $3 subject  $4 title  $5 text  $6 effective  $7 URL
INSERT INTO announcements (announcement_id, made_at, subject, title, body, effective_at, url)
VALUES ($1, $2, $3, $4, $5, $6, $7)

-- name: page_announcements
-- Newest first. $1 limit  $2 before (or null)
SELECT announcement_id, made_at, subject, title, body AS text, effective_at, url FROM announcements
 WHERE $2::uuid IS NULL OR announcement_id < $2 ORDER BY announcement_id DESC LIMIT $1
