-- Hosts and whom to write to, notices, what came back, removal checks, and what a person has to do.

-- Host directory: what is shipped, what an operator wrote, what replies taught. An entry with `verified_at` empty is a guess.
CREATE TABLE directory (
  id                  text PRIMARY KEY,
  source              text NOT NULL CHECK (source IN ('shipped', 'operator', 'learned')),
  name                text NOT NULL,
  match               text[] NOT NULL CHECK (cardinality(match) > 0),  -- hosts: exact, or a suffix with a dot in front
  kind                text NOT NULL CHECK (kind IN ('platform', 'tube', 'filehost', 'forum', 'messenger', 'cdn', 'registrar',
                        'hosting', 'search')),
  takedown_method     text NOT NULL CHECK (takedown_method IN ('email', 'form', 'api', 'none')),
  dmca_email          text,
  form_url            text,
  api                 text,
  ncii_form_url       text,
  requires            text[] NOT NULL DEFAULT '{}',
  max_urls_per_notice integer CHECK (max_urls_per_notice > 0),
  same_hostname_only  boolean NOT NULL DEFAULT false,
  attachments_ok      boolean NOT NULL DEFAULT false,
  language            text NOT NULL DEFAULT 'en',
  ack_sla_h           integer,
  escalate_after_h    integer,
  compliance          text NOT NULL DEFAULT 'ok' CHECK (compliance IN ('ok', 'slow', 'ignores', 'futile')),
  removed_markers     text[] NOT NULL DEFAULT '{}',
  live_markers        text[] NOT NULL DEFAULT '{}',
  source_url          text,
  confidence          text NOT NULL CHECK (confidence IN ('high', 'medium', 'low')),
  verified_at         timestamptz,
  verified_by         text,
  notes               text,
  updated_at          timestamptz NOT NULL DEFAULT now()
);

-- A host as it appears in URLs, with what is known of it. A row is made by the first URL of the host; `method` NULL: not resolved.
CREATE TABLE hosts (
  id               integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  host             text NOT NULL UNIQUE,         -- the key of `byHost`
  site             text NOT NULL,                -- its registrable domain, or its address
  directory_id     text REFERENCES directory,
  method           text CHECK (method IN ('email', 'form', 'api', 'none')),
  dmca_email       text,
  form_url         text,
  registrar_name   text,
  registrar_iana   integer,
  registrar_email  text,
  hoster_name      text,
  hoster_email     text,
  ips              inet[] NOT NULL DEFAULT '{}',
  cdn              text,
  contact_source   text CHECK (contact_source IN ('operator', 'shipped', 'learned', 'rdap', 'guess')),
  verified_at      timestamptz,
  resolve_tries    integer NOT NULL DEFAULT 0,
  first_tried_at   timestamptz,
  resolved_at      timestamptz,
  resolve_after    timestamptz,
  claimed_until    timestamptz,                  -- somebody is resolving it
  compliance       text NOT NULL DEFAULT 'ok' CHECK (compliance IN ('ok', 'slow', 'ignores', 'futile')),
  sent             bigint NOT NULL DEFAULT 0,
  acked            bigint NOT NULL DEFAULT 0,
  removed          bigint NOT NULL DEFAULT 0,
  median_removal_h real,
  created_at       timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);
CREATE INDEX hosts_to_resolve ON hosts (resolve_after) WHERE resolve_after IS NOT NULL;

-- A mailbox that notices go to: who vouched for it, how it behaves, how fast it may be written to.
CREATE TABLE contacts (
  address        text PRIMARY KEY,               -- lower case
  source         text NOT NULL CHECK (source IN ('operator', 'shipped', 'learned', 'rdap', 'guess')),
  verified_at    timestamptz,
  verified_by    text,
  hard_bounces   integer NOT NULL DEFAULT 0,
  bad_at         timestamptz,                    -- two hard bounces: nobody is written to here
  last_sent_at   timestamptz,
  sent_hour      timestamptz,
  sent_in_hour   integer NOT NULL DEFAULT 0,
  claimed_until  timestamptz                     -- one mail in flight
);

