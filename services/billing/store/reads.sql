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
