-- Sessions and users are deleted by sweeps over the pages of their tables.
INSERT INTO prune_progress (pruned_table) VALUES ('sessions'), ('users');
