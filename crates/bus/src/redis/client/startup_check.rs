//! Startup check: tries every command and script that a node will run, and names those that the server refuses.

use fred::error::Error;
use fred::interfaces::{ClientLike, PubsubInterface};
use fred::types::{CustomCommand, Value};
use futures_util::future::select;

use super::command_failure::{CommandFailure, refusal};
use super::connect_error::{CommandRefusal, ConnectError};
use super::connector::Purpose;
use super::node::NodeClient;
use super::requirements::Trial;
use super::{RedisReply, Script};
use crate::BusError;
use crate::operation::Operation;

/// Commands and scripts that a connection will run, with unused names to try it on.
pub(in crate::redis) struct AccessCheck<'a> {
    /// Unused names by their numbers, in different slots of a cluster.
    pub(in crate::redis) names: &'a (dyn Fn(u32) -> String + Send + Sync),
    /// Scripts.
    pub(in crate::redis) scripts: Vec<&'a Script>,
    /// Commands besides those of the scripts.
    pub(in crate::redis) scope: AccessScope,
}

/// Commands that a connection will run besides those of its scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::redis) enum AccessScope {
    /// All that nodes run.
    All,
    /// None.
    Scripts,
}

impl NodeClient {
    /// Checks that the server accepts every command and compiles every script, and reports all that it refuses. Warns if it may evict keys.
    pub(super) async fn check_access(&self, access: &AccessCheck<'_>) -> Result<(), ConnectError> {
        let address = self.connector().address_of(self.server());
        let unusable = |source| ConnectError::Unusable {
            address: address.clone(),
            source: Box::new(source),
        };
        let key = self.own_name(access);
        let mut attempts = attempts(access, &key);
        if self.connector().is_cluster() {
            attempts.extend(Trial::of_clusters().map(|trial| Attempt::of(trial, &key)));
        }
        let mut refusals = self.try_all(attempts).await.map_err(unusable)?;
        if access.scope == AccessScope::All {
            refusals.extend(self.try_subscription(&key).await.map_err(unusable)?);
        }
        if !refusals.is_empty() {
            return Err(ConnectError::Missing { address, refusals });
        }
        if !self.connector().is_cluster() {
            self.try_slots(access).await.map_err(unusable)?;
        }
        if access.scope == AccessScope::All {
            let replication = self.info("replication").await.map_err(unusable)?;
            if !has_replication_id(&replication) {
                return Err(ConnectError::NoReplicationId { address });
            }
            self.warn_of_eviction(&address).await;
        }
        Ok(())
    }

    /// Unused name in a slot of this server, for a key and a channel.
    fn own_name(&self, access: &AccessCheck<'_>) -> String {
        let slots = self.connector().slots().current();
        let mut names = (0..NAMES).map(access.names);
        let own = names.find(|name| slots.owner_of(name) == Some(self.server()));
        own.unwrap_or_else(|| (access.names)(0))
    }

    /// Runs attempts in one round trip.
    async fn try_all(&self, attempts: Vec<Attempt>) -> Result<Vec<CommandRefusal>, BusError> {
        let run = async |fred: fred::clients::Client| {
            let pipeline = fred.pipeline();
            for Attempt { command, arguments, .. } in &attempts {
                let command = CustomCommand::new_static(command, None::<u16>, false);
                let _queued: Value = pipeline.custom(command, arguments.clone()).await?;
            }
            Ok(pipeline.try_all::<Value>().await)
        };
        let outcomes = self.ask(STEP, Operation::StartupCheck, run).await?;
        let mut refusals: Vec<CommandRefusal> = Vec::new();
        for (attempt, outcome) in attempts.iter().zip(outcomes) {
            for refused in attempt.refusals(outcome)? {
                // A user who may not run scripts is refused each of them.
                if !refusals.iter().any(|known| known.command == refused.command) {
                    refusals.push(refused);
                }
            }
        }
        Ok(refusals)
    }

