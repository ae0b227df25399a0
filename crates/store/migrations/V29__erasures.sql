-- Number of the row that records the last erasure of the user. Workers log it with the head, so that a restore is known to undo it.
ALTER TABLE audit_heads ADD COLUMN erased bigint;
