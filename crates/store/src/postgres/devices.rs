//! Devices and networks.

use async_trait::async_trait;
use protocol::cluster::envelope::Envelope;
use protocol::id::UserId;
use tokio::time::Instant;
use tokio_postgres::Row;

use super::error::Failure;
use super::pool::{Ending, Work};
use super::transaction::Transaction;
use super::{PgStore, audit, head, outbox, row};
use crate::StoreError;
use crate::audit::Entry;
use crate::devices::{Acquaintance, Arrival, Devices, Novelty};
use crate::vault::AuditKeys;

#[async_trait]
impl Devices for PgStore {
    async fn arrive(&self, arrival: &Arrival<'_>) -> Result<Novelty, StoreError> {
        let work = Arrive {
            arrival,
            keys: &self.audit,
        };
        self.pool.transact("note a device", &work).await
    }
}

struct Arrive<'a> {
    arrival: &'a Arrival<'a>,
    keys: &'a AuditKeys,
}

#[async_trait]
impl Work for Arrive<'_> {
    type Outcome = Novelty;

    fn deadline(&self) -> Option<Instant> {
        Some(self.arrival.receipt.deadline)
    }

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<Novelty>, Failure> {
        let Arrival {
            user,
            sign_in,
            from,
            judge,
            receipt,
        } = self.arrival;
        head::lock_user(tx, user, receipt.actor.session()).await?;
        let (device, network) = (from.device(), from.network());
        let novelty = look(tx, user, device, &network).await?;
        note(tx, user, device, &network).await?;
        if novelty.device != Acquaintance::Known {
            let entry = Entry::of_new_device(&novelty, &network);
            audit::append(tx, self.keys, user, entry, receipt).await?;
        }
        for alert in judge(&novelty) {
            let entry = Entry::of_raised_alert(&alert);
            if outbox::send_about(tx, user, &[Envelope::of_alert(alert)], Some(sign_in)).await? > 0 {
                audit::append(tx, self.keys, user, entry, receipt).await?;
            }
        }
        Ok(Ending::CommitBefore(receipt.deadline, novelty))
    }
}

async fn look(tx: &Transaction<'_>, user: &UserId, device: &str, network: &str) -> Result<Novelty, Failure> {
    let look = "SELECT \
             (SELECT had_device FROM users WHERE user_id = $1) AS had_device, \
             EXISTS (SELECT FROM seen WHERE user_id = $1 AND kind = 'device' AND name = $2) AS this_device, \
             EXISTS (SELECT FROM seen WHERE user_id = $1 AND kind = 'network' AND name = $3) AS this_network, \
             coalesce(failures, 0) AS failures, last_failed_at, clock_timestamp() AS now \
             FROM (SELECT) AS always LEFT JOIN security ON user_id = $1";
    let found = tx.query_one(look, &[&user.as_str(), &device, &network]).await?;
    let last_failed: Option<_> = found.try_get("last_failed_at")?;
    Ok(Novelty {
        device: acquaintance(&found, "this_device")?,
        network: acquaintance(&found, "this_network")?,
        failures: u32::try_from(found.try_get::<_, i32>("failures")?).map_err(Failure::row)?,
        last_failed: last_failed.map(row::timestamp),
        now: row::timestamp(found.try_get("now")?),
    })
}

/// Every device comes on a network, so there was one of both or of neither.
fn acquaintance(row: &Row, this: &str) -> Result<Acquaintance, Failure> {
    Ok(match (row.try_get(this)?, row.try_get("had_device")?) {
        (true, _) => Acquaintance::Known,
        (false, true) => Acquaintance::New,
        (false, false) => Acquaintance::First,
    })
}

async fn note(tx: &Transaction<'_>, user: &UserId, device: &str, network: &str) -> Result<(), Failure> {
    let note = "INSERT INTO seen (user_id, kind, name) VALUES ($1, 'device', $2), ($1, 'network', $3) \
             ON CONFLICT (user_id, kind, name) DO UPDATE SET seen_at = excluded.seen_at";
    tx.execute(note, &[&user.as_str(), &device, &network]).await?;
    let mark = "UPDATE users SET had_device = true WHERE user_id = $1 AND NOT had_device";
    tx.execute(mark, &[&user.as_str()]).await?;
    Ok(())
}
