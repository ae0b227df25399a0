//! Alerts of many users in one transaction: one statement per table, whatever the size of the group.

use std::collections::{BTreeSet, HashMap, HashSet};

use async_trait::async_trait;
use tokio::time::Instant;
use tokio_postgres::Row;

use super::error::Failure;
use super::outbox::{MARK_SENT, ids};
use super::pool::{Ending, Work};
use super::row::written;
use super::transaction::Transaction;
use super::{alert_rows, app_webhooks, audit};
use crate::alerts::{AlertRequest, RaisedAlert};
use crate::audit::{ChainEnd, Entry, NewAuditRow, extend};
use crate::outbox::{OutboxId, SentEvent};
use crate::vault::AuditKeys;

/// Raises a group of alerts.
pub(super) struct RaiseAlertGroup<'a> {
    pub(super) group: &'a [AlertRequest],
    /// Published events of earlier groups.
    pub(super) sent: &'a [SentEvent],
    pub(super) keys: &'a AuditKeys,
}

#[async_trait]
impl Work for RaiseAlertGroup<'_> {
    type Outcome = Vec<RaisedAlert>;

    fn deadline(&self) -> Option<Instant> {
        self.group.iter().map(|request| request.receipt().deadline).min()
    }

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<Vec<RaisedAlert>>, Failure> {
        let locked = self.lock(tx).await?;
        let admitted = self.admit(&locked);
        let requests = self.group.iter().zip(&admitted);
        let requests: Vec<_> = requests
            .filter_map(|(request, admitted)| admitted.then_some(request))
            .collect();
        let mut inserted = Inserted::default();
        if !requests.is_empty() {
            inserted = insert(tx, &requests).await?;
        }
        let mut raised = Vec::with_capacity(self.group.len());
        let mut rows = Vec::with_capacity(requests.len());
        for (request, is_admitted) in self.group.iter().zip(admitted) {
            if !is_admitted {
                raised.push(RaisedAlert::Alone);
                continue;
            }
            let (outcome, row) = inserted.outcome(request, self.keys)?;
            raised.push(outcome);
            rows.extend(row);
        }
        let new = requests.iter().filter(|request| inserted.is_new(request));
        let new: Vec<_> = new.map(|request| (user(request), request.event())).collect();
        app_webhooks::queue_all(tx, &new).await?;
        if !rows.is_empty() {
            audit::append_all(tx, &rows).await?;
        }
        Ok(match self.deadline() {
            Some(deadline) => Ending::CommitBefore(deadline, raised),
            None => Ending::Commit(raised),
        })
    }
}

impl RaiseAlertGroup<'_> {
    /// Locks the head rows of the users, except those that another transaction has, and inserts missing ones. Also marks the sent events:
    /// what is still unsent after that is unknown to this process. Returns the locked users.
    async fn lock(&self, tx: &Transaction<'_>) -> Result<HashSet<String>, Failure> {
        let users: BTreeSet<_> = self.group.iter().map(user).collect();
        let users: Vec<_> = users.into_iter().collect();
        // A group never waits for a lock: its other alerts would wait too, and two groups could deadlock.
        let lock = "SELECT user_id FROM users WHERE user_id = ANY($1) FOR UPDATE SKIP LOCKED";
        let rows = if self.sent.is_empty() {
            tx.query(lock, &[&users]).await?
        } else {
            let sent = ids(self.sent);
            tx.query_both((lock, &[&users]), (MARK_SENT, &[&sent])).await?.0
        };
        let mut locked = user_ids(&rows)?;
        let missing: Vec<_> = users.into_iter().filter(|user| !locked.contains(*user)).collect();
        if !missing.is_empty() {
            // Without the condition, the insertion would wait for a transaction that has updated the user's row.
            let make = "INSERT INTO users (user_id) SELECT user_id FROM unnest($1::text[]) AS missing (user_id) \
                        WHERE NOT EXISTS (SELECT FROM users WHERE users.user_id = missing.user_id) \
                        ON CONFLICT DO NOTHING RETURNING user_id";
            locked.extend(user_ids(&tx.query(make, &[&missing]).await?)?);
        }
        Ok(locked)
    }

    /// Selects, for each alert, whether this transaction raises it: its user is locked, no session has to be checked, and no alert before
    /// it in the group has its id.
    fn admit(&self, locked: &HashSet<String>) -> Vec<bool> {
        let mut known = HashSet::new();
        let admit = |request: &AlertRequest| {
            let has_session = request.receipt().actor.session().is_some();
            !has_session && locked.contains(user(request)) && known.insert(request.alert().alert_id.clone())
        };
        self.group.iter().map(admit).collect()
    }
}

/// Inserted events, and the users' states from before.
#[derive(Default)]
struct Inserted {
    users: HashMap<String, UserState>,
    /// Numbers of the new events, by event id.
    events: HashMap<String, i64>,
}

/// State of a user, read under the lock of the head row.
struct UserState {
    /// End of the audit chain, with the rows of this group.
    end: ChainEnd,
    /// True if an event from before this group is unsent.
    is_behind: bool,
    /// Time of the read, in milliseconds since 1970.
    now: i64,
}

