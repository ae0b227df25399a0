-- Reads the whole table, and holds up no command.
ALTER TABLE audit VALIDATE CONSTRAINT audit_initial_bound;
