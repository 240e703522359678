-- name: balance
-- Stored balances of the buckets active now, what is set aside, and the announcement they belong to.
SELECT o.version,
  coalesce((SELECT sum(amount - posted) FROM leases WHERE org_id = o.org_id AND state < 3), 0)::bigint AS leased,
  coalesce((SELECT jsonb_agg(jsonb_build_object('kind', kind, 'balance', credits - debits, 'ends_at', ends_at)
                             ORDER BY ends_at NULLS LAST, id)
            FROM accounts WHERE org_id = o.org_id AND closed_at IS NULL AND starts_at <= now()
              AND (ends_at IS NULL OR now() < ends_at)), '[]') AS buckets
FROM orgs o WHERE o.org_id = $1;

-- name: transactions
-- A page of the listing: one row per UTC day of calls (sealed hours plus the unsealed tail), one per other operation.
WITH head AS (SELECT coalesce(max(xid_to), 0) AS xid FROM seals),
days AS (
  SELECT day, sum(calls)::bigint AS calls, sum(credits)::bigint AS credits FROM (
    SELECT date_trunc('day', hour, 'UTC') AS day, calls, credits FROM usage_hours WHERE org_id = $1
    UNION ALL
    SELECT date_trunc('day', uuid_time(id), 'UTC'), CASE WHEN leg > 0 THEN 0 WHEN code = 10 THEN 1 ELSE -1 END,
      CASE code WHEN 10 THEN amount ELSE -amount END
    FROM transfers WHERE org_id = $1 AND code IN (10, 21) AND posted_xid >= (SELECT xid FROM head)) calls
  GROUP BY day HAVING sum(credits) > 0),
lines AS (
  SELECT NULL::uuid AS id, 10::smallint AS code, credits AS amount, calls, NULL AS memo, day AS at FROM days
  UNION ALL
  SELECT id, min(code), sum(amount)::bigint, 0, min(memo), uuid_time(id) FROM transfers
  WHERE org_id = $1 AND code <> 10 AND code IN (2, 11, 20) GROUP BY id),
page AS (SELECT * FROM lines ORDER BY at DESC, id DESC NULLS LAST LIMIT $3 OFFSET $2)
SELECT t.total, page.* FROM (SELECT count(*) AS total FROM lines) t LEFT JOIN page ON true
ORDER BY at DESC, id DESC NULLS LAST;

-- name: seal
-- Seal what is final.
SELECT seal();

-- name: ensure_partitions
-- Make the months ahead.
SELECT ensure_partitions($1);

-- name: newest_partition
-- The last month that has a place in the ledger, as YYYYMM.
SELECT right(max(c.relname), 6) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'transfers'::regclass;

-- name: take_snapshot
-- Balances at the newest seal, from those at the newest snapshot and the transfers sealed since.
WITH head AS (SELECT seal_no, xid_to FROM seals ORDER BY seal_no DESC LIMIT 1),
base AS (SELECT seal_no, xid_to FROM seals WHERE seal_no = (SELECT max(seal_no) FROM snapshots)),
moved AS (
  SELECT account_id, credits, debits FROM snapshots WHERE seal_no = (SELECT seal_no FROM base)
  UNION ALL
  SELECT credit_account, amount, 0 FROM transfers
  WHERE posted_xid >= coalesce((SELECT xid_to FROM base), 0) AND posted_xid < (SELECT xid_to FROM head)
  UNION ALL
  SELECT debit_account, 0, amount FROM transfers
  WHERE posted_xid >= coalesce((SELECT xid_to FROM base), 0) AND posted_xid < (SELECT xid_to FROM head))
INSERT INTO snapshots (account_id, seal_no, credits, debits)
SELECT m.account_id, (SELECT seal_no FROM head), sum(m.credits), sum(m.debits)
FROM moved m JOIN accounts a ON a.id = m.account_id
WHERE a.org_id IS NOT NULL AND a.closed_at IS NULL AND EXISTS (SELECT FROM head)
GROUP BY m.account_id ON CONFLICT DO NOTHING;

-- name: drift
-- R1: buckets whose stored sums are not those of their transfers; $1 = from the beginning, else from the newest snapshot.
WITH base AS (SELECT seal_no, xid_to, sealed_at FROM seals
              WHERE seal_no = (SELECT max(seal_no) FROM snapshots) AND NOT $1::boolean),
moved AS (
  SELECT account, sum(c) AS c, sum(d) AS d FROM (
    SELECT credit_account AS account, amount AS c, 0 AS d FROM transfers
    WHERE posted_xid >= coalesce((SELECT xid_to FROM base), 0)
    UNION ALL
    SELECT debit_account, 0, amount FROM transfers WHERE posted_xid >= coalesce((SELECT xid_to FROM base), 0)) rows
  WHERE account >= 1000 GROUP BY account),
