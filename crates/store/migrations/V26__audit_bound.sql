-- Bound of the times in `audit`, which becomes its first partition two versions later: the begin of the month after next (UTC). It is not
-- validated here, as that reads the whole table.
DO $$
BEGIN
    EXECUTE format(
        'ALTER TABLE audit ADD CONSTRAINT audit_initial_bound CHECK (at < %s) NOT VALID',
        (extract(epoch FROM date_trunc('month', now() AT TIME ZONE 'UTC') + interval '2 months') * 1000)::bigint
    );
END
$$;
