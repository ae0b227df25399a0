//! Outbox: events that are not yet published.

use std::time::Duration;

use async_trait::async_trait;
use protocol::cluster::envelope::Envelope;
use protocol::id::UserId;
use time::OffsetDateTime;
use tokio::time::Instant;
use tokio_postgres::Row;

use super::error::Failure;
use super::pool::{Ending, Work};
use super::transaction::Transaction;
use super::{PgStore, alert_rows, locks, row};
use crate::StoreError;
use crate::alerts::SignIn;
use crate::metrics::Metrics;
use crate::outbox::{Outbox, OutboxBacklog, Publisher, Relayed, SentEvent, in_trace};
use crate::rules::{self, BEHIND_AFTER, RESENT_WITHIN};
use crate::step::Step;

#[async_trait]
impl Outbox for PgStore {
    async fn relay_user(&self, user: &UserId, publisher: &dyn Publisher) -> Result<Relayed, StoreError> {
        let _lock = self.relays.lock(user).await;
        let mut sent = 0;
        loop {
            let page = self
                .pool
                .transact(
                    Step::RelayEvents,
                    &RelayPage {
                        user,
                        publisher,
                        metrics: &self.metrics,
                    },
                )
                .await?;
            sent += page.sent;
            match page.end {
                PageEnd::Page => {}
                PageEnd::Outbox => return Ok(Relayed { sent, stopped: false }),
                PageEnd::Refusal => return Ok(Relayed { sent, stopped: true }),
            }
        }
    }

    async fn mark_sent(&self, sent: &[SentEvent]) -> Result<(), StoreError> {
        if !sent.is_empty() {
            let ids = ids(sent);
            self.pool.query(Step::MarkEventsAsSent, MARK_SENT, &[&ids]).await?;
            self.metrics.published_all(sent);
        }
        Ok(())
    }

    async fn users_with_unsent_events(&self, limit: usize) -> Result<Vec<UserId>, StoreError> {
        let step = Step::LookUpUnsentEvents;
        let find = "SELECT DISTINCT user_id FROM outbox \
                    WHERE sent_at IS NULL AND created_at < now() - $1 * interval '1 second' LIMIT $2";
        let after = BEHIND_AFTER.as_secs_f64();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.pool.query(step, find, &[&after, &limit]).await?;
        let users = rows.iter().map(row::user).collect::<Result<_, _>>();
        users.map_err(|failure| self.pool.report(step, failure))
    }

    async fn resend_recent(&self) -> Result<u64, StoreError> {
        let step = Step::MarkRecentEventsAsUnsent;
        // Relays run at the same time; what they send from here on needs no resending.
        let rows = self.pool.query(step, "SELECT now()", &[]).await?;
        let started = rows.first().map(|row| row.try_get::<_, OffsetDateTime>(0)).transpose();
        let started = started.map_err(|error| self.pool.report(step, error.into()))?;
        let batch = "UPDATE outbox SET sent_at = NULL WHERE id IN \
                     (SELECT id FROM outbox WHERE sent_at BETWEEN $1::timestamptz - $2 * interval '1 second' AND $1 \
                      ORDER BY id LIMIT $3 FOR UPDATE) RETURNING 1";
        let within = RESENT_WITHIN.as_secs_f64();
        let mut resent = 0;
        loop {
            let rows = self
                .pool
                .query(step, batch, &[&started, &within, &i64::from(BATCH)])
                .await?
                .len();
            resent += rows as u64;
            if rows < usize::from(BATCH) {
                return Ok(resent);
            }
        }
    }

    async fn outbox_backlog(&self) -> Result<OutboxBacklog, StoreError> {
        let step = Step::MeasureOutbox;
        let measure = "SELECT (SELECT count(*) FROM (SELECT FROM outbox WHERE sent_at IS NULL LIMIT $1) AS unsent) AS events, \
                       (SELECT extract(epoch FROM now() - created_at)::double precision FROM outbox \
                        WHERE sent_at IS NULL ORDER BY created_at LIMIT 1) AS oldest";
        let limit = i64::from(OutboxBacklog::MAX_EVENTS);
        let rows = self.pool.query(step, measure, &[&limit]).await?;
        let backlog = rows.first().map(backlog).transpose();
        let backlog = backlog.map_err(|failure| self.pool.report(step, failure))?;
        Ok(backlog.unwrap_or_default())
    }
}

