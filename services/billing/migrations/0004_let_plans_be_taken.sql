-- Which plans a customer may take by itself, by API. The others are the operator's to give: nobody upgrades before somebody paid.

ALTER TABLE billing.plans ADD COLUMN is_open boolean NOT NULL DEFAULT false;
