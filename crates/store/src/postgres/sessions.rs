//! Sessions.

use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::Transaction;
use protocol::cluster::origin::Origin;
use protocol::id::{SessionId, UserId};
use time::OffsetDateTime;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::error::Failure;
use super::pool::{Ending, Work};
use super::receipt::Begun;
use super::row::{timestamp, user, written};
use super::{PgStore, audit, head, outbox, receipt};
use crate::StoreError;
use crate::audit::Entry;
use crate::rules::{self, KnownSession, RECENT, SLACK};
use crate::sessions::{
    OpenedSession, SessionEnding, SessionOpened, SessionOpening, Sessions, SessionsEnded, SessionsReceipt,
    WhichSessions,
};
use crate::vault::AuditKeys;

#[async_trait]
impl Sessions for PgStore {
    async fn open_session(&self, opening: &SessionOpening) -> Result<SessionOpened, StoreError> {
        self.pool.transact("open the session", &OpenSession(opening)).await
    }

    async fn is_session_ended(&self, user: &UserId, session: &SessionId) -> Result<bool, StoreError> {
        let values: [&(dyn ToSql + Sync); 2] = [&user.as_str(), &session.as_str()];
        Ok(!self.pool.query("read the session", ENDED, &values).await?.is_empty())
    }

    async fn end_sessions(
        &self,
        ending: &SessionEnding<'_>,
        receipt: &SessionsReceipt<'_>,
    ) -> Result<SessionsEnded, StoreError> {
        let work = EndSessions {
            ending,
            receipt,
            keys: &self.audit,
        };
        self.pool.transact("end the sessions", &work).await
    }

    async fn count_failure(&self, user: &UserId, session: &SessionId) -> Result<u32, StoreError> {
        let work = CountFailure { user, session };
        self.pool.transact("count a wrong second factor", &work).await
    }

    async fn sessions_of(&self, user: &UserId) -> Result<Vec<OpenedSession>, StoreError> {
        let step = "list the sessions of a user";
        let list = "SELECT session_id, opened_at, address, device_id, device_name, user_agent FROM sessions \
                    WHERE user_id = $1 AND ended_at IS NULL AND exp_at > now() - $2 * interval '1 second' \
                    ORDER BY opened_at, session_id COLLATE \"C\"";
        let values: [&(dyn ToSql + Sync); 2] = [&user.as_str(), &SLACK.as_secs_f64()];
        let rows = self.pool.query(step, list, &values).await?;
        let sessions: Result<_, Failure> = rows.iter().map(opened_session).collect();
        sessions.map_err(|failure| self.pool.report(step, failure))
    }

    async fn live_sessions(
        &self,
        after: Option<&(UserId, SessionId)>,
        limit: usize,
    ) -> Result<Vec<(UserId, SessionId)>, StoreError> {
        let step = "list the live sessions";
        let list = "SELECT user_id, session_id FROM sessions \
                    WHERE ended_at IS NULL AND exp_at > now() - $1 * interval '1 second' \
                    AND (user_id COLLATE \"C\", session_id COLLATE \"C\") > ($2, $3) \
                    ORDER BY user_id COLLATE \"C\", session_id COLLATE \"C\" LIMIT $4";
        // No id is empty, so nothing comes before these.
        let (user_id, session_id) = after.map_or(("", ""), |(user, session)| (user.as_str(), session.as_str()));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values: [&(dyn ToSql + Sync); 4] = [&SLACK.as_secs_f64(), &user_id, &session_id, &limit];
        let rows = self.pool.query(step, list, &values).await?;
        let page: Result<_, Failure> = rows.iter().map(|row| Ok((user(row)?, session(row)?))).collect();
        page.map_err(|failure| self.pool.report(step, failure))
    }

    async fn keep_deadlines(&self, left: &[((UserId, SessionId), Duration)]) -> Result<(), StoreError> {
        let keep = "UPDATE sessions SET exp_at = greatest(exp_at, now() + left_secs * interval '1 second') \
                    FROM unnest($1::text[], $2::text[], $3::float8[]) AS live (live_user, live_session, left_secs) \
                    WHERE user_id = live_user AND session_id = live_session";
        let users: Vec<&str> = left.iter().map(|((user, _), _)| user.as_str()).collect();
        let sessions: Vec<&str> = left.iter().map(|((_, session), _)| session.as_str()).collect();
        let seconds: Vec<f64> = left.iter().map(|(_, left)| left.as_secs_f64()).collect();
        let values: [&(dyn ToSql + Sync); 3] = [&users, &sessions, &seconds];
        self.pool.query("keep deadlines", keep, &values).await.map(drop)
    }