sums AS (
  SELECT a.org_id, a.credits, a.debits, coalesce(s.credits, 0) + coalesce(m.c, 0) AS c,
    coalesce(s.debits, 0) + coalesce(m.d, 0) AS d
  FROM accounts a LEFT JOIN base b ON true
    LEFT JOIN snapshots s ON s.account_id = a.id AND s.seal_no = b.seal_no LEFT JOIN moved m ON m.account = a.id
  WHERE a.org_id IS NOT NULL
    AND (b.seal_no IS NULL OR s.account_id IS NOT NULL OR m.account IS NOT NULL OR a.created_at > b.sealed_at))
SELECT org_id, count(*) AS accounts, sum(abs(credits - c) + abs(debits - d))::bigint AS credits FROM sums
WHERE credits <> c OR debits <> d GROUP BY org_id;

-- name: negative_buckets
-- R2: what the CHECK constraints forbid.
SELECT count(*) FROM accounts WHERE org_id IS NOT NULL AND NOT (0 <= debits AND debits <= credits);

-- name: lease_mismatches
-- R3: leases opened since $1 whose `posted` is not the sum of their transfers, or that are final with something left.
WITH spent AS (SELECT lease_id, sum(amount) AS posted FROM transfers
               WHERE id >= uuid_floor($1::timestamptz - interval '5 min') AND code IN (10, 11) AND lease_id IS NOT NULL
               GROUP BY lease_id)
SELECT l.org_id, count(*) AS leases FROM leases l LEFT JOIN spent s ON s.lease_id = l.id
WHERE l.id >= uuid_floor($1) AND (l.posted <> coalesce(s.posted, 0) OR l.state = 3 AND l.amount <> l.posted)
GROUP BY l.org_id;

-- name: refund_violations
-- R4: debits of which more went back than was paid, by refunds or voids since $1.
SELECT count(*) FROM (
  SELECT r.refunds_id FROM transfers r
  WHERE r.refunds_id IN (SELECT refunds_id FROM transfers
                         WHERE refunds_id IS NOT NULL AND code <> 10 AND id >= uuid_floor($1))
  GROUP BY r.refunds_id
  HAVING sum(r.amount) > coalesce((SELECT sum(d.amount) FROM transfers d
                                   WHERE d.id = r.refunds_id AND d.code IN (10, 11)), 0)) beyond;

-- name: expire_violations
-- R4: buckets that expired before their end, since $1.
SELECT count(*) FROM transfers t JOIN accounts a ON a.id = t.debit_account
WHERE t.code = 30 AND t.code <> 10 AND t.id >= uuid_floor($1) AND (a.ends_at IS NULL OR t.posted_at < a.ends_at);

-- name: grant_violations
-- R4: subscriptions that were granted more plan credits in the current period than the largest allowance held in it.
SELECT count(*) FROM (
  SELECT s.org_id FROM subscriptions s
    JOIN transfers t ON t.org_id = s.org_id AND t.code = 1 AND t.code <> 10 AND t.id >= uuid_floor(s.period_start)
  GROUP BY s.org_id, s.allowance HAVING sum(t.amount) > s.allowance) beyond;

-- name: seal_mismatches
-- R5: seals $1 to $2 whose rows, counts or links do not recompute (org_id NULL: the chain over all organizations).
WITH s AS (SELECT *, lag(chain, 1, '\x') OVER w AS before, lag(xid_to, 1, 0::bigint) OVER w AS ended FROM seals
           WINDOW w AS (ORDER BY seal_no)),
o AS (SELECT *, lag(chain, 1, uuid_send(org_id)) OVER (PARTITION BY org_id ORDER BY seal_no) AS before FROM org_seals),
r AS (SELECT s.seal_no, t.org_id, t.n, t.total, t.digest FROM s CROSS JOIN LATERAL (
        SELECT org_id, count(*) AS n, sum(amount) AS total, sha256(string_agg(row_bytes(x), '' ORDER BY id, leg)) AS digest
        FROM transfers x WHERE posted_xid >= s.xid_from AND posted_xid < s.xid_to GROUP BY org_id) t
      WHERE s.seal_no BETWEEN $1 AND $2)
SELECT coalesce(r.org_id, o.org_id) AS org_id, coalesce(r.seal_no, o.seal_no) AS seal_no
FROM r FULL JOIN (SELECT * FROM o WHERE seal_no BETWEEN $1 AND $2) o ON o.seal_no = r.seal_no AND o.org_id = r.org_id
WHERE r.n IS DISTINCT FROM o.n OR r.total IS DISTINCT FROM o.total OR r.digest IS DISTINCT FROM o.digest
  OR o.chain IS DISTINCT FROM sha256(o.before || o.digest || int8send(o.n))
