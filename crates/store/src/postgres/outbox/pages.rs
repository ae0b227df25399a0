//! Pages of a user's outbox: each is read, published and marked in one transaction.

use std::time::Duration;

use async_trait::async_trait;
use protocol::id::UserId;
use tokio::time::Instant;
use tokio_postgres::Row;

use super::MARK_SENT;
use crate::StoreError;
use crate::metrics::Metrics;
use crate::outbox::{Publication, Publisher};
use crate::postgres::error::Failure;
use crate::postgres::pool::{Ending, Work};
use crate::postgres::transaction::Transaction;
use crate::postgres::{PgStore, locks, row};
use crate::relay::{PageEnd, RelayPages, RelayedPage, Restore};
use crate::rules::RESENT_WITHIN;
use crate::step::Step;

/// Events of one user.
pub(super) struct UserPages<'a> {
    pub(super) store: &'a PgStore,
    pub(super) user: &'a UserId,
    pub(super) publisher: &'a dyn Publisher,
}

#[async_trait]
impl RelayPages for UserPages<'_> {
    async fn publish_page(&self, restore: Option<&Restore>) -> Result<RelayedPage, StoreError> {
        let page = RelayPage {
            user: self.user,
            publisher: self.publisher,
            restore,
            metrics: &self.store.metrics,
        };
        self.store.pool.transact(Step::RelayEvents, &page).await
    }
}

/// Publishes the oldest events and marks them as sent, under the lock that excludes other workers' relays of this user. Each page
/// is committed by itself, so that a crash repeats little.
struct RelayPage<'a> {
    user: &'a UserId,
    publisher: &'a dyn Publisher,
    restore: Option<&'a Restore>,
    metrics: &'a Metrics,
}

#[async_trait]
impl Work for RelayPage<'_> {
    type Outcome = RelayedPage;

    // The bus limits each publication by a shorter timeout of its own.
    const TIME_LIMIT: Duration = Duration::from_secs(8);

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<RelayedPage>, Failure> {
        locks::lock_relay(tx, self.user).await?;
        let rows = self.read(tx).await?;
        let mut page = RelayedPage {
            sent: 0,
            resent: 0,
            last: None,
            end: if rows.len() == usize::from(PAGE) {
                PageEnd::Page
            } else {
                PageEnd::Outbox
            },
        };
        let epoch = self.restore.map(|restore| &restore.epoch);
        let started = Instant::now();
        let mut unsent: Vec<i64> = Vec::new();
        for row in &rows {
            if started.elapsed() > PAGE_TIME {
                page.end = PageEnd::Page;
                break;
            }
            let Some(event) = row::envelope(row)? else {
                tracing::warn!(user = %self.user, "event in the outbox has a newer version, left to newer workers");
                page.end = PageEnd::Newer;
                break;
            };
            match self.publisher.publish(self.user, &event, epoch).await {
                Ok(Publication::Accepted) => {}
                Ok(Publication::Unrestored) => {
                    page.end = PageEnd::Unrestored;
                    break;
                }
                Err(_reported) => {
                    page.end = PageEnd::Refusal;
                    break;
                }
            }
            let (id, is_unsent): (i64, bool) = (row.try_get("id")?, row.try_get("unsent")?);
            page.last = Some(id);
            if is_unsent {
                self.metrics.published(row::seconds(row, "age")? + started.elapsed());
                unsent.push(id);
            } else {
                page.resent += 1;
            }
        }
        if unsent.is_empty() {
            return Ok(Ending::RollBack(page));
        }
        page.sent = tx.execute(MARK_SENT, &[&unsent]).await?;
        Ok(Ending::Commit(page))
    }
}

impl RelayPage<'_> {
    /// Reads the oldest unsent events, and in a restore also those that were sent recently, after the last one that was published
    /// again.
    async fn read(&self, tx: &Transaction<'_>) -> Result<Vec<Row>, Failure> {
        let (user, page) = (self.user.as_str(), i64::from(PAGE));
        let rows = match self.restore {
            None => {
                let read = "SELECT id, envelope, true AS unsent, \
                            extract(epoch FROM clock_timestamp() - created_at)::double precision AS age \
                            FROM outbox WHERE user_id = $1 AND sent_at IS NULL ORDER BY id LIMIT $2";
                tx.query(read, &[&user, &page]).await?
            }
            Some(restore) => {
                // Two indexes, each with the rows of one condition.
                let read = "SELECT id, envelope, sent_at IS NULL AS unsent, \
                            extract(epoch FROM clock_timestamp() - created_at)::double precision AS age FROM \
                            (SELECT * FROM outbox WHERE user_id = $1 AND id > $3 AND sent_at IS NULL UNION ALL \
                            SELECT * FROM outbox WHERE user_id = $1 AND id > $3 AND sent_at >= now() - $4 * interval '1 second') \
                            AS recent ORDER BY id LIMIT $2";
                let within = RESENT_WITHIN.as_secs_f64();
                tx.query(read, &[&user, &page, &restore.after, &within]).await?
            }
        };
        Ok(rows)
    }
}

/// Events per page.
const PAGE: u16 = 100;

/// Time limit of a page: on a slow bus its transaction must end before Postgres's idle timeout.
const PAGE_TIME: Duration = Duration::from_secs(1);
