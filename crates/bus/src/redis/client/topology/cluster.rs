//! Watch of a cluster: asks its nodes every second, and whenever one contradicts the slot map, which of them owns which slots.
//!
//! The answer with the newest configuration counts, and among such ones that which most nodes give: a node that was cut off names owners
//! of the past. Until the map follows, the owners themselves redirect commands.

mod answer;

use std::collections::HashMap;
use std::time::Duration;

use fred::error::Error;
use fred::interfaces::ClientLike;
use fred::types::{CustomCommand, Value};
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::FuturesUnordered;
use lifecycle::Dependency;
use protocol::fault::chain;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use self::answer::{Answer, Malformed};
use crate::redis::client::command_failure::waitable;
use crate::redis::client::connect_error::ConnectError;
use crate::redis::client::connection::Connection;
use crate::redis::client::connector::{Connector, Purpose};
use crate::redis::client::slots::SlotMap;
use crate::redis::settings::Endpoint;

/// Watch of the nodes of a cluster.
pub(super) struct ClusterWatch {
    connector: Connector,
    seeds: Vec<Endpoint>,
    /// Nodes as a whole, to which outages are reported: while none answers, a failover goes unnoticed.
    dependency: Dependency,
    nodes: HashMap<Endpoint, NodeAnswers>,
    asked: FuturesUnordered<BoxFuture<'static, Asked>>,
    /// Time of the last questions.
    asked_at: Instant,
}

/// Node, and its last answer.
#[derive(Default)]
struct NodeAnswers {
    /// True while the node is asked.
    is_asked: bool,
    /// Connection, which stays open.
    connection: Option<Connection>,
    last: Option<(Instant, Result<Answer, ClusterError>)>,
}

/// Finished question to a node.
struct Asked {
    node: Endpoint,
    connection: Option<Connection>,
    outcome: Result<Answer, ClusterError>,
}

/// Failure to learn the slots.
#[derive(Debug, Clone, thiserror::Error)]
pub(in crate::redis::client) enum ClusterError {
    /// No node answers, or each refuses to.
    #[error("no node of the cluster names the owners of slots")]
    Silent(
        /// Failure of one of them.
        #[source]
        Option<Error>,
    ),
    /// A node gives an answer that is none.
    #[error("the answer of {0} is unusable")]
    Malformed(Endpoint, #[source] Malformed),
}

impl ClusterError {
    /// Class of a failure that may end without a change of this node.
    pub(in crate::redis::client) fn outage(&self) -> Option<&'static str> {
        match self {
            Self::Silent(Some(error)) => waitable(error),
            Self::Silent(None) => Some("unreachable"),
            Self::Malformed(_, Malformed::NoOwner) => Some("cluster_down"),
            Self::Malformed(..) => None,
        }
    }
}

impl ClusterWatch {
    /// Asks the nodes of the URL until most have answered, and takes over the slots that they name.
    pub(super) async fn start(
        connector: &Connector,
        seeds: &[Endpoint],
        dependency: Dependency,
    ) -> Result<Self, ConnectError> {
        let mut watch = Self {
            connector: connector.clone(),
            seeds: seeds.to_vec(),
            dependency,
            nodes: HashMap::new(),
            asked: FuturesUnordered::new(),
            asked_at: Instant::now(),
        };
        watch.ask();
        while let Some(asked) = watch.asked.next().await {
            watch.record(asked);
            if 2 * watch.answers(Instant::now()).count() > watch.nodes.len() {
                break;
            }
        }
        match watch.decide() {
            Ok(()) => Ok(watch),
            Err(error) => Err(ConnectError::NoPrimary {
                address: connector.address(),
                source: Box::new(error),
            }),
        }
    }

    /// Follows changes for ever.
    pub(super) async fn run(mut self) {
        let mut round = interval(INTERVAL);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let slots = self.connector.slots().clone();
        let mut is_stale = false;
        loop {
            tokio::select! {
                _ = round.tick() => self.ask(),
                () = slots.stale(), if !is_stale => is_stale = true,
                () = sleep_until(self.asked_at + SHORTEST_INTERVAL), if is_stale => {
                    is_stale = false;
                    self.ask();
                }
                Some(asked) = self.asked.next() => {
                    let node = asked.node.clone();
                    self.record(asked);
                    // The outcome is the state of the dependency.
                    drop(self.decide());
                    slots.count_answer(&node);
                }
            }
        }
    }

    /// Asks all known nodes but those that still owe an answer: those of the URL, and those that the last answer has named.
    fn ask(&mut self) {
        self.asked_at = Instant::now();
        let known = self.known();
        self.nodes.retain(|node, state| state.is_asked || known.contains(node));
        for node in known {
            let state = self.nodes.entry(node.clone()).or_default();
            if !state.is_asked {
                state.is_asked = true;
                let (connector, connection) = (self.connector.clone(), state.connection.take());
                self.asked.push(ask(connector, node, connection).boxed());
            }
        }
    }

    fn known(&self) -> Vec<Endpoint> {
        let map = self.connector.slots().current();
        let replicas = self.answers(Instant::now()).flat_map(|answer| &answer.replicas);
        let all = map.servers().chain(&self.seeds).chain(replicas);
        let mut known: Vec<Endpoint> = Vec::new();
        for node in all {
            if known.len() < MAX_NODES && !known.contains(node) {
                known.push(node.clone());
            }
        }
        known
    }

    fn record(&mut self, asked: Asked) {
        if let Some(state) = self.nodes.get_mut(&asked.node) {
            state.is_asked = false;
            state.connection = asked.connection;
            state.last = Some((Instant::now(), asked.outcome));
        }
    }

