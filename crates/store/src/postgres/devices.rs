//! Devices and networks of users.

pub(super) mod seen;

use async_trait::async_trait;
use protocol::cluster::envelope::Envelope;
use protocol::id::UserId;
use tokio::time::Instant;
use tokio_postgres::Row;

use super::error::Failure;
use super::parameter::Parameter;
use super::pool::{Ending, Work};
use super::transaction::Transaction;
use super::{PgStore, audit, locks, outbox, row};
use crate::StoreError;
use crate::audit::Entry;
use crate::devices::{Devices, Recognition, SignInCheck, SignInFindings};
use crate::operator::{MAX_LISTED, SeenOverview};
use crate::step::Step;
use crate::vault::AuditKeys;

#[async_trait]
impl Devices for PgStore {
    async fn check_sign_in(&self, sign_in_check: &SignInCheck<'_>) -> Result<SignInFindings, StoreError> {
        let work = CheckSignIn {
            sign_in_check,
            keys: &self.audit,
        };
        self.pool.transact(Step::CheckSignIn, &work).await
    }

    async fn devices(&self, user: &UserId) -> Result<Vec<SeenOverview>, StoreError> {
        let step = Step::ReadDevices;
        let parameters: [&dyn Parameter; 2] = [&user.as_str(), &i64::from(MAX_LISTED)];
        let rows = self.pool.query(step, seen::READ, &parameters).await?;
        seen::read(&rows).map_err(|failure| self.pool.report(step, failure))
    }
}

struct CheckSignIn<'a> {
    sign_in_check: &'a SignInCheck<'a>,
    keys: &'a AuditKeys,
}

#[async_trait]
impl Work for CheckSignIn<'_> {
    type Outcome = SignInFindings;

    fn deadline(&self) -> Option<Instant> {
        Some(self.sign_in_check.receipt.deadline)
    }

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<SignInFindings>, Failure> {
        let SignInCheck {
            user,
            sign_in,
            from,
            alert_rules,
            receipt,
        } = self.sign_in_check;
        locks::lock_user(tx, user, receipt.actor.session()).await?;
        let (device, network) = (from.device(), from.network());
        let findings = find(tx, user, device, &network).await?;
        record(tx, user, device, &network).await?;
        if findings.device != Recognition::Known {
            let entry = Entry::of_new_device(&findings, &network);
            audit::append(tx, self.keys, user, entry, receipt).await?;
        }
        for alert in alert_rules(&findings) {
            let entry = Entry::of_raised_alert(&alert);
            if outbox::send_with_subject(tx, user, &[Envelope::of_alert(alert)], Some(sign_in)).await? > 0 {
                audit::append(tx, self.keys, user, entry, receipt).await?;
            }
        }
        Ok(Ending::CommitBefore(receipt.deadline, findings))
    }
}

async fn find(tx: &Transaction<'_>, user: &UserId, device: &str, network: &str) -> Result<SignInFindings, Failure> {
    let find = "SELECT \
             (SELECT had_device FROM users WHERE user_id = $1) AS had_device, \
             EXISTS (SELECT FROM seen WHERE user_id = $1 AND kind = 'device' AND name = $2) AS this_device, \
             EXISTS (SELECT FROM seen WHERE user_id = $1 AND kind = 'network' AND name = $3) AS this_network, \
             coalesce(failures, 0) AS failures, last_failed_at, clock_timestamp() AS now \
             FROM (SELECT) AS one_row LEFT JOIN security ON user_id = $1";
    findings(&tx.query_one(find, &[&user.as_str(), &device, &network]).await?)
}

/// Findings from the columns `had_device`, `this_device`, `this_network`, `failures`, `last_failed_at` and `now`.
pub(super) fn findings(found: &Row) -> Result<SignInFindings, Failure> {
    let last_failed: Option<_> = found.try_get("last_failed_at")?;
    Ok(SignInFindings {
        device: recognition(found, "this_device")?,
        network: recognition(found, "this_network")?,
        failures: u32::try_from(found.try_get::<_, i32>("failures")?).map_err(Failure::row)?,
        last_failed: last_failed.map(row::timestamp),
        now: row::timestamp(found.try_get("now")?),
    })
}

/// A device and its network are recorded together, so `had_device` decides for both.
fn recognition(row: &Row, this: &str) -> Result<Recognition, Failure> {
    Ok(match (row.try_get(this)?, row.try_get("had_device")?) {
        (true, _) => Recognition::Known,
        (false, true) => Recognition::New,
        (false, false) => Recognition::First,
    })
}

async fn record(tx: &Transaction<'_>, user: &UserId, device: &str, network: &str) -> Result<(), Failure> {
    let upsert = "INSERT INTO seen (user_id, kind, name) VALUES ($1, 'device', $2), ($1, 'network', $3) \
             ON CONFLICT (user_id, kind, name) DO UPDATE SET seen_at = excluded.seen_at";
    tx.execute(upsert, &[&user.as_str(), &device, &network]).await?;
    let mark = "UPDATE users SET had_device = true WHERE user_id = $1 AND NOT had_device";
    tx.execute(mark, &[&user.as_str()]).await?;
    Ok(())
}
