-- Sessions are deleted by sweeps over the pages of their table.
INSERT INTO prune_progress (pruned_table) VALUES ('sessions');
