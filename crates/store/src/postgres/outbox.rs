//! Outbox: events that are not yet published.

mod pages;

use async_trait::async_trait;
use protocol::cluster::envelope::Envelope;
use protocol::id::UserId;
use tokio_postgres::Row;

use self::pages::UserPages;
use super::error::Failure;
use super::transaction::Transaction;
use super::{PgStore, alert_rows, app_webhooks, row};
use crate::StoreError;
use crate::alerts::SignIn;
use crate::outbox::{Outbox, OutboxBacklog, Publisher, Relayed, SentEvent, in_trace};
use crate::relay;
use crate::rules::{self, BEHIND_AFTER, RESENT_WITHIN};
use crate::step::Step;

#[async_trait]
impl Outbox for PgStore {
    async fn relay_user(&self, user: &UserId, publisher: &dyn Publisher) -> Result<Relayed, StoreError> {
        let _lock = self.relays.lock(user).await;
        relay::relay(
            user,
            publisher,
            &UserPages {
                store: self,
                user,
                publisher,
            },
        )
        .await
    }

    async fn restore_user(&self, user: &UserId, publisher: &dyn Publisher) -> Result<Relayed, StoreError> {
        let _lock = self.relays.lock(user).await;
        relay::restore(
            user,
            publisher,
            &UserPages {
                store: self,
                user,
                publisher,
            },
        )
        .await
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

    async fn users_with_recent_events(&self, after: Option<&UserId>, limit: usize) -> Result<Vec<UserId>, StoreError> {
        let step = Step::LookUpRecentEvents;
        let find = "SELECT DISTINCT user_id FROM outbox WHERE sent_at >= now() - $1 * interval '1 second' AND user_id > $2 \
                    ORDER BY user_id LIMIT $3";
        let within = RESENT_WITHIN.as_secs_f64();
        // No id is empty.
        let after = after.map_or("", UserId::as_str);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.pool.query(step, find, &[&within, &after, &limit]).await?;
        let users = rows.iter().map(row::user).collect::<Result<_, _>>();
        users.map_err(|failure| self.pool.report(step, failure))
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

/// Queues events in their order, with the webhooks to the application; an event whose id is known is skipped. Also writes the row of an
/// alert. Returns the number of new events.
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
        let inserted = tx
            .execute(insert, &[&user.as_str(), &event.id.as_str(), &envelope])
            .await?;
        if inserted > 0 {
            app_webhooks::queue(tx, user, event).await?;
        }
        new += inserted;
    }
    Ok(new)
}
