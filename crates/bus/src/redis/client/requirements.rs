//! Commands that nodes run: one list, which the ACL rules allow and the startup check tries.

use std::collections::BTreeSet;

use super::Script;
use crate::redis::settings::Prefix;

/// Commands of the scripts, each with arguments for a trial on an unused key, `<key>`. The first makes it a string, on which commands
/// of another type fail without effect; the last deletes it.
const OF_SCRIPTS: &[&str] = &[
    "SET <key> unused",
    "PEXPIRE <key> 60000",
    "PEXPIREAT <key> 9999999999999",
    "EXPIRE <key> 60",
    "DECRBY <key> 1",
    "EXISTS <key>",
    "GET <key>",
    "HDEL <key> field",
    "HGET <key> field",
    "HGETALL <key>",
    "HLEN <key>",
    "HMGET <key> field",
    "HSET <key> field value",
    "HVALS <key>",
    "INCRBY <key> 1",
    "INFO replication",
    "LPUSH <key> value",
    "LRANGE <key> 0 0",
    "LTRIM <key> 0 0",
    "MGET <key>",
    "PTTL <key>",
    "SADD <key> member",
    "SCARD <key>",
    "SISMEMBER <key> member",
    "SMISMEMBER <key> member",
    "SPUBLISH <key> unused",
    "TIME",
    "TTL <key>",
    "XACK <key> group 0-1",
    "XADD <key> * field value",
    "XCLAIM <key> group consumer 0 0-1",
    "XDEL <key> 0-1",
    "XGROUP CREATE <key> group 0",
    "XGROUP DELCONSUMER <key> group consumer",
    "XINFO CONSUMERS <key> group",
    "XINFO GROUPS <key>",
    "XLEN <key>",
    "XPENDING <key> group",
    "XRANGE <key> - +",
    "ZADD <key> 0 member",
    "ZCARD <key>",
    "ZRANGE <key> 0 0",
    "ZREM <key> member",
    "ZREMRANGEBYRANK <key> 0 0",
    "ZREMRANGEBYSCORE <key> 0 0",
    "ZSCORE <key> member",
    "DEL <key>",
];

/// Commands outside of scripts, each with arguments for a trial without effect.
const PLAIN: &[&str] = &[
    // First, as a replica that has lost its primary refuses a write as any replica does.
    "MGET <key>",
    "DEL <key>",
    EVALSHA,
    "GETDEL <key>",
    "INFO replication",
    "PING",
    "SET <key> unused PX 1 XX",
    "SPUBLISH <key> unused",
    "XREADGROUP GROUP group consumer COUNT 1 STREAMS <key> >",
];

/// The digest is that of no script.
const EVALSHA: &str = "EVALSHA 0000000000000000000000000000000000000000 0";

/// Commands that a trial needs no arguments for: those of each connection and its subscriptions, and EVAL, by which the others are tried.
const OF_CONNECTIONS: &[&str] = &["EVAL", "HELLO", "SELECT", "SSUBSCRIBE", "SUNSUBSCRIBE", "TIME"];

/// Commands that a cluster needs besides, each with arguments for a trial without effect.
const OF_CLUSTERS: &[&str] = &["ASKING", "CLUSTER NODES", "CLUSTER SLOTS"];

/// Commands that a node does without: the id of a connection, which fred asks for, its number of channels, and notifications of expired
/// keys.
const OPTIONAL: &[&str] = &["CLIENT ID", "CLIENT INFO", "SUBSCRIBE"];

/// Command with its arguments for a trial.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trial(&'static str);

impl Trial {
    /// Trials of the commands that these scripts call.
    pub(super) fn of_scripts(scripts: &[&Script]) -> Vec<Self> {
        let trials = OF_SCRIPTS.iter().copied().map(Self);
        trials.filter(|trial| trial.is_of(scripts)).collect()
    }

    /// Trials of the commands outside of scripts.
    pub(super) fn plain() -> impl Iterator<Item = Self> {
        PLAIN.iter().copied().map(Self)
    }