    async fn retime_sessions(&self, user: &UserId, left: &[(SessionId, Duration)]) -> Result<(), StoreError> {
        let set = "UPDATE sessions SET exp_at = now() + left_secs * interval '1 second' \
                   FROM unnest($2::text[], $3::float8[]) AS retimed (retimed_session, left_secs) \
                   WHERE user_id = $1 AND session_id = retimed_session";
        let sessions: Vec<&str> = left.iter().map(|(session, _)| session.as_str()).collect();
        let seconds: Vec<f64> = left.iter().map(|(_, left)| left.as_secs_f64()).collect();
        let values: [&(dyn ToSql + Sync); 3] = [&user.as_str(), &sessions, &seconds];
        self.pool.query("retime sessions", set, &values).await.map(drop)
    }
}

/// Finds the session that has ended.
pub(super) const ENDED: &str = "SELECT FROM sessions WHERE user_id = $1 AND session_id = $2 AND ended_at IS NOT NULL";

/// Refuses what a session asks for that has ended. Whoever holds a lock that the end takes too sends this after it.
pub(super) async fn refuse_ended(
    tx: &Transaction<'_>,
    user: &UserId,
    session: Option<&SessionId>,
) -> Result<(), Failure> {
    let Some(session) = session else { return Ok(()) };
    let look = tx.prepare_cached(ENDED).await?;
    match tx.query_opt(&look, &[&user.as_str(), &session.as_str()]).await? {
        Some(_) => Err(Failure::SessionEnded),
        None => Ok(()),
    }
}

struct CountFailure<'a> {
    user: &'a UserId,
    session: &'a SessionId,
}

#[async_trait]
impl Work for CountFailure<'_> {
    type Outcome = u32;

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<u32>, Failure> {
        head::lock_user(tx, self.user, Some(self.session)).await?;
        let count = tx
            .prepare_cached(
                "UPDATE sessions SET failures = failures + 1 WHERE user_id = $1 AND session_id = $2 RETURNING failures",
            )
            .await?;
        let (user, session) = (self.user.as_str(), self.session.as_str());
        let counted = tx.query_opt(&count, &[&user, &session]).await?;
        let failures = counted.map_or(Ok(0), |row| row.try_get::<_, i32>("failures"))?;
        Ok(Ending::Commit(u32::try_from(failures).unwrap_or(0)))
    }
}

struct OpenSession<'a>(&'a SessionOpening);

#[async_trait]
impl Work for OpenSession<'_> {
    type Outcome = SessionOpened;

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<SessionOpened>, Failure> {
        let opening = self.0;
        let (user, session) = (opening.user.as_str(), opening.session.as_str());
        head::lock_user(tx, &opening.user, None).await?;
        let find = tx
            .prepare_cached("SELECT exp_at, ended_at, newest_iat FROM sessions WHERE user_id = $1 AND session_id = $2")
            .await?;
        let known = tx.query_opt(&find, &[&user, &session]).await?;
        let known = known.as_ref().map(known_session).transpose()?;
        let clock = tx.prepare_cached("SELECT now()").await?;
        let now = timestamp(tx.query_one(&clock, &[]).await?.try_get(0)?);
        let opened = rules::open(known.as_ref(), opening, now);
        let SessionOpened::Open(left) = opened else {
            return Ok(Ending::RollBack(opened));
        };
        let keep = tx
            .prepare_cached(
                "INSERT INTO sessions (user_id, session_id, exp_at, newest_iat, address, device_id, device_name, user_agent) \
                 VALUES ($1, $2, now() + $3 * interval '1 second', $4, $5, $6, $7, $8) \
                 ON CONFLICT (user_id, session_id) DO UPDATE SET \
                 exp_at = excluded.exp_at, ended_at = NULL, \
                 newest_iat = greatest(sessions.newest_iat, excluded.newest_iat), address = excluded.address, \
                 device_id = excluded.device_id, device_name = excluded.device_name, user_agent = excluded.user_agent, \
                 (opened_at, failures) = (SELECT sessions.opened_at, sessions.failures \
                 WHERE sessions.ended_at IS NULL AND sessions.exp_at > now() \
                 UNION ALL SELECT now(), 0 \
                 WHERE NOT (sessions.ended_at IS NULL AND sessions.exp_at > now()))",
            )
            .await?;
        let issued_at: Option<OffsetDateTime> = opening.issued_at.map(written);
        let origin = &opening.origin;
        tx.execute(
            &keep,
            &[
                &user,
                &session,
                &left.as_secs_f64(),
                &issued_at,
                &origin.address,
                &origin.device_id,
                &origin.device_name,
                &origin.user_agent,
            ],
        )
        .await?;
        Ok(Ending::Commit(opened))
    }
}

