//! Watch of the sentinels: asks each of them every second which server is the primary.
//!
//! The answer of the highest configuration epoch counts, once that server confirms its role. A sentinel that was cut off names a primary
//! of the past, and a primary of the past still takes writes until the sentinels reach it.

use std::collections::HashMap;
use std::time::Duration;

use fred::error::Error;
use fred::interfaces::ClientLike;
use fred::types::CustomCommand;
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::FuturesUnordered;
use lifecycle::{Dependency, Reloadable};
use protocol::fault::chain;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::redis::client::command_failure::waitable;
use crate::redis::client::connect_error::ConnectError;
use crate::redis::client::connection::Connection;
use crate::redis::client::connector::{Connector, Purpose};
use crate::redis::client::slots::SlotMap;
use crate::redis::settings::{Credentials, Endpoint, Sentinels};

/// Watch of the sentinels of one primary.
pub(super) struct SentinelWatch {
    connector: Connector,
    master: String,
    /// Sentinels as a whole, to which outages are reported: while none answers, a failover goes unnoticed.
    dependency: Dependency,
    sentinels: Vec<SentinelState>,
    asked: FuturesUnordered<BoxFuture<'static, Asked>>,
    /// Configuration epoch of the answer that counted last.
    epoch: u64,
}

/// Sentinel, and its last answer.
struct SentinelState {
    /// Absent while the sentinel is asked.
    idle: Option<Sentinel>,
    last: Option<(Instant, Result<Answer, SentinelError>)>,
}

/// Sentinel with its connection, which stays open.
struct Sentinel {
    endpoint: Endpoint,
    login: Reloadable<Credentials>,
    connection: Option<Connection>,
}

/// Finished question to the sentinel of this number.
struct Asked {
    number: usize,
    sentinel: Sentinel,
    outcome: Result<Answer, SentinelError>,
}

/// Primary that a sentinel names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    primary: Endpoint,
    /// Configuration epoch: each failover has a higher one.
    epoch: u64,
}

/// Failure to find the primary.
#[derive(Debug, Clone, thiserror::Error)]
pub(in crate::redis::client) enum SentinelError {
    /// No sentinel answers, or each refuses to.
    #[error("no sentinel names a primary")]
    Silent(
        /// Failure of one of them.
        #[source]
        Option<Error>,
    ),
    /// The sentinels watch no primary of this name.
    #[error("the sentinels know no primary named {0}")]
    UnknownName(String),
    /// The named server does not answer.
    #[error("ask {0} for its role")]
    Unverified(Endpoint, #[source] Error),
    /// The named server is a replica.
    #[error("the sentinels name {0}, which is a replica")]
    Replica(Endpoint),
}

impl SentinelError {
    /// Class of a failure that may end without a change of this node.
    pub(in crate::redis::client) fn outage(&self) -> Option<&'static str> {
        match self {
            Self::Silent(Some(error)) | Self::Unverified(_, error) => waitable(error),
            Self::Silent(None) => Some("unreachable"),
            Self::UnknownName(_) => None,
            Self::Replica(_) => Some("read_only"),
        }
    }
}

impl SentinelWatch {
    /// Asks the sentinels until most have answered, and adopts the primary that they name.
    pub(super) async fn start(
        connector: &Connector,
        sentinels: &Sentinels,
        dependency: Dependency,
    ) -> Result<Self, ConnectError> {
        let state = |endpoint: &Endpoint| SentinelState {
            idle: Some(Sentinel {
                endpoint: endpoint.clone(),
                login: sentinels.credentials.clone(),
                connection: None,
            }),
            last: None,
        };
        let mut watch = Self {
            connector: connector.clone(),
            master: sentinels.master.clone(),
            dependency,
            sentinels: sentinels.endpoints.iter().map(state).collect(),
            asked: FuturesUnordered::new(),
            epoch: 0,
        };
        watch.ask();
        while let Some(asked) = watch.asked.next().await {
            watch.record(asked);
            if 2 * watch.answers(Instant::now()).count() > watch.sentinels.len() {
                break;
            }
        }
        match watch.decide().await {
            Ok(()) => Ok(watch),
            Err(error) => Err(ConnectError::NoPrimary {
                address: connector.address(),
                source: Box::new(error),
            }),
        }
    }

