-- The outbox: messages written in the transaction of the change they tell of, taken to the bus by a relay and then deleted.

CREATE TABLE outbox (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  message_id  uuid NOT NULL,
  type        text NOT NULL,
  exchange    text NOT NULL,
  routing_key text NOT NULL,
  headers     jsonb NOT NULL,
  body        bytea NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 1000);  -- every row dies: vacuum by count

-- UPDATE is what FOR UPDATE needs; nothing updates a row.
GRANT SELECT, INSERT, UPDATE, DELETE ON outbox TO {service}_app;
