//! Opening of a session under its user's lock, with its sign-in: one round trip to lock and read, one to write and commit.

use async_trait::async_trait;
use protocol::id::UserId;
use time::OffsetDateTime;
use tokio::time::Instant;
use tokio_postgres::Row;

use super::{end_of_all, known_session};
use crate::audit::{ChainEnd, Entry, NewAuditRow, extend};
use crate::devices::{Recognition, SignInFindings};
use crate::postgres::error::Failure;
use crate::postgres::parameter::Parameter;
use crate::postgres::pool::{Ending, Work};
use crate::postgres::row::written;
use crate::postgres::transaction::Transaction;
use crate::postgres::{audit, devices, locks};
use crate::security::{DEFAULT_SESSION_TIMEOUT, session_timeout};
use crate::session_rules::{self, KnownSession};
use crate::sessions::{EndAllSessions, OpeningSignIn, SessionLife, SessionOpenOutcome, SessionOpenRequest};
use crate::vault::{AuditKeys, Ciphertext};

pub(super) struct OpenSession<'a> {
    pub(super) opening: &'a SessionOpenRequest,
    pub(super) sign_in: Option<&'a OpeningSignIn<'a>>,
    pub(super) keys: &'a AuditKeys,
}

/// Rows of a user that the opening of a session depends on, read under the user's lock.
struct Found {
    session: Option<KnownSession>,
    all: Option<EndAllSessions>,
    /// Session timeout that the user has chosen, in minutes.
    minutes: u32,
    findings: SignInFindings,
    has_open_alerts: bool,
    end: ChainEnd,
}

#[async_trait]
impl Work for OpenSession<'_> {
    type Outcome = SessionOpenOutcome;

    fn deadline(&self) -> Option<Instant> {
        self.sign_in.map(|sign_in| sign_in.receipt.deadline)
    }

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<SessionOpenOutcome>, Failure> {
        let found = self.lock_and_find(tx).await?;
        let (session, all, now) = (found.session.as_ref(), found.all.as_ref(), found.findings.now);
        let timeout = session_timeout(found.minutes, self.opening.timeout);
        let opened = session_rules::open(session, all, self.opening, timeout, now);
        let SessionOpenOutcome::Open(mut life) = opened else {
            return self.record_refused_token(tx, session, opened).await;
        };
        let sign_in = self.sign_in.filter(|sign_in| {
            let is_plain = found.findings.has_nothing_new() && !found.has_open_alerts;
            is_plain && (sign_in.raises_no_alert)(&found.findings)
        });
        life.sign_in_recorded = sign_in.is_some();
        if self.deadline().is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Failure::TooLate);
        }
        self.write(tx, &found, &life, sign_in).await?;
        Ok(Ending::Committed(SessionOpenOutcome::Open(life)))
    }
}

impl OpenSession<'_> {
    async fn lock_and_find(&self, tx: &Transaction<'_>) -> Result<Found, Failure> {
        let SessionOpenRequest {
            user, session, origin, ..
        } = self.opening;
        let network = origin.network();
        let values: [&dyn Parameter; 4] = [&user.as_str(), &session.as_str(), &origin.device(), &network.as_str()];
        let (locked, found) = tx
            .query_both((locks::LOCK_USER, &[&user.as_str()]), (FIND, &values))
            .await?;
        if locked.is_empty() {
            locks::lock_user(tx, user, None).await?;
            return Found::read(&tx.query_one(FIND, &values).await?);
        }
        found.first().map_or_else(|| Err(Failure::row(NoUser)), Found::read)
    }

    /// Records the expiry of a token that did not open its session: the row is kept for as long as the token is valid.
    async fn record_refused_token(
        &self,
        tx: &Transaction<'_>,
        known: Option<&KnownSession>,
        refused: SessionOpenOutcome,
    ) -> Result<Ending<SessionOpenOutcome>, Failure> {
        let presented = session_rules::presented_expiry(known, self.opening);
        if known.is_none_or(|known| presented <= known.latest_expiry) {
            return Ok(Ending::RollBack(refused));
        }
        let record = "UPDATE sessions SET newest_exp = $3 WHERE user_id = $1 AND session_id = $2";
        let presented: Option<OffsetDateTime> = presented.map(written);
        let (user, session) = (self.opening.user.as_str(), self.opening.session.as_str());
        tx.commit_with((record, &[&user, &session, &presented])).await?;
        Ok(Ending::Committed(refused))
    }

    /// Writes the session, and where given the sign-in, and commits.
    async fn write(
        &self,
        tx: &Transaction<'_>,
        found: &Found,
        life: &SessionLife,
        sign_in: Option<&OpeningSignIn<'_>>,
    ) -> Result<(), Failure> {
        let SessionOpenRequest {
            user, session, origin, ..
        } = self.opening;
        let (known, now) = (found.session.as_ref(), found.findings.now);
        let newest = self.opening.issued_at.max(known.and_then(|known| known.newest_token));
        let newest: Option<OffsetDateTime> = newest.map(written);
        let latest_expiry: Option<OffsetDateTime> = life.latest_expiry.map(written);
        let goes_on = known.is_some_and(|known| known.is_open(now));
        let (user_id, session_id) = (user.as_str(), session.as_str());
        let (opened_at, expires_at) = (written(life.opened_at), written(now.plus(life.left)));
        let (device, network) = (origin.device(), origin.network());
        let mut values: Vec<&dyn Parameter> = vec![
            &user_id,
            &session_id,
            &opened_at,
            &expires_at,
            &newest,
            &origin.address,
            &origin.device_id,
            &origin.device_name,
            &origin.user_agent,
            &goes_on,
            &latest_expiry,
        ];
        let Some(sign_in) = sign_in else {
            return tx.commit_with((WRITE, &values)).await;
        };
        values.extend([&device as &dyn Parameter, &network]);
        if found.findings.device == Recognition::Known {
            return tx.commit_with((WRITE_WITH_KNOWN_DEVICE, &values)).await;
        }
        let new = self.first_device(user, found, &network, sign_in)?;
        let new_key = new.new_key.as_ref().map(Ciphertext::as_bytes);
        values.extend(audit::values(&new.row));
        values.push(&new_key);
        tx.commit_with((WRITE_WITH_FIRST_DEVICE, &values)).await
    }

    /// Audit row of the user's first device.
    fn first_device(
        &self,
        user: &UserId,
        found: &Found,
        network: &str,
        sign_in: &OpeningSignIn<'_>,
    ) -> Result<NewAuditRow, Failure> {
        let entry = Entry::of_new_device(&found.findings, network);
        let now = found.findings.now.as_millis();
        extend(self.keys, &found.end, user.as_str(), now, entry, sign_in.receipt).map_err(Failure::row)
    }
}