    /// Subscribes to a channel, and unsubscribes, on a connection of its own.
    async fn try_subscription(&self, channel: &str) -> Result<Vec<CommandRefusal>, BusError> {
        let opened = self.connector().open_at(self.server().clone(), Purpose::Commands).await;
        let connection = opened.map_err(|error| CommandFailure::Fred(error).at_step(STEP))?;
        let fred = connection.client();
        let subscribed = Box::pin(fred.ssubscribe(channel)).await;
        // fred does not wait for the reply to its own SUNSUBSCRIBE, and drops the confirmation of one that it does not know, which then
        // has the next reply, unless it is refused. The connection is of no use afterwards.
        let command = |name, arguments: Vec<String>| {
            let command = CustomCommand::new_static(name, None::<u16>, false);
            Box::pin(fred.custom::<Value, String>(command, arguments))
        };
        let unsubscribe = command("SUNSUBSCRIBE", vec![channel.to_owned()]);
        let first = select(unsubscribe, command("TIME", Vec::new())).await;
        let (unsubscribed, _unread) = first.factor_first();
        let refused = [
            refused("SSUBSCRIBE", subscribed.err())?,
            refused("SUNSUBSCRIBE", unsubscribed.err())?,
        ];
        Ok(refused.into_iter().flatten().collect())
    }

    /// Runs a command for several keys on a cluster node that is used like a single server, as one key may be in one of its own slots.
    async fn try_slots(&self, access: &AccessCheck<'_>) -> Result<(), BusError> {
        let cluster = self.info("cluster").await.unwrap_or_default();
        if !cluster.contains("cluster_enabled:1") {
            return Ok(());
        }
        let attempts = (0..OTHER_SLOTS).map(|number| Attempt {
            command: "DEL",
            arguments: vec![(access.names)(number)],
            tried: Tried::Command("DEL".to_owned()),
        });
        self.try_all(attempts.collect()).await.map(drop)
    }

    async fn warn_of_eviction(&self, redis: &str) {
        // Managed servers often forbid CONFIG, but not INFO.
        let memory = self.info("memory").await.unwrap_or_default();
        let policy = memory.lines().find_map(|line| line.strip_prefix("maxmemory_policy:"));
        match policy {
            Some("noeviction") => {}
            Some(policy) => tracing::warn!(redis, policy, "redis maxmemory-policy may evict keys, set noeviction"),
            None => tracing::warn!(redis, "redis maxmemory-policy unknown, set noeviction"),
        }
    }

    async fn info(&self, section: &'static str) -> Result<String, BusError> {
        let info = CustomCommand::new_static("INFO", None::<u16>, false);
        let step = "read INFO";
        self.ask(step, Operation::Info, async |fred| {
            fred.custom(info, vec![section]).await
        })
        .await
    }
}

/// Command that is tried.
struct Attempt {
    command: &'static str,
    arguments: Vec<String>,
    tried: Tried,
}

/// Subject of an attempt.
enum Tried {
    /// The command itself, by its name.
    Command(String),
    /// Commands within a script, in their sequence.
    InScript(Vec<Trial>),
    /// Compilation of the script with this name.
    Script(&'static str),
}

/// Attempts of a check, on this key.
fn attempts(access: &AccessCheck<'_>, key: &str) -> Vec<Attempt> {
    let plain: Vec<Trial> = match access.scope {
        AccessScope::All => Trial::plain().collect(),
        AccessScope::Scripts => vec![Trial::of_known_script()],
    };
    let plain = plain.into_iter().map(|trial| Attempt::of(trial, key));
    let in_script = Trial::of_scripts(&access.scripts);
    let script = include_str!("../script/startup_check.lua").to_owned();
    let begin = [script, "1".to_owned(), key.to_owned()];
    let in_script = Attempt {
        command: EVAL,
        arguments: begin
            .into_iter()
            .chain(in_script.iter().map(|trial| trial.line()))
            .collect(),
        tried: Tried::InScript(in_script),
    };
    let scripts = access.scripts.iter().map(|script| Attempt {
        command: EVAL,
        // Without keys nothing of it runs.
        arguments: vec![
            format!("if #KEYS == 0 then return 0 end\n{}", script.text()),
            "0".to_owned(),
        ],
        tried: Tried::Script(script.name()),
    });
    plain.chain([in_script]).chain(scripts).collect()
}

impl Attempt {
    /// Attempt of a command outside of scripts.
    fn of(trial: Trial, key: &str) -> Self {
        Self {
            command: trial.word(),
            arguments: trial.arguments(key).collect(),
            tried: Tried::Command(trial.command()),
        }
    }

