-- name: lock_orgs
-- The lock of an organization's money; in order of ids, so that two batches cannot wait for each other.
SELECT org_id, frozen, slab, version FROM orgs WHERE org_id = ANY($1::uuid[]) ORDER BY org_id FOR NO KEY UPDATE;

-- name: add_org
-- Make the organization's row if there is none.
INSERT INTO orgs (org_id) VALUES ($1) ON CONFLICT DO NOTHING;

-- name: set_slab
-- The size of the next slab.
UPDATE orgs SET slab = $2 WHERE org_id = $1;

-- name: raise_versions
-- The number of the next announcement of each.
UPDATE orgs SET version = version + 1 WHERE org_id = ANY($1::uuid[]) RETURNING org_id, version;

-- name: open_buckets
-- All buckets of organizations that are not closed.
SELECT id, org_id, kind, starts_at, ends_at, credits, debits, closed_at FROM accounts
WHERE org_id = ANY($1::uuid[]) AND closed_at IS NULL;

-- name: buckets_by_id
-- Buckets, closed ones too.
SELECT id, org_id, kind, starts_at, ends_at, credits, debits, closed_at FROM accounts
WHERE id = ANY($1::bigint[]) AND org_id IS NOT NULL;

-- name: add_bucket
-- The bucket of an origin; nothing if it exists.
INSERT INTO accounts (org_id, kind, origin, starts_at, ends_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (org_id, kind, origin) DO NOTHING RETURNING id;

-- name: bucket_of_origin
-- The bucket of an origin that exists.
SELECT id FROM accounts WHERE org_id = $1 AND kind = $2 AND origin = $3;

-- name: end_buckets
-- Let buckets end earlier than they were to.
UPDATE accounts SET ends_at = $2 WHERE id = ANY($1::bigint[]) AND closed_at IS NULL;

-- name: close_buckets
-- Nothing is paid from these any more.
UPDATE accounts SET closed_at = $2 WHERE id = ANY($1::bigint[]) AND closed_at IS NULL;

-- name: live_leases
-- What is set aside of an organization's credits.
SELECT id, org_id, holder, ref, amount, posted, state, burn_at, not_after, final_after FROM leases
WHERE org_id = $1 AND state < 3;

-- name: leases_by_id
-- Leases in any state.
SELECT id, org_id, holder, ref, amount, posted, state, burn_at, not_after, final_after FROM leases
WHERE id = ANY($1::uuid[]);

-- name: add_lease
-- A new lease.
INSERT INTO leases (id, org_id, holder, ref, amount, state, burn_at, not_after) VALUES ($1, $2, $3, $4, $5, $6, $7, $8);

-- name: update_lease
-- Grow, shrink or close a lease; `posted` is the trigger's.
UPDATE leases SET amount = $2, state = $3, final_after = $4 WHERE id = $1;

-- name: finish_leases
-- Make leases final with what they have posted; a lease of another organization is left alone.
UPDATE leases l SET amount = l.posted, state = 3, closed_at = $4
FROM unnest($1::uuid[], $2::uuid[]) AS x(id, org_id)
WHERE l.id = x.id AND l.org_id = x.org_id AND l.state < 3 AND (l.state = 2 OR NOT $3);

-- name: leases_to_close
-- Open leases whose time is over.
SELECT id, org_id, holder, ref, amount, posted, state, burn_at, not_after, final_after FROM leases
WHERE state = 1 AND (holder = 1 AND not_after <= $1 OR holder = 2 AND opened_at <= $2) ORDER BY opened_at LIMIT $3;

-- name: leases_to_finish
-- Closing leases whose fence has passed.
SELECT id, org_id, holder, ref, amount, posted, state, burn_at, not_after, final_after FROM leases
WHERE state = 2 AND final_after <= $1 ORDER BY final_after LIMIT $2;

-- name: transfers_by_id
-- What the ledger knows of operations; the bounds let the server skip other months.
SELECT id, leg, code, amount, org_id, debit_account, credit_account, refunds_id, lease_id, key_id, model_id, route, memo
FROM transfers WHERE id = ANY($1::uuid[]) AND id >= $2 AND id <= $3 ORDER BY id, leg;

-- name: refunded
-- How much of a debit went back.
SELECT coalesce(sum(amount), 0)::bigint FROM transfers WHERE refunds_id = $1 AND code = 20;

-- name: granted
-- The plan credits of a period so far; `code <> 10` is what the small index covers.
SELECT coalesce(sum(amount), 0)::bigint FROM transfers
WHERE org_id = $1 AND id >= uuid_floor($2) AND code = 1 AND code <> 10;

-- name: append
-- Add transfers; a row whose id exists is left out, which the caller counts.
INSERT INTO transfers (id, leg, code, amount, org_id, debit_account, credit_account, refunds_id, lease_id, key_id, model_id,
                       route, memo)
SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::smallint[], $4::bigint[], $5::uuid[], $6::bigint[], $7::bigint[],
                     $8::uuid[], $9::uuid[], $10::uuid[], $11::uuid[], $12::text[], $13::text[])