struct EndSessions<'a> {
    ending: &'a SessionEnding<'a>,
    receipt: &'a SessionsReceipt<'a>,
    keys: &'a AuditKeys,
}

#[async_trait]
impl Work for EndSessions<'_> {
    type Outcome = SessionsEnded;

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<SessionsEnded>, Failure> {
        let user = &self.ending.user;
        if let Begun::Before(answer) = receipt::begin(tx, user, &(self.receipt)(0)).await? {
            let ended = recently_ended(tx, user).await?;
            let count = Err(answer);
            return Ok(Ending::RollBack(SessionsEnded { count, ended }));
        }
        let now_ended = self.end(tx).await?;
        let notices: Vec<_> = now_ended.iter().map(|session| (self.ending.notice)(session)).collect();
        outbox::send(tx, user, &notices).await?;
        let receipt = (self.receipt)(now_ended.len());
        for session in &now_ended {
            audit::append(tx, self.keys, user, Entry::of_ended_session(session), &receipt).await?;
        }
        receipt::remember(tx, &receipt).await?;
        let ended = recently_ended(tx, user).await?;
        let count = Ok(now_ended.len());
        Ok(Ending::CommitBefore(receipt.deadline, SessionsEnded { count, ended }))
    }
}

impl EndSessions<'_> {
    async fn end(&self, tx: &Transaction<'_>) -> Result<Vec<SessionId>, Failure> {
        let (one, but) = match &self.ending.which {
            WhichSessions::One(session) => (Some(session.as_str()), None),
            WhichSessions::AllBut(session) => (None, Some(session.as_str())),
            WhichSessions::All => (None, None),
        };
        let end = tx
            .prepare_cached(
                "UPDATE sessions SET ended_at = now() \
                 WHERE user_id = $1 AND ended_at IS NULL AND exp_at > now() - $2 * interval '1 second' \
                 AND ($3::text IS NULL OR session_id = $3) AND ($4::text IS NULL OR session_id <> $4) \
                 RETURNING session_id",
            )
            .await?;
        let user = self.ending.user.as_str();
        let rows = tx.query(&end, &[&user, &SLACK.as_secs_f64(), &one, &but]).await?;
        rows.iter().map(session).collect()
    }
}

async fn recently_ended(tx: &Transaction<'_>, user: &UserId) -> Result<Vec<SessionId>, Failure> {
    let list = tx
        .prepare_cached(
            "SELECT session_id FROM sessions WHERE user_id = $1 AND ended_at > now() - $2 * interval '1 second'",
        )
        .await?;
    let rows = tx.query(&list, &[&user.as_str(), &RECENT.as_secs_f64()]).await?;
    rows.iter().map(session).collect()
}

fn known_session(row: &Row) -> Result<KnownSession, Failure> {
    let time = |column| Ok::<_, Failure>(row.try_get::<_, Option<OffsetDateTime>>(column)?.map(timestamp));
    Ok(KnownSession {
        expires_at: timestamp(row.try_get("exp_at")?),
        ended_at: time("ended_at")?,
        newest_iat: time("newest_iat")?,
    })
}

fn opened_session(row: &Row) -> Result<OpenedSession, Failure> {
    Ok(OpenedSession {
        session: session(row)?,
        opened_at: timestamp(row.try_get("opened_at")?),
        origin: Origin {
            address: row.try_get("address")?,
            device_id: row.try_get("device_id")?,
            device_name: row.try_get("device_name")?,
            user_agent: row.try_get("user_agent")?,
        },
    })
}

/// From the column `session_id`.
fn session(row: &Row) -> Result<SessionId, Failure> {
    SessionId::new(row.try_get::<_, &str>("session_id")?).map_err(Failure::row)
}