/// Marks the events `$1` as sent.
pub(super) const MARK_SENT: &str = "UPDATE outbox SET sent_at = now() WHERE id = ANY($1)";

/// Numbers of events, in order, so that concurrent transactions lock their rows in one order.
pub(super) fn ids(sent: &[SentEvent]) -> Vec<i64> {
    let mut ids: Vec<_> = sent.iter().map(|event| event.id.0).collect();
    ids.sort_unstable();
    ids
}

fn backlog(row: &Row) -> Result<OutboxBacklog, Failure> {
    let events: i64 = row.try_get("events")?;
    Ok(OutboxBacklog {
        events: u64::try_from(events).map_err(Failure::row)?,
        oldest: row::seconds(row, "oldest")?,
    })
}

/// Queues events in their order; an event whose id is known is skipped. Also writes the row of an alert. Returns the number of
/// new events.
pub(super) async fn send(tx: &Transaction<'_>, user: &UserId, events: &[Envelope]) -> Result<u64, Failure> {
    send_with_subject(tx, user, events, None).await
}

/// Same as [`send`], for events whose alerts concern a session.
pub(super) async fn send_with_subject(
    tx: &Transaction<'_>,
    user: &UserId,
    events: &[Envelope],
    subject: Option<&SignIn>,
) -> Result<u64, Failure> {
    let mut new = 0;
    let insert =
        "INSERT INTO outbox (user_id, event_id, envelope) VALUES ($1, $2, $3) ON CONFLICT (event_id) DO NOTHING";
    for event in events {
        if let Some(alert) = rules::alert_of(event).map_err(Failure::row)?
            && !alert_rows::insert(tx, user, &alert, subject).await?
        {
            continue;
        }
        let envelope = serde_json::to_string(&*in_trace(event)).map_err(Failure::row)?;
        new += tx
            .execute(insert, &[&user.as_str(), &event.id.as_str(), &envelope])
            .await?;
    }
    Ok(new)
}

/// Publishes the oldest events and marks them as sent, under the lock that excludes other workers' relays of this user. Each page
/// is committed by itself, so that a crash repeats little.
struct RelayPage<'a> {
    user: &'a UserId,
    publisher: &'a dyn Publisher,
    metrics: &'a Metrics,
}

/// Result of one page.
struct Page {
    sent: u64,
    end: PageEnd,
}

/// Reason for the end of a page.
enum PageEnd {
    /// The page was full, or took long enough.
    Page,
    /// The outbox has no more events of the user.
    Outbox,
    /// The publisher refused an event.
    Refusal,
}

#[async_trait]
impl Work for RelayPage<'_> {
    type Outcome = Page;

    // The bus limits each publication by a shorter timeout of its own.
    const TIME_LIMIT: Duration = Duration::from_secs(8);

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<Page>, Failure> {
        locks::lock_relay(tx, self.user).await?;
        let read = "SELECT id, envelope, extract(epoch FROM clock_timestamp() - created_at)::double precision AS age \
                    FROM outbox WHERE user_id = $1 AND sent_at IS NULL ORDER BY id LIMIT $2";
        let rows = tx.query(read, &[&self.user.as_str(), &i64::from(PAGE)]).await?;
        let full = rows.len() == usize::from(PAGE);
        let mut end = if full { PageEnd::Page } else { PageEnd::Outbox };
        let started = Instant::now();
        let mut sent: Vec<i64> = Vec::new();
        for row in &rows {
            if started.elapsed() > PAGE_TIME {
                end = PageEnd::Page;
                break;
            }
            if self.publisher.publish(self.user, &row::envelope(row)?).await.is_err() {
                end = PageEnd::Refusal;
                break;
            }
            self.metrics.published(row::seconds(row, "age")? + started.elapsed());
            sent.push(row.try_get("id")?);
        }
        if sent.is_empty() {
            return Ok(Ending::RollBack(Page { sent: 0, end }));
        }
        let marked = tx.execute(MARK_SENT, &[&sent]).await?;
        Ok(Ending::Commit(Page { sent: marked, end }))
    }
}

/// Events per page.
const PAGE: u16 = 100;

/// Time limit of a page: on a slow bus its transaction must end before Postgres's idle timeout.
const PAGE_TIME: Duration = Duration::from_secs(1);

/// Rows per UPDATE statement.
const BATCH: u16 = 1_000;