ON CONFLICT DO NOTHING;

-- name: voided
-- Which calls were voided before their debit arrived.
SELECT id FROM voids WHERE id = ANY($1::uuid[]);

-- name: add_voids
-- Remember voided calls.
INSERT INTO voids (id, org_id) SELECT id, $1 FROM unnest($2::uuid[]) AS id ON CONFLICT DO NOTHING;

-- name: park
-- Put aside what cannot be posted.
INSERT INTO post_errors (id, reason, payload)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::bytea[]) ON CONFLICT DO NOTHING;

-- name: refunds_to_retry
-- Refunds that came before their debit and have had no other end since.
SELECT e.payload FROM post_errors e
WHERE e.reason = 'refund_without_debit' AND e.at >= $1
  AND NOT EXISTS (SELECT FROM transfers t WHERE t.id = e.id)
  AND NOT EXISTS (SELECT FROM post_errors o WHERE o.id = e.id AND o.reason <> e.reason)
ORDER BY e.at LIMIT $2;

-- name: oldest_partition
-- The first month that has a place in the ledger, as YYYYMM.
SELECT right(min(c.relname), 6) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'transfers'::regclass;

-- name: plan
-- One plan.
SELECT code, version, monthly_credits, rpm, rpd, is_open FROM plans WHERE code = $1;

-- name: set_plan
-- Make a plan, or change it: who already subscribes gets its credits at the next period and its limits at the next change.
INSERT INTO plans AS p (code, monthly_credits, rpm, rpd, is_open) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (code) DO UPDATE SET monthly_credits = excluded.monthly_credits, rpm = excluded.rpm, rpd = excluded.rpd,
  is_open = excluded.is_open, version = p.version + 1
RETURNING code, version, monthly_credits, rpm, rpd, is_open;

-- name: plans
-- All plans, the smallest first.
SELECT code, version, monthly_credits, rpm, rpd, is_open FROM plans ORDER BY monthly_credits, code;

-- name: subscriptions
-- The subscriptions of organizations, each with its plan.
SELECT s.org_id, s.status, s.period_start, s.period_end, s.anchor_day, s.next_plan, s.cancels, s.past_due_since, s.allowance,
  s.due_at, p.code, p.version, p.monthly_credits, p.rpm, p.rpd, p.is_open
FROM subscriptions s JOIN plans p ON p.code = s.plan WHERE s.org_id = ANY($1::uuid[]);

-- name: set_subscription
-- Write an organization's subscription.
INSERT INTO subscriptions (org_id, plan, plan_version, status, period_start, period_end, anchor_day, next_plan, cancels,
                           past_due_since, allowance, due_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (org_id) DO UPDATE SET plan = excluded.plan, plan_version = excluded.plan_version, status = excluded.status,
  period_start = excluded.period_start, period_end = excluded.period_end, anchor_day = excluded.anchor_day,
  next_plan = excluded.next_plan, cancels = excluded.cancels, past_due_since = excluded.past_due_since,
  allowance = excluded.allowance, due_at = excluded.due_at;

-- name: organizations_due
-- Whose subscription is changed by time alone, the longest due first.
SELECT org_id FROM subscriptions WHERE due_at <= $1 ORDER BY due_at, org_id LIMIT $2;

-- name: organizations_to_close
-- Who has buckets that are over and that no live lease burns from.
SELECT DISTINCT a.org_id FROM accounts a
WHERE a.closed_at IS NULL AND a.ends_at <= $1
  AND NOT EXISTS (SELECT FROM leases l WHERE l.org_id = a.org_id AND l.state < 3 AND l.burn_at <= a.ends_at)
LIMIT $2;

-- name: add_low_warnings
-- Note warnings as given; says which are new.
INSERT INTO low_warnings (org_id, period_start, percent) SELECT $1, $2, percent FROM unnest($3::smallint[]) AS percent
ON CONFLICT DO NOTHING RETURNING percent;
