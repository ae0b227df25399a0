-- Checkpoints of the audit chains: an archived partition is dropped after each of its chains has one.
CREATE TABLE audit_checkpoints (
    user_id   text COLLATE "C" NOT NULL,
    before    bigint           NOT NULL, -- end of the archived times, exclusive: to_timestamp(before / 1000.0)
    seq       bigint           NOT NULL, -- last archived row of the chain, with its HMAC
    mac       bytea            NOT NULL,
    key_id    text             NOT NULL, -- vault key from which the signature's key is derived
    signature bytea            NOT NULL, -- HMAC of the columns above and of the signature of the checkpoint before
    PRIMARY KEY (user_id, before)
);

CREATE INDEX audit_checkpoints_by_time ON audit_checkpoints (before, user_id);

CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();

-- The number of a row is unique in its partition only. These triggers keep it unique in the chain: a head only advances, and a new one is
-- refused where the chain has other rows. Commands lock `audit_heads` before `audit`, and so does this migration.
CREATE FUNCTION audit_head_advances() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE unique_violation USING MESSAGE = 'the head of an audit chain only advances';
END
$$;

CREATE TRIGGER audit_head_advances BEFORE UPDATE ON audit_heads
    FOR EACH ROW WHEN (NEW.seq < OLD.seq OR NEW.seq = OLD.seq AND NEW.mac <> OLD.mac) EXECUTE FUNCTION audit_head_advances();

CREATE FUNCTION audit_head_is_of_new_chain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- The rows of the statement itself are visible.
    IF EXISTS (SELECT FROM audit WHERE user_id = NEW.user_id OFFSET NEW.seq)
        OR EXISTS (SELECT FROM audit_checkpoints WHERE user_id = NEW.user_id) THEN
        RAISE unique_violation USING MESSAGE = 'the audit chain has rows and no head';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER audit_head_is_of_new_chain AFTER INSERT ON audit_heads
    FOR EACH ROW EXECUTE FUNCTION audit_head_is_of_new_chain();

-- The existing rows become the first partition, without a rewrite: their bound is validated. Nodes of the release before use `audit` by name.
-- squawk-ignore renaming-table
ALTER TABLE audit RENAME TO audit_initial;

CREATE TABLE audit (LIKE audit_initial INCLUDING DEFAULTS INCLUDING COMMENTS) PARTITION BY RANGE (at);

CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();

DO $$
BEGIN
    EXECUTE format(
        'ALTER TABLE audit ATTACH PARTITION audit_initial FOR VALUES FROM (MINVALUE) TO (%s)',
        (SELECT substring(pg_get_constraintdef(oid) FROM '\d{6,}') FROM pg_constraint
         WHERE conrelid = 'audit_initial'::regclass AND conname = 'audit_initial_bound')
    );
END
$$;

-- The bound of the partition replaces it.
-- squawk-ignore ban-drop-constraint
ALTER TABLE audit_initial DROP CONSTRAINT audit_initial_bound;

-- Takes rows of a time that has no partition.
CREATE TABLE audit_default (LIKE audit INCLUDING DEFAULTS, PRIMARY KEY (user_id, seq));
CREATE INDEX ON audit_default USING brin (at) WITH (autosummarize = on);
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_default
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
ALTER TABLE audit ATTACH PARTITION audit_default DEFAULT;

-- Rights on the table before are those on the table of the same name. Partitions are read and written through it alone.
DO $$
DECLARE
    granted record;
BEGIN
    FOR granted IN
        SELECT privilege_type AS privilege, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS role
        FROM pg_class, aclexplode(relacl) WHERE pg_class.oid = 'audit_initial'::regclass AND grantee <> relowner
    LOOP
        EXECUTE format('GRANT %s ON audit TO %s', granted.privilege, granted.role);
        EXECUTE format('REVOKE %s ON audit_initial FROM %s', granted.privilege, granted.role);
        IF granted.privilege = 'SELECT' THEN
            EXECUTE format('GRANT SELECT ON audit_checkpoints TO %s', granted.role);
        END IF;
    END LOOP;
END
$$;
