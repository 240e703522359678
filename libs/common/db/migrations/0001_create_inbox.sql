-- The inbox: which message had its effect at which consumer. Daily partitions over the UUIDv7 itself (it sorts by time), so
-- one id has one row; 14 days are kept because dead letters are replayed days later; days are created 3 ahead.
-- `{service}` is replaced by the service's name. Runs as {service}_owner with the service's schema as search_path.

GRANT USAGE ON SCHEMA {service} TO {service}_app, {service}_read;

CREATE TABLE inbox (
  consumer   text NOT NULL,
  message_id uuid NOT NULL,
  PRIMARY KEY (message_id, consumer)
) PARTITION BY RANGE (message_id);

GRANT SELECT, INSERT ON inbox TO {service}_app;

-- The smallest UUIDv7 of a UTC day.
CREATE FUNCTION inbox_day_floor(day date) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT (lpad(to_hex((extract(epoch FROM day) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- Creates what is missing up to 3 days ahead and drops what is over 14 days old. Safe at any time, from any process:
-- whoever finds another at it leaves. Attaching does not lock the parent against inserts; dropping does, for a moment, hence
-- lock_timeout: a refused drop is tried again by the next call.
CREATE FUNCTION inbox_keep_partitions() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = {service}, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
  today  date := (now() AT TIME ZONE 'UTC')::date;
  newest date;
  day    date;
  old    text;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtext('{service}.inbox_keep_partitions')) THEN RETURN; END IF;
  -- Names are read as dates only once they are known to be ours: a plan may look at every table of the database first.
  SELECT to_date(right(max(relname::text), 8), 'YYYYMMDD') INTO newest
    FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = 'inbox'::regclass;
  -- From where the last run ended, so that a service that was away for days still accepts what queued up meanwhile.
  FOR day IN SELECT d FROM generate_series(
      greatest(today - 14, coalesce(newest + 1, today - 1))::timestamp, (today + 3)::timestamp, interval '1 day') AS d LOOP
    EXECUTE format('CREATE TABLE inbox_%s (LIKE inbox INCLUDING ALL)', to_char(day, 'YYYYMMDD'));
    EXECUTE format('ALTER TABLE inbox ATTACH PARTITION inbox_%s FOR VALUES FROM (%L) TO (%L)',
      to_char(day, 'YYYYMMDD'), inbox_day_floor(day), inbox_day_floor(day + 1));
  END LOOP;
  FOR old IN SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
      WHERE inhparent = 'inbox'::regclass AND relname::text < 'inbox_' || to_char(today - 14, 'YYYYMMDD') LOOP
    EXECUTE format('DROP TABLE %I', old);
  END LOOP;
END $$;

REVOKE ALL ON FUNCTION inbox_keep_partitions() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION inbox_keep_partitions() TO {service}_app;

SELECT inbox_keep_partitions();
