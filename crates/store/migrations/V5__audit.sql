-- The audit log: per user a chain of rows, each with an HMAC over itself and the HMAC of the row before it. Nothing in it is
-- ever changed or deleted. A role that owns these tables can still do both, with the triggers off: then the chain shows it.
CREATE TABLE audit (
    user_id       text COLLATE "C" NOT NULL,
    seq           bigint           NOT NULL, -- from 1, without a gap
    v             smallint         NOT NULL, -- the form of what the HMAC is over
    at            bigint           NOT NULL, -- milliseconds since 1970: to_timestamp(at / 1000.0)
    act           text             NOT NULL,
    about         text             NOT NULL, -- what was acted on: `github 583231`, or a command
    result        text             NOT NULL, -- `ok`, or an error code
    count         bigint           NOT NULL, -- above 1: as many of the same
    session_id    text             NOT NULL,
    connection_id text             NOT NULL,
    job_id        text             NOT NULL, -- as in the log
    key_id        text             NOT NULL, -- which vault key the HMAC's key is derived from
    mac           bytea            NOT NULL,
    PRIMARY KEY (user_id, seq)
);

-- Where each chain ends; moved by the transaction that writes the row.
CREATE TABLE audit_heads (
    user_id text COLLATE "C" PRIMARY KEY,
    seq     bigint NOT NULL,
    mac     bytea  NOT NULL,
    -- Up to which row the head was written to the log.
    logged  bigint NOT NULL DEFAULT 0
);

CREATE INDEX audit_heads_to_log ON audit_heads (user_id) WHERE logged < seq;

CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only';
END
$$;

CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
