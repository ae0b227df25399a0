-- What platforms have delivered: a delivery that comes again is told of once.
CREATE TABLE webhook_deliveries (
    account_type text        NOT NULL,
    -- The platform's own name for it, or a digest where it has none.
    delivery_id  text        NOT NULL,
    delivered_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_type, delivery_id)
);

CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (delivered_at);