UNION ALL
SELECT NULL, s.seal_no FROM s
WHERE s.seal_no BETWEEN $1 AND $2 AND (s.prev <> s.before OR s.xid_from <> s.ended
  OR s.digest IS DISTINCT FROM (SELECT sha256(string_agg(uuid_send(org_id) || chain, '' ORDER BY org_id))
                                FROM org_seals WHERE seal_no = s.seal_no)
  OR s.n IS DISTINCT FROM (SELECT sum(n) FROM org_seals WHERE seal_no = s.seal_no)
  OR s.chain <> sha256(s.prev || s.digest || int8send(s.xid_from) || int8send(s.xid_to) || int8send(s.n)));

-- name: newest_seal
-- The newest seal, and how many rows all seals cover and how many came after them.
SELECT seal_no, encode(chain, 'hex') AS chain, sealed_at,
  (SELECT sum(n) FROM seals)::bigint AS sealed_rows,
  (SELECT count(*) FROM transfers WHERE posted_xid >= s.xid_to) AS unsealed_rows
FROM seals s ORDER BY seal_no DESC LIMIT 1;

-- name: chain_at
-- The chain of seal $1.
SELECT encode(chain, 'hex') FROM seals WHERE seal_no = $1;

-- name: seal_head
-- The newest seal, and how long the oldest transfer after it waits.
SELECT coalesce(max(seal_no), 0)::bigint AS seal_no,
  coalesce((SELECT extract(epoch FROM now() - min(posted_at)) FROM transfers
            WHERE posted_xid >= coalesce((SELECT max(xid_to) FROM seals), 0)), 0)::float8 AS lag_s
FROM seals;

-- name: lease_figures
-- R8: live leases by holder.
SELECT holder, count(*) AS leases, coalesce(sum(amount - posted) FILTER (WHERE state = 2), 0)::bigint AS stranded,
  greatest(0, extract(epoch FROM now() - min(opened_at)))::float8 AS oldest_s
FROM leases WHERE state < 3 GROUP BY holder;

-- name: post_errors
-- What was put aside and has not been posted since, and refunds whose debit is a day late.
SELECT count(*) AS errors,
  count(*) FILTER (WHERE e.reason = 'refund_without_debit' AND e.at < now() - interval '24 hours') AS overdue
FROM post_errors e WHERE e.reason = 'exists_with_different_payload' OR NOT EXISTS (SELECT FROM transfers t WHERE t.id = e.id);

-- name: sums_by_code
-- Every organization's transfers by code, and buckets' net effect.
SELECT org_id, code, sum(amount)::bigint AS amount,
  sum(CASE WHEN credit_account >= 1000 THEN amount ELSE 0 END
      - CASE WHEN debit_account >= 1000 THEN amount ELSE 0 END)::bigint AS net
FROM transfers WHERE $1::uuid IS NULL OR org_id = $1 GROUP BY org_id, code;

-- name: sums_of_buckets
-- Every organization's buckets: what is active now, and all as stored; and its seals.
SELECT o.org_id,
  coalesce(sum(a.credits - a.debits), 0)::bigint AS stored,
  coalesce(sum(a.credits - a.debits) FILTER (WHERE a.closed_at IS NULL AND a.starts_at <= now()
    AND (a.ends_at IS NULL OR now() < a.ends_at)), 0)::bigint AS balance,
  (SELECT count(*) FROM org_seals s WHERE s.org_id = o.org_id) AS seals
FROM orgs o LEFT JOIN accounts a ON a.org_id = o.org_id
WHERE $1::uuid IS NULL OR o.org_id = $1 GROUP BY o.org_id ORDER BY o.org_id;

-- name: statement
-- The newest operations of an organization, legs summed, signed from its side.
SELECT id, min(code) AS code, uuid_time(id) AS at, min(route) AS route, min(memo) AS memo,
  sum(CASE WHEN credit_account >= 1000 THEN amount WHEN debit_account >= 1000 THEN -amount ELSE 0 END)::bigint AS amount
FROM transfers WHERE org_id = $1 GROUP BY id ORDER BY id DESC LIMIT $2;

-- name: live_lease_lines
-- Leases that are not final.
SELECT id, org_id, holder, ref, amount, posted, state, opened_at, not_after, final_after FROM leases
WHERE state < 3 AND ($1::uuid IS NULL OR org_id = $1) ORDER BY opened_at;