impl Inserted {
    /// True if the event of this alert was inserted.
    fn is_new(&self, request: &AlertRequest) -> bool {
        self.events.contains_key(request.event().id.as_str())
    }

    /// Result of an alert, and its audit row. An alert that the user had before has no new event.
    fn outcome(
        &mut self,
        request: &AlertRequest,
        keys: &AuditKeys,
    ) -> Result<(RaisedAlert, Option<NewAuditRow>), Failure> {
        let alert = request.alert();
        let event = self.events.get(request.event().id.as_str());
        let Some((id, state)) = event.zip(self.users.get_mut(alert.user_id.as_str())) else {
            return Ok((RaisedAlert::Relay, None));
        };
        let entry = Entry::of_raised_alert(alert);
        let row = extend(
            keys,
            &state.end,
            alert.user_id.as_str(),
            state.now,
            entry,
            request.receipt(),
        )
        .map_err(Failure::row)?;
        state.end.advance(&row);
        let outcome = if state.is_behind {
            RaisedAlert::Relay
        } else {
            RaisedAlert::Publish(OutboxId(*id))
        };
        Ok((outcome, Some(row)))
    }
}

/// Reads the states of the users, then inserts the alerts and the events of those that are new. Both statements are sent together.
async fn insert(tx: &Transaction<'_>, requests: &[&AlertRequest]) -> Result<Inserted, Failure> {
    let users: Vec<_> = requests.iter().map(|request| user(request)).collect();
    let alerts = || requests.iter().map(|request| request.alert());
    let ids: Vec<_> = alerts().map(|alert| alert.alert_id.as_str()).collect();
    let severities: Vec<_> = alerts().map(|alert| alert.severity.as_str()).collect();
    let kinds: Vec<_> = alerts().map(|alert| alert.kind.as_str()).collect();
    let messages: Vec<_> = alerts().map(alert_rows::message).collect();
    let times: Vec<_> = alerts().map(|alert| written(alert.timestamp)).collect();
    let required: Vec<_> = alerts().map(|alert| alert.requires_action).collect();
    let envelopes = requests.iter().map(|request| serde_json::to_string(request.event()));
    let envelopes: Vec<_> = envelopes.collect::<Result<_, _>>().map_err(Failure::row)?;
    let (states, events) = tx
        .query_both(
            (READ_STATES, &[&users]),
            (
                INSERT,
                &[
                    &users,
                    &ids,
                    &severities,
                    &kinds,
                    &messages,
                    &times,
                    &required,
                    &envelopes,
                ],
            ),
        )
        .await?;
    Ok(Inserted {
        users: states.iter().map(user_state).collect::<Result<_, _>>()?,
        events: events.iter().map(event_id).collect::<Result<_, _>>()?,
    })
}

fn event_id(row: &Row) -> Result<(String, i64), Failure> {
    Ok((row.try_get("event_id")?, row.try_get("id")?))
}

fn user_state(row: &Row) -> Result<(String, UserState), Failure> {
    let state = UserState {
        end: audit::chain_end(row)?,
        is_behind: row.try_get("is_behind")?,
        now: row.try_get("now")?,
    };
    Ok((row.try_get("user_id")?, state))
}

fn user_ids(rows: &[Row]) -> Result<HashSet<String>, Failure> {
    let users = rows.iter().map(|row| row.try_get("user_id"));
    Ok(users.collect::<Result<_, _>>()?)
}

fn user(request: &AlertRequest) -> &str {
    request.alert().user_id.as_str()
}

/// State of each of the users `$1`. The limit keeps Postgres from reading the unsent events of all users at once.
const READ_STATES: &str = "SELECT named.user_id, seq, mac, user_keys.key AS user_key, (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now, \
                           (SELECT id FROM outbox WHERE outbox.user_id = named.user_id AND sent_at IS NULL \
                           ORDER BY id LIMIT 1) IS NOT NULL AS is_behind \
                           FROM unnest($1::text[]) AS named (user_id) LEFT JOIN audit_heads ON audit_heads.user_id = named.user_id \
                           LEFT JOIN user_keys ON user_keys.user_id = named.user_id";

/// Inserts alerts, and the events of the new ones, both in the order of the arrays: a user's events are published by their numbers.
const INSERT: &str = "WITH requested AS (SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], \
                      $6::timestamptz[], $7::boolean[], $8::text[]) WITH ORDINALITY \
                      AS requested (user_id, alert_id, severity, type, message, at, requires_action, envelope, position)), \
                      raised AS (INSERT INTO alerts (user_id, alert_id, severity, type, message, at, requires_action) \
                      SELECT user_id, alert_id, severity, type, message, at, requires_action FROM requested ORDER BY position \
                      ON CONFLICT (user_id, alert_id) DO NOTHING RETURNING user_id, alert_id) \
                      INSERT INTO outbox (user_id, event_id, envelope) \
                      SELECT user_id, alert_id, envelope FROM requested JOIN raised USING (user_id, alert_id) ORDER BY position \
                      ON CONFLICT (event_id) DO NOTHING RETURNING id, event_id";
