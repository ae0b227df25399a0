-- Deletion of expired rows: one row for each table that is pruned. A process that deletes a batch holds the lock of its row, so that one
-- prunes a table at a time; another skips the row.
CREATE TABLE prune_progress (
    pruned_table text        PRIMARY KEY,
    -- Page at which the next batch starts, of tables that are read page by page.
    page         bigint      NOT NULL DEFAULT 0,
    -- When all rows that had expired were deleted.
    finished_at  timestamptz NOT NULL DEFAULT now()
);

INSERT INTO prune_progress (pruned_table)
VALUES ('alerts'), ('answers'), ('confirmations'), ('exchanges'), ('outbox'), ('seen'), ('tasks'), ('webhook_deliveries');

-- Tables whose rows come and go: vacuumed after a hundredth of them, not after a fifth.
ALTER TABLE answers SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_insert_scale_factor = 0.05);
ALTER TABLE outbox SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_insert_scale_factor = 0.05);
ALTER TABLE sessions SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_insert_scale_factor = 0.05);
