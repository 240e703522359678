-- The life of a subscription: what happens at the period's end, when it happens, and what its period may grant; and usage by
-- model beside key and route.

ALTER TABLE billing.subscriptions
  ADD COLUMN cancels boolean NOT NULL DEFAULT false,       -- ends at period_end instead of renewing
  ADD COLUMN past_due_since timestamptz,                   -- the start of the grace
  ADD COLUMN allowance bigint NOT NULL DEFAULT 0,          -- the largest monthly allowance held in this period
  ADD COLUMN due_at timestamptz;                           -- the durable timer: when time alone changes something next
UPDATE billing.subscriptions s SET allowance = p.monthly_credits,
  due_at = CASE WHEN s.status = 'active' THEN s.period_end END
FROM billing.plans p WHERE p.code = s.plan;
CREATE INDEX subscriptions_due ON billing.subscriptions(due_at) WHERE due_at IS NOT NULL;

-- What has ended and is still to be closed. Balances are in no index, so their updates stay HOT.
CREATE INDEX accounts_to_close ON billing.accounts(ends_at) WHERE closed_at IS NULL AND ends_at IS NOT NULL;

-- Usage by model too. Rows from before know none: the zero id.
ALTER TABLE billing.usage_hours ADD COLUMN model_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000';
ALTER TABLE billing.usage_hours DROP CONSTRAINT usage_hours_pkey;
ALTER TABLE billing.usage_hours ADD PRIMARY KEY (org_id, hour, key_id, route, model_id);

-- As in 0001, with the model in usage_hours.
CREATE OR REPLACE FUNCTION billing.seal() RETURNS bigint LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE lo bigint := 0; hi bigint; p bytea := '\x'; k bigint := 0; c bigint; s numeric; d bytea; BEGIN
  PERFORM pg_advisory_xact_lock(7311);
  SELECT seal_no, xid_to, chain INTO k, lo, p FROM billing.seals ORDER BY seal_no DESC LIMIT 1;
  k := coalesce(k,0)+1; lo := coalesce(lo,0); p := coalesce(p,'\x');
  hi := pg_snapshot_xmin(pg_current_snapshot())::text::bigint;  -- every transaction below is over: nothing can appear there later
  IF hi <= lo THEN RETURN 0; END IF;
  INSERT INTO billing.org_seals(org_id, seal_no, n, total, digest, chain)
    SELECT o.org_id, k, o.n, o.s, o.d,
      sha256(coalesce((SELECT x.chain FROM billing.org_seals x WHERE x.org_id = o.org_id
                       ORDER BY x.seal_no DESC LIMIT 1), uuid_send(o.org_id))||o.d||int8send(o.n))
    FROM (SELECT t.org_id, count(*) n, sum(t.amount) s,
            sha256(string_agg(billing.row_bytes(t), '' ORDER BY t.id, t.leg)) d
          FROM billing.transfers t WHERE t.posted_xid >= lo AND t.posted_xid < hi GROUP BY t.org_id) o;
  SELECT coalesce(sum(n),0), sum(total), sha256(string_agg(uuid_send(org_id)||chain, '' ORDER BY org_id))
    INTO c, s, d FROM billing.org_seals WHERE seal_no = k;
  IF c = 0 THEN RETURN 0; END IF;
  INSERT INTO billing.usage_hours AS u (org_id, hour, key_id, route, model_id, calls, credits)
    SELECT org_id, date_trunc('hour', billing.uuid_time(id), 'UTC'), key_id, route,
      coalesce(model_id, '00000000-0000-0000-0000-000000000000'),
      sum(CASE WHEN leg > 0 THEN 0 WHEN code = 10 THEN 1 ELSE -1 END),
      sum(CASE code WHEN 10 THEN amount ELSE -amount END)
    FROM billing.transfers WHERE posted_xid >= lo AND posted_xid < hi AND code IN (10,21) GROUP BY 1,2,3,4,5
    ON CONFLICT (org_id, hour, key_id, route, model_id)
      DO UPDATE SET calls = u.calls + excluded.calls, credits = u.credits + excluded.credits;
  INSERT INTO billing.seals(seal_no, cluster, xid_from, xid_to, n, total, digest, prev, chain)
    VALUES (k, (SELECT system_identifier FROM pg_control_system()), lo, hi, c, s, d, p,
            sha256(p||d||int8send(lo)||int8send(hi)||int8send(c)));
  RETURN c; END $$;
