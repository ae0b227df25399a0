//! Rows of alerts, which the outbox writes with their events.

use protocol::id::{SessionId, UserId};
use protocol::security::Alert;

use super::error::Failure;
use super::row::written;
use super::transaction::Transaction;
use crate::alerts::SignIn;

/// Removes a session as the subject of the user's alerts.
pub(super) async fn clear(tx: &Transaction<'_>, user: &UserId, session: &SessionId) -> Result<(), Failure> {
    let clear = "UPDATE alerts SET subject_session = NULL, subject_signed_in_at = NULL WHERE user_id = $1 AND subject_session = $2";
    tx.execute(clear, &[&user.as_str(), &session.as_str()]).await?;
    Ok(())
}

/// Inserts an alert; false if it exists already. Only the outbox calls this: a row is written with its event.
pub(super) async fn insert(
    tx: &Transaction<'_>,
    user: &UserId,
    alert: &Alert,
    subject: Option<&SignIn>,
) -> Result<bool, Failure> {
    let insert = "INSERT INTO alerts (user_id, alert_id, severity, type, message, at, requires_action, \
             subject_session, subject_signed_in_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (user_id, alert_id) DO NOTHING";
    let inserted = tx
        .execute(
            insert,
            &[
                &user.as_str(),
                &alert.alert_id.as_str(),
                &alert.severity.as_str(),
                &alert.kind.as_str(),
                &message(alert),
                &written(alert.timestamp),
                &alert.requires_action,
                &subject.map(|subject| subject.session.as_str()),
                &subject.and_then(|subject| subject.at).map(written),
            ],
        )
        .await?;
    Ok(inserted == 1)
}

/// Message as stored: Postgres rejects NUL in texts.
pub(super) fn message(alert: &Alert) -> String {
    alert.message.replace('\0', "\u{fffd}")
}
