-- Whoever takes a claim over pays under an id of his own, after those of before were undone. Turns that certainly paid nothing take no number.
ALTER TABLE idempotency ADD COLUMN debits integer NOT NULL DEFAULT 1 CHECK (debits >= 0);

GRANT UPDATE (debits) ON idempotency TO edge_app;