    /// Trials of the commands that a cluster needs besides.
    pub(super) fn of_clusters() -> impl Iterator<Item = Self> {
        OF_CLUSTERS.iter().copied().map(Self)
    }

    /// Trial of the command that runs a known script.
    pub(super) fn of_known_script() -> Self {
        Self(EVALSHA)
    }

    /// Name of the command, in capitals, with `|` before a subcommand.
    pub(super) fn command(self) -> String {
        let command = self.word();
        match self.0.split(' ').nth(1).filter(|_| WITH_SUBCOMMANDS.contains(&command)) {
            Some(subcommand) => format!("{command}|{subcommand}"),
            None => command.to_owned(),
        }
    }

    /// Command alone.
    pub(super) fn word(self) -> &'static str {
        self.0.split(' ').next().unwrap_or_default()
    }

    /// Arguments of the command.
    pub(super) fn arguments(self, key: &str) -> impl Iterator<Item = String> {
        let arguments = self.0.split(' ').skip(1);
        arguments.map(move |word| if word == "<key>" { key } else { word }.to_owned())
    }

    /// Text for the script that tries commands.
    pub(super) fn line(self) -> String {
        self.0.to_owned()
    }

    /// Reports whether one of the scripts calls the command, or the trials of the others need it.
    fn is_of(self, scripts: &[&Script]) -> bool {
        let command = self.command();
        let called = format!("call('{}'", command.replace('|', "', '"));
        let makes_the_key = command == "SET" || command == "DEL";
        makes_the_key || scripts.iter().any(|script| script.text().contains(&called))
    }
}

/// ACL rules of the Redis user of all nodes, for `ACL SETUSER <name> on ><password> <rules>`.
#[must_use]
pub fn acl_rules(prefix: &Prefix) -> String {
    let prefix = prefix.as_str();
    let mut rules = format!("resetkeys ~{prefix}:* resetchannels &{prefix}:* &__keyevent@*__:expired -@all");
    for command in commands() {
        rules += " +";
        rules += &command;
    }
    rules
}

/// Names of all commands, as ACL rules have them.
fn commands() -> BTreeSet<String> {
    let all = [OF_SCRIPTS, PLAIN, OF_CONNECTIONS, OF_CLUSTERS, OPTIONAL].concat();
    all.into_iter()
        .map(|line| Trial(line).command().to_lowercase())
        .collect()
}

/// Commands whose permissions are those of their subcommands.
const WITH_SUBCOMMANDS: &[&str] = &["CLIENT", "CLUSTER", "XGROUP", "XINFO"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Operation;

    /// Commands that the files of the scripts call.
    fn called() -> BTreeSet<String> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/redis/script");
        let mut called = BTreeSet::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            for call in text.split("call('").skip(1) {
                let (command, rest) = call.split_once('\'').unwrap();
                let subcommand = rest.strip_prefix(", '").and_then(|rest| rest.split('\'').next());
                called.insert(match subcommand.filter(|_| WITH_SUBCOMMANDS.contains(&command)) {
                    Some(subcommand) => format!("{command}|{subcommand}"),
                    None => command.to_owned(),
                });
            }
        }
        called
    }

    #[test]
    fn commands_of_scripts_are_those_that_the_scripts_call() {
        let listed: BTreeSet<String> = OF_SCRIPTS.iter().map(|line| Trial(line).command()).collect();
        assert_eq!(listed, called());
        assert_eq!(listed.len(), OF_SCRIPTS.len());
    }

    #[test]
    fn commands_with_metrics_are_allowed() {
        let allowed = commands();
        for operation in Operation::ALL {
            let name = operation.name().to_lowercase();
            let is_command = !operation.name().contains(char::is_lowercase);
            assert!(!is_command || allowed.contains(&name), "{name}");
        }
    }

    #[test]
    fn rules_name_prefix_and_subcommands() {
        let rules = acl_rules(&"gate".parse().unwrap());
        assert!(
            rules.starts_with(
                "resetkeys ~gate:* resetchannels &gate:* &__keyevent@*__:expired -@all +asking +client|id "
            )
        );
        assert!(rules.contains(" +xgroup|create ") && !rules.contains("+xgroup "));
    }
}