    /// Refusals in the outcome of the attempt; an error for a fault of the server or the connection.
    fn refusals(&self, outcome: Result<Value, Error>) -> Result<Vec<CommandRefusal>, BusError> {
        let name = match &self.tried {
            Tried::Command(name) => name.as_str(),
            Tried::InScript(trials) => match outcome {
                Ok(reply) => return refused_in_script(trials, reply),
                Err(error) => return Ok(refused(EVAL, Some(error))?.into_iter().collect()),
            },
            // A script that does not compile is no missing permission.
            Tried::Script(name) => match &outcome {
                Err(error) if refusal(error) == Some("ERR") => *name,
                _ => EVAL,
            },
        };
        Ok(refused(name, outcome.err())?.into_iter().collect())
    }
}

/// Refusals in the reply of the script that tries commands: positions and errors.
fn refused_in_script(trials: &[Trial], reply: Value) -> Result<Vec<CommandRefusal>, BusError> {
    let (mut reply, mut refusals) = (RedisReply::new(STEP, reply), Vec::new());
    while !reply.is_empty() {
        let position: usize = reply.read()?;
        let trial = position.checked_sub(1).and_then(|index| trials.get(index));
        let trial = trial.ok_or_else(|| reply.unreadable("unknown command"))?;
        let text = String::from_utf8_lossy(&reply.bytes()?).into_owned();
        refusals.push(CommandRefusal {
            command: trial.command(),
            // Redis 7.0 appends the digest of the script.
            reply: text.split(" script: ").next().unwrap_or_default().to_owned(),
        });
    }
    Ok(refusals)
}

/// Refusal of a command; an error for a fault of the server or the connection. That something does not exist is no refusal.
fn refused(command: &str, error: Option<Error>) -> Result<Option<CommandRefusal>, BusError> {
    let Some(error) = error else { return Ok(None) };
    match refusal(&error) {
        Some("NOGROUP" | "NOSCRIPT" | "WRONGTYPE") => Ok(None),
        Some("ERR" | "NOPERM") => Ok(Some(CommandRefusal {
            command: command.to_owned(),
            reply: error.details().to_owned(),
        })),
        _ => Err(CommandFailure::Fred(error).at_step(STEP)),
    }
}

/// Reports whether INFO has the replication id as `replication_id.lua` reads it.
fn has_replication_id(info: &str) -> bool {
    let id = info.lines().find_map(|line| line.strip_prefix("master_replid:"));
    id.is_some_and(|id| id.len() == 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Names among which that of a server is sought. One that owns a single slot has none of them once in 10^26.
const NAMES: u32 = 1_000_000;
/// Names that are tried on a single server. Of two nodes of a cluster with half of the slots each, the connected one has all of them with
/// a probability of 1 in 4 billion.
const OTHER_SLOTS: u32 = 32;
const EVAL: &str = "EVAL";
const STEP: &str = "try what nodes need";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replication_id_is_40_hexadecimal_digits() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        assert!(has_replication_id(&format!(
            "role:master\r\nmaster_replid:{id}\r\nmaster_repl_offset:0\r\n"
        )));
        for info in ["role:master\r\n", "master_replid:\r\n", "master_replid:0123\r\n"] {
            assert!(!has_replication_id(info), "{info}");
        }
    }
}