CREATE TABLE notices (
  id               uuid PRIMARY KEY,
  org_id           uuid NOT NULL,
  creator_id       bigint NOT NULL REFERENCES creators,
  host_id          integer NOT NULL REFERENCES hosts,
  stage            smallint NOT NULL,
  category         smallint NOT NULL DEFAULT 0,
  channel          text NOT NULL CHECK (channel IN ('email', 'form', 'api')),
  to_addr          text,
  template_v       integer NOT NULL,
  language         text NOT NULL DEFAULT 'en',
  msg_id           text UNIQUE,
  thread_root      text,
  status           text NOT NULL CHECK (status IN ('planned', 'rendered', 'sending', 'sent', 'deferred', 'bounced', 'review', 'acked',
                     'rejected', 'closed')),
  reason           text NOT NULL DEFAULT '',
  subject          text,
  raw              bytea,                        -- what was sent, or would be: the perjury record
  sha256           bytea,
  ticket           text,                         -- the host's own number, once it told one
  tries            smallint NOT NULL DEFAULT 0,
  last_code        integer,
  planned_at       timestamptz NOT NULL DEFAULT now(),
  sent_at          timestamptz,
  next_followup_at timestamptz,
  due_at           timestamptz,                  -- when it may be tried, again or for the first time
  claimed_until    timestamptz
) WITH (fillfactor = 80);
CREATE INDEX notices_due ON notices (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX notices_listed ON notices (org_id, id);
CREATE INDEX notices_of_creator ON notices (creator_id, host_id, stage, planned_at);
CREATE INDEX notices_sending ON notices (planned_at) WHERE status = 'sending';

CREATE TABLE notice_urls (
  notice_id  uuid NOT NULL REFERENCES notices,
  creator_id bigint NOT NULL,
  url_id     uuid NOT NULL,
  PRIMARY KEY (notice_id, url_id)
);
CREATE INDEX notice_urls_of ON notice_urls (creator_id, url_id);

-- Mail that came back: bounces, acknowledgements, counter-notices, and what nobody understood yet.
CREATE TABLE inbound (
  id          uuid PRIMARY KEY,
  notice_id   uuid REFERENCES notices,
  kind        text NOT NULL CHECK (kind IN ('bounce', 'ack', 'removed', 'need_info', 'use_form', 'counter_notice', 'other')),
  raw         bytea NOT NULL,
  digest      bytea NOT NULL UNIQUE,             -- SHA-256 of `raw`: one mail has one effect
  at          timestamptz NOT NULL DEFAULT now(),
  reviewed_at timestamptz,
  reviewed_by text
);
CREATE INDEX inbound_review ON inbound (at) WHERE reviewed_at IS NULL AND kind IN ('other', 'counter_notice', 'need_info');

-- What a person has to do for URLs in state `action_required`: the pre-filled text, and where it goes.
CREATE TABLE actions (
  id         uuid PRIMARY KEY,
  org_id     uuid NOT NULL,
  creator_id bigint NOT NULL REFERENCES creators,
  notice_id  uuid REFERENCES notices,
  host_id    integer NOT NULL REFERENCES hosts,
  reason     text NOT NULL CHECK (reason IN ('form', 'none', 'unverified', 'ncii', 'dry_run', 'review', 'need_info', 'counter_notice')),
  form_url   text,
  text       text NOT NULL DEFAULT '',
  opened_at  timestamptz NOT NULL DEFAULT now(),
  closed_at  timestamptz,
  closed_by  text
);
CREATE INDEX actions_open ON actions (org_id, id) WHERE closed_at IS NULL;
CREATE INDEX actions_of_notice ON actions (notice_id);

-- Looks at a URL: was it gone? Months of them, three kept. Names of pages as hashes; no body is ever stored.
CREATE TABLE checks (
  creator_id bigint NOT NULL,
  url_id     uuid NOT NULL,
  at         timestamptz NOT NULL DEFAULT now(),
  verdict    text NOT NULL CHECK (verdict IN ('gone', 'soft_gone', 'alive', 'inconclusive', 'unresolved')),
  http       smallint,
  final_url  text,
  title_hash bytea,
  simhash    bigint,
  err        text,
  PRIMARY KEY (creator_id, url_id, at)
) PARTITION BY RANGE (at);

-- Creates the months ahead and drops those that ended over 90 days ago. Safe at any time, from any process.
CREATE FUNCTION checks_keep_partitions() RETURNS void LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = takedowns, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
  month date;
  old   text;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtext('takedowns.checks_keep_partitions')) THEN RETURN; END IF;
  FOR month IN SELECT generate_series(date_trunc('month', now() AT TIME ZONE 'UTC'),
      date_trunc('month', now() AT TIME ZONE 'UTC') + interval '2 months', interval '1 month')::date LOOP
    IF to_regclass('takedowns.checks_' || to_char(month, 'YYYYMM')) IS NULL THEN
      EXECUTE format('CREATE TABLE checks_%s PARTITION OF checks FOR VALUES FROM (%L) TO (%L)', to_char(month, 'YYYYMM'),
        month::timestamp AT TIME ZONE 'UTC', (month + interval '1 month')::timestamp AT TIME ZONE 'UTC');
    END IF;
  END LOOP;
  FOR old IN SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
      WHERE inhparent = 'checks'::regclass
        AND relname::text < 'checks_' || to_char((now() AT TIME ZONE 'UTC') - interval '121 days', 'YYYYMM') LOOP
    EXECUTE format('DROP TABLE %I', old);
  END LOOP;
END $$;
REVOKE ALL ON FUNCTION checks_keep_partitions() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION checks_keep_partitions() TO takedowns_app;
SELECT checks_keep_partitions();

GRANT SELECT, INSERT, UPDATE, DELETE ON directory TO takedowns_app;
GRANT SELECT, INSERT, UPDATE ON hosts, contacts, notices, inbound, actions TO takedowns_app;
GRANT SELECT, INSERT, DELETE ON notice_urls TO takedowns_app;  -- a URL leaves a planned notice when it is cancelled
GRANT SELECT, INSERT ON checks TO takedowns_app;
GRANT SELECT ON directory, hosts, contacts, notices, notice_urls, inbound, actions, checks TO takedowns_read;