    /// Follows failovers for ever.
    pub(super) async fn run(mut self) {
        let mut round = interval(INTERVAL);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = round.tick() => self.ask(),
                Some(asked) = self.asked.next() => {
                    self.record(asked);
                    // The outcome is the state of the dependency.
                    drop(self.decide().await);
                }
            }
        }
    }

    /// Asks all sentinels but those that still owe an answer.
    fn ask(&mut self) {
        for (number, state) in self.sentinels.iter_mut().enumerate() {
            if let Some(sentinel) = state.idle.take() {
                let (connector, master) = (self.connector.clone(), self.master.clone());
                self.asked.push(sentinel.ask(number, connector, master).boxed());
            }
        }
    }

    fn record(&mut self, asked: Asked) {
        if let Some(state) = self.sentinels.get_mut(asked.number) {
            state.idle = Some(asked.sentinel);
            state.last = Some((Instant::now(), asked.outcome));
        }
    }

    /// Adopts the primary that the sentinels name, and reports the outcome to the dependency.
    async fn decide(&mut self) -> Result<(), SentinelError> {
        let decided = self.adopt().await;
        match &decided {
            Ok(()) => self.dependency.succeeded(),
            Err(error) => {
                let class = error.outage().unwrap_or("refused");
                self.dependency.failed(class, chain(error));
            }
        }
        decided
    }

    async fn adopt(&mut self) -> Result<(), SentinelError> {
        let now = Instant::now();
        let known = self.connector.slots().current();
        let current = known.primaries().first();
        let elected = elect(self.answers(now), self.sentinels.len(), self.epoch, current);
        let Some(Answer { primary, epoch }) = elected.cloned() else {
            return Err(self.fault(now));
        };
        if current != Some(&primary) {
            verify(&self.connector.clone(), &primary).await?;
            if let Some(previous) = current {
                let (from, to) = (previous.to_string(), primary.to_string());
                tracing::info!(from, to, "redis primary moved, connections follow");
            }
            self.connector.slots().replace(SlotMap::of_one(primary));
        }
        self.epoch = epoch;
        Ok(())
    }

    /// Answers that are recent.
    fn answers(&self, now: Instant) -> impl Iterator<Item = &Answer> + Clone {
        let recent = self.recent(now);
        recent.filter_map(|outcome| outcome.as_ref().ok())
    }

    fn recent(&self, now: Instant) -> impl Iterator<Item = &Result<Answer, SentinelError>> + Clone {
        let last = self.sentinels.iter().filter_map(|state| state.last.as_ref());
        let recent = last.filter(move |(at, _)| now.saturating_duration_since(*at) < RECENT);
        recent.map(|(_, outcome)| outcome)
    }

    /// Reason why no answer counts.
    fn fault(&self, now: Instant) -> SentinelError {
        let faults = self.recent(now).filter_map(|outcome| outcome.as_ref().err());
        let named = |fault: &&SentinelError| matches!(fault, SentinelError::UnknownName(_));
        let fault = faults.clone().find(named).or_else(|| faults.clone().last());
        fault.cloned().unwrap_or(SentinelError::Silent(None))
    }
}

impl Sentinel {
    async fn ask(mut self, number: usize, connector: Connector, master: String) -> Asked {
        let outcome = self.primary(&connector, &master).await;
        Asked {
            number,
            sentinel: self,
            outcome,
        }
    }