impl Found {
    fn read(row: &Row) -> Result<Self, Failure> {
        let is_known = row.try_get::<_, Option<&str>>("session_id")?.is_some();
        let minutes: Option<i32> = row.try_get("session_timeout")?;
        let minutes = minutes.map(u32::try_from).transpose().map_err(Failure::row)?;
        Ok(Self {
            session: is_known.then(|| known_session(row)).transpose()?,
            all: end_of_all(row)?,
            minutes: minutes.unwrap_or(DEFAULT_SESSION_TIMEOUT),
            findings: devices::findings(row)?,
            has_open_alerts: row.try_get("has_open_alerts")?,
            end: audit::chain_end(row)?,
        })
    }
}

/// A user's head row is missing under its lock.
#[derive(Debug, thiserror::Error)]
#[error("the user's head row is missing under its lock")]
struct NoUser;

/// Reads all that the opening of session `$2` by user `$1` with device `$3` on network `$4` depends on.
const FIND: &str = "SELECT $1::text AS user_id, session_id, opened_at, exp_at, ended_at, newest_iat, newest_exp, \
                    sessions_ended_at, sessions_ended_except, session_timeout, had_device, \
                    EXISTS (SELECT FROM seen WHERE seen.user_id = $1 AND kind = 'device' AND name = $3) AS this_device, \
                    EXISTS (SELECT FROM seen WHERE seen.user_id = $1 AND kind = 'network' AND name = $4) AS this_network, \
                    coalesce(security.failures, 0) AS failures, last_failed_at, \
                    EXISTS (SELECT FROM alerts WHERE alerts.user_id = $1 AND requires_action AND acked_at IS NULL) \
                    AS has_open_alerts, seq, mac, user_keys.key AS user_key, clock_timestamp() AS now \
                    FROM users LEFT JOIN sessions ON sessions.user_id = $1 AND session_id = $2 \
                    LEFT JOIN security ON security.user_id = $1 LEFT JOIN audit_heads ON audit_heads.user_id = $1 \
                    LEFT JOIN user_keys ON user_keys.user_id = $1 WHERE users.user_id = $1";

macro_rules! write_session {
    () => {
        "INSERT INTO sessions (user_id, session_id, opened_at, exp_at, newest_iat, address, device_id, device_name, user_agent, \
         newest_exp) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $11) \
         ON CONFLICT (user_id, session_id) DO UPDATE SET opened_at = excluded.opened_at, exp_at = excluded.exp_at, \
         ended_at = NULL, end_unconfirmed = false, newest_iat = excluded.newest_iat, newest_exp = excluded.newest_exp, \
         address = excluded.address, device_id = excluded.device_id, device_name = excluded.device_name, user_agent = excluded.user_agent, \
         failures = CASE WHEN $10 THEN sessions.failures ELSE 0 END"
    };
}

/// Writes a session.
const WRITE: &str = write_session!();

/// Same as [`WRITE`], with a device and a network that are known. The 90 days of a row in `seen` need no more precision than a day.
const WRITE_WITH_KNOWN_DEVICE: &str = concat!(
    "WITH origin AS (UPDATE seen SET seen_at = now() WHERE user_id = $1 AND seen_at < now() - interval '1 day' \
     AND (kind = 'device' AND name = $12 OR kind = 'network' AND name = $13)) ",
    write_session!()
);

/// Same as [`WRITE`], with the user's first device and network, and the row of the audit log about them.
const WRITE_WITH_FIRST_DEVICE: &str = concat!(
    "WITH origin AS (INSERT INTO seen (user_id, kind, name) VALUES ($1, 'device', $12), ($1, 'network', $13) \
     ON CONFLICT (user_id, kind, name) DO UPDATE SET seen_at = excluded.seen_at), \
     mark AS (UPDATE users SET had_device = true WHERE user_id = $1), \
     head AS (INSERT INTO audit_heads (user_id, seq, mac) VALUES ($14, $15, $29) \
     ON CONFLICT (user_id) DO UPDATE SET seq = excluded.seq, mac = excluded.mac), \
     new_key AS (INSERT INTO user_keys (user_id, key) SELECT $14, $31 WHERE $31::bytea IS NOT NULL ON CONFLICT DO NOTHING), \
     entry AS (INSERT INTO audit (user_id, seq, v, at, action, subject, result, count, session_id, connection_id, address, device, \
     job_id, trace_id, key_id, mac, personal) \
     VALUES ($14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30)) ",
    write_session!()
);
