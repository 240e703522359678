-- name: ledger
-- A page of operations, legs summed, signed from the organization's side; what nobody paid moved nothing and is left out.
SELECT id, id AS place, min(code) AS code, uuid_time(id) AS at, 1::bigint AS calls, min(route) AS route, min(memo) AS memo,
  (array_agg(key_id))[1] AS key_id, (array_agg(model_id))[1] AS model_id,
  sum(CASE WHEN credit_account >= 1000 THEN amount ELSE -amount END)::bigint AS amount
FROM transfers WHERE org_id = $1 AND id >= $2 AND id < $3 AND code = ANY($4::smallint[])
GROUP BY id ORDER BY id DESC LIMIT $5;

-- name: ledger_folded
-- The same with calls, less their voids, folded by hour or day ($6): sealed hours plus the unsealed tail. A folded line stands
-- at the smallest id of its hour or day. $7 = whether calls are asked for.
WITH head AS (SELECT coalesce(max(xid_to), 0) AS xid FROM seals),
folds AS (
  SELECT uuid_floor(start) AS place, start, sum(calls)::bigint AS calls, -sum(credits)::bigint AS amount FROM (
    SELECT date_trunc($6, hour, 'UTC') AS start, calls, credits FROM usage_hours
    WHERE org_id = $1 AND hour >= uuid_time($2) AND hour < uuid_time($3) + interval '1 day'
    UNION ALL
    SELECT date_trunc($6, uuid_time(id), 'UTC'), CASE WHEN leg > 0 THEN 0 WHEN code = 10 THEN 1 ELSE -1 END,
      CASE code WHEN 10 THEN amount ELSE -amount END
    FROM transfers WHERE org_id = $1 AND id >= $2 AND id < uuid_floor(uuid_time($3) + interval '1 day')
      AND code IN (10, 21) AND posted_xid >= (SELECT xid FROM head)) calls
  WHERE $7 GROUP BY start HAVING sum(calls) <> 0 OR sum(credits) <> 0),
lines AS (
  SELECT NULL::uuid AS id, place, 10::smallint AS code, start AS at, calls, NULL AS route, NULL AS memo,
    NULL::uuid AS key_id, NULL::uuid AS model_id, amount
  FROM folds WHERE place >= $2 AND place < $3
  UNION ALL
  (SELECT id, id, min(code), uuid_time(id), 0, min(route), min(memo), (array_agg(key_id))[1], (array_agg(model_id))[1],
    sum(CASE WHEN credit_account >= 1000 THEN amount ELSE -amount END)::bigint
  FROM transfers WHERE org_id = $1 AND id >= $2 AND id < $3 AND code <> 10 AND code = ANY($4::smallint[])
  GROUP BY id ORDER BY id DESC LIMIT $5))
SELECT * FROM lines ORDER BY place DESC LIMIT $5;

-- name: usage
-- Calls less voids in whole hours [$2, $3) by what was asked for: sealed hours plus the unsealed tail; totals beside.
WITH head AS (SELECT coalesce(max(xid_to), 0) AS xid FROM seals),
calls AS (
  SELECT hour AS at, key_id, route, model_id, calls, credits FROM usage_hours
  WHERE org_id = $1 AND hour >= $2 AND hour < $3
  UNION ALL
  SELECT uuid_time(id), key_id, route, model_id, CASE WHEN leg > 0 THEN 0 WHEN code = 10 THEN 1 ELSE -1 END,
    CASE code WHEN 10 THEN amount ELSE -amount END
  FROM transfers WHERE org_id = $1 AND id >= uuid_floor($2) AND id < uuid_floor($3)
    AND code IN (10, 21) AND posted_xid >= (SELECT xid FROM head)),
lines AS (
  SELECT CASE WHEN $4 THEN date_trunc($5, at, 'UTC') END AS at, CASE WHEN $6 THEN key_id END AS key_id,
    CASE WHEN $7 THEN route END AS route,
    CASE WHEN $8 THEN nullif(model_id, '00000000-0000-0000-0000-000000000000') END AS model_id,
    sum(calls)::bigint AS calls, sum(credits)::bigint AS credits
  FROM calls GROUP BY 1, 2, 3, 4 HAVING sum(calls) <> 0 OR sum(credits) <> 0)
SELECT *, (sum(calls) OVER ())::bigint AS calls_total, (sum(credits) OVER ())::bigint AS credits_total FROM lines
ORDER BY at DESC NULLS LAST, credits DESC, key_id, route, model_id LIMIT $9;

-- name: export_bounds
-- The seals of the first and the last transfer, among those sealed by now, with an id in [$2, $3). $1 org
WITH mine AS (SELECT min(posted_xid) AS first, max(posted_xid) AS last FROM transfers
  WHERE org_id = $1 AND id >= $2 AND id < $3 AND posted_xid < (SELECT coalesce(max(xid_to), 0) FROM seals))
SELECT (SELECT seal_no FROM seals WHERE xid_from <= first AND first < xid_to) AS first,
  (SELECT seal_no FROM seals WHERE xid_from <= last AND last < xid_to) AS last
FROM mine;

-- name: export_seals
-- An organization's seals from number $2 to $3, at most $4, with what each follows.
SELECT o.seal_no, o.n, o.total::bigint AS total, o.digest, o.chain, s.xid_from, s.xid_to, s.sealed_at,
  coalesce((SELECT p.chain FROM org_seals p WHERE p.org_id = $1 AND p.seal_no < o.seal_no
            ORDER BY p.seal_no DESC LIMIT 1), uuid_send($1)) AS previous
FROM org_seals o JOIN seals s ON s.seal_no = o.seal_no
WHERE o.org_id = $1 AND o.seal_no BETWEEN $2 AND $3 ORDER BY o.seal_no LIMIT $4;

-- name: export_rows
-- An organization's transfers behind ($5, $6) of the first of the seals $2 that cover transactions [$3, $4) each, at most $7.
WITH wanted AS (SELECT * FROM unnest($2::bigint[], $3::bigint[], $4::bigint[]) AS w(seal_no, xid_from, xid_to))
SELECT w.seal_no, t.id, t.leg, t.code, t.amount, t.debit_account, t.credit_account, t.refunds_id, t.lease_id, t.key_id,
  t.model_id, t.route, t.memo, t.posted_at
FROM transfers t JOIN wanted w ON t.posted_xid >= w.xid_from AND t.posted_xid < w.xid_to
WHERE t.org_id = $1 AND t.posted_xid >= ($3::bigint[])[1] AND t.posted_xid < ($4::bigint[])[cardinality($4::bigint[])]
  AND (w.seal_no > ($2::bigint[])[1] OR (t.id, t.leg) > ($5::uuid, $6::smallint))
ORDER BY w.seal_no, t.id, t.leg LIMIT $7;
