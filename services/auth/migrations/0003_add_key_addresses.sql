-- From where a key may be used: networks in CIDR notation, none = from anywhere. The edge enforces it.

ALTER TABLE keys ADD COLUMN addresses cidr[] NOT NULL DEFAULT '{}' CHECK (cardinality(addresses) <= 100);

GRANT UPDATE (addresses) ON keys TO auth_app;