    /// Asks for the primary, over a new connection if the last question has failed.
    async fn primary(&mut self, connector: &Connector, master: &str) -> Result<Answer, SentinelError> {
        let failed = |error| SentinelError::Silent(Some(error));
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let opened = connector.open_sentinel(self.endpoint.clone(), &self.login).await;
                opened.map_err(failed)?
            }
        };
        let fred = connection.client();
        let sentinel = || CustomCommand::new_static("SENTINEL", None::<u16>, false);
        let address = fred.custom(sentinel(), vec!["GET-MASTER-ADDR-BY-NAME", master]);
        let address: Option<(String, u16)> = Box::pin(address).await.map_err(failed)?;
        let Some((host, port)) = address else {
            return Err(SentinelError::UnknownName(master.to_owned()));
        };
        let fields = fred.custom(sentinel(), vec!["MASTER", master]);
        let fields: HashMap<String, String> = Box::pin(fields).await.map_err(failed)?;
        let epoch = fields.get("config-epoch").and_then(|epoch| epoch.parse().ok());
        self.connection = Some(connection);
        Ok(Answer {
            primary: Endpoint { host, port },
            epoch: epoch.unwrap_or_default(),
        })
    }
}

/// Asks a server whether it is a primary.
async fn verify(connector: &Connector, server: &Endpoint) -> Result<(), SentinelError> {
    let failed = |error| SentinelError::Unverified(server.clone(), error);
    let opened = connector.open_at(server.clone(), Purpose::Commands).await;
    let connection = opened.map_err(failed)?;
    let info = CustomCommand::new_static("INFO", None::<u16>, false);
    let asked = connection.client().custom(info, vec!["replication"]);
    let info: String = Box::pin(asked).await.map_err(failed)?;
    if info.lines().any(|line| line == "role:master") {
        return Ok(());
    }
    Err(SentinelError::Replica(server.clone()))
}

/// Answer that counts: the one of the highest configuration epoch. One below the last counts only if most sentinels have answered: they
/// were set up anew.
fn elect<'a>(
    answers: impl Iterator<Item = &'a Answer> + Clone,
    sentinels: usize,
    last_epoch: u64,
    current: Option<&Endpoint>,
) -> Option<&'a Answer> {
    let newest = answers
        .clone()
        .max_by_key(|answer| (answer.epoch, current == Some(&answer.primary)))?;
    (newest.epoch >= last_epoch || 2 * answers.count() > sentinels).then_some(newest)
}

/// Interval of the questions.
const INTERVAL: Duration = Duration::from_secs(1);
/// Age at which an answer no longer counts.
const RECENT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(host: &str, epoch: u64) -> Answer {
        Answer {
            primary: endpoint(host),
            epoch,
        }
    }

    fn endpoint(host: &str) -> Endpoint {
        Endpoint {
            host: host.to_owned(),
            port: 6379,
        }
    }

    fn elected(answers: &[Answer], last_epoch: u64, current: &str) -> Option<String> {
        let elected = elect(answers.iter(), 3, last_epoch, Some(&endpoint(current)));
        elected.map(|answer| answer.primary.host.clone())
    }

    #[test]
    fn answer_of_the_highest_epoch_counts_whatever_the_sequence() {
        for hosts in [["old", "new", "old"], ["new", "old", "old"]] {
            let answers = hosts.map(|host| answer(host, if host == "new" { 5 } else { 4 }));
            assert_eq!(elected(&answers, 4, "old").as_deref(), Some("new"));
        }
        assert_eq!(elected(&[], 4, "old"), None);
    }

    #[test]
    fn sentinel_that_was_cut_off_does_not_bring_an_old_primary_back() {
        assert_eq!(elected(&[answer("old", 4)], 5, "new"), None);
        let set_up_anew = [answer("first", 0), answer("first", 0)];
        assert_eq!(elected(&set_up_anew, 5, "new").as_deref(), Some("first"));
    }

    #[test]
    fn known_primary_stays_among_answers_of_one_epoch() {
        let both = [answer("a", 5), answer("b", 5), answer("a", 5)];
        assert_eq!(elected(&both, 5, "a").as_deref(), Some("a"));
        assert_eq!(elected(&both, 5, "b").as_deref(), Some("b"));
    }
}