    /// Takes over the slots that the nodes name, and reports the outcome to the dependency.
    fn decide(&self) -> Result<(), ClusterError> {
        let (now, slots) = (Instant::now(), self.connector.slots());
        let current = slots.current();
        let elected = elect(self.answers(now), &current).map(|answer| answer.map.clone());
        match elected {
            Some(map) => {
                if map.primaries() != current.primaries() && !current.primaries().is_empty() {
                    let (from, to) = (named(&current), named(&map));
                    tracing::info!(from, to, "redis primaries changed, connections follow");
                }
                slots.replace(map);
                self.dependency.succeeded();
                Ok(())
            }
            None => {
                let error = self.fault(now);
                self.dependency
                    .failed(error.outage().unwrap_or("refused"), chain(&error));
                Err(error)
            }
        }
    }

    /// Answers that are recent.
    fn answers(&self, now: Instant) -> impl Iterator<Item = &Answer> + Clone {
        self.recent(now).filter_map(|outcome| outcome.as_ref().ok())
    }

    fn recent(&self, now: Instant) -> impl Iterator<Item = &Result<Answer, ClusterError>> + Clone {
        let last = self.nodes.values().filter_map(|state| state.last.as_ref());
        let recent = last.filter(move |(at, _)| now.saturating_duration_since(*at) < RECENT);
        recent.map(|(_, outcome)| outcome)
    }

    /// Reason why no answer counts.
    fn fault(&self, now: Instant) -> ClusterError {
        let faults = self.recent(now).filter_map(|outcome| outcome.as_ref().err());
        let answered = |fault: &&ClusterError| fault.outage().is_none_or(|class| class != "unreachable");
        let fault = faults.clone().find(answered).or_else(|| faults.clone().last());
        fault.cloned().unwrap_or(ClusterError::Silent(None))
    }
}

/// Asks a node, over a new connection if the last question has failed.
async fn ask(connector: Connector, node: Endpoint, connection: Option<Connection>) -> Asked {
    match layout(&connector, &node, connection).await {
        Ok((connection, answer)) => Asked {
            node,
            connection: Some(connection),
            outcome: Ok(answer),
        },
        Err(error) => Asked {
            node,
            connection: None,
            outcome: Err(error),
        },
    }
}

async fn layout(
    connector: &Connector,
    node: &Endpoint,
    connection: Option<Connection>,
) -> Result<(Connection, Answer), ClusterError> {
    let failed = |error| ClusterError::Silent(Some(error));
    let connection = match connection {
        Some(connection) => connection,
        None => {
            let opened = connector.open_at(node.clone(), Purpose::Topology).await;
            opened.map_err(failed)?
        }
    };
    let fred = connection.client();
    let ask = |subcommand: &'static str| {
        let cluster = CustomCommand::new_static("CLUSTER", None::<u16>, false);
        // Boxed: fred's futures are several KiB.
        Box::pin(fred.custom::<Value, &'static str>(cluster, vec![subcommand]))
    };
    let (slots, nodes) = tokio::join!(ask("SLOTS"), ask("NODES"));
    let (slots, nodes) = (slots.map_err(failed)?, nodes.map_err(failed)?);
    let answer = Answer::read(slots, &nodes, node);
    let answer = answer.map_err(|malformed| ClusterError::Malformed(node.clone(), malformed))?;
    Ok((connection, answer))
}

/// Answer that counts: of those with the highest configuration epoch the one that most nodes give, or else the known one.
fn elect<'a>(answers: impl Iterator<Item = &'a Answer> + Clone, current: &SlotMap) -> Option<&'a Answer> {
    let votes = |answer: &Answer| answers.clone().filter(|other| other.map == answer.map).count();
    answers
        .clone()
        .max_by_key(|answer| (answer.epoch, votes(answer), answer.map == *current))
}

fn named(map: &SlotMap) -> String {
    let names: Vec<String> = map.primaries().iter().map(ToString::to_string).collect();
    names.join(",")
}

/// Interval of the questions.
const INTERVAL: Duration = Duration::from_secs(1);
/// Shortest time between them, however often nodes contradict the map.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(50);
/// Age at which an answer no longer counts.
const RECENT: Duration = Duration::from_secs(5);
/// Bound of nodes that are asked.
const MAX_NODES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(owner: &str, epoch: u64) -> Answer {
        Answer {
            map: SlotMap::of_one(Endpoint {
                host: owner.to_owned(),
                port: 6379,
            }),
            epoch,
            replicas: Vec::new(),
        }
    }

    fn elected(answers: &[Answer], current: &str) -> Option<String> {
        let answer = elect(answers.iter(), &answer(current, 0).map)?;
        answer.map.owner(0).map(|owner| owner.host.clone())
    }

    #[test]
    fn answer_of_the_newest_configuration_counts_also_against_a_majority() {
        for owners in [["old", "new", "old"], ["new", "old", "old"]] {
            let answers = owners.map(|owner| answer(owner, if owner == "new" { 5 } else { 4 }));
            assert_eq!(elected(&answers, "old").as_deref(), Some("new"));
        }
        assert_eq!(elected(&[], "old"), None);
    }

    #[test]
    fn of_answers_of_one_epoch_the_most_frequent_counts_or_else_the_known_one() {
        let answers = ["a", "b", "b"].map(|owner| answer(owner, 5));
        assert_eq!(elected(&answers, "a").as_deref(), Some("b"));
        let answers = ["a", "b"].map(|owner| answer(owner, 5));
        for known in ["a", "b"] {
            assert_eq!(elected(&answers, known).as_deref(), Some(known));
        }
    }
}
