//! Keys of a Redis as lines of text, and lines as keys.
//!
//! In a line `RUN` is the replication id of the server, `EPOCH` the epoch of the user, `MS` a time in milliseconds and `US` one in
//! microseconds. Elements are separated by ` | `; those of a set and the fields of a hash are sorted, as are the fields of JSON that a script
//! writes.

use std::collections::BTreeMap;

use protocol::cluster::offset::Epoch;
use serde_json::Value;
use testkit::Redis;

/// A key and its value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StoredKey {
    pub(super) key: String,
    kind: String,
    value: String,
}

/// Keys of the checked-in file.
pub(super) fn checked_in() -> impl Iterator<Item = StoredKey> {
    include_str!("keys.txt").lines().map(|line| {
        let mut parts = line.splitn(3, ' ').map(str::to_owned);
        StoredKey {
            key: parts.next().unwrap(),
            kind: parts.next().unwrap(),
            value: parts.next().unwrap_or_default(),
        }
    })
}

/// Keys of a server with prefix `pn`, in the order of their names.
pub(super) async fn stored_keys(redis: &Redis, epoch: &Epoch) -> Vec<StoredKey> {
    let run = replication_id(redis).await;
    let mut keys: Vec<_> = redis
        .command(&["KEYS", "pn:*"])
        .await
        .lines()
        .map(str::to_owned)
        .collect();
    keys.sort();
    let mut stored = Vec::new();
    for key in keys {
        let kind = redis.command(&["TYPE", &key]).await;
        let value = redis.command(&read(&kind, &key)).await;
        let elements: Vec<_> = value.lines().map(|element| sorted_fields(&key, element)).collect();
        let elements = match kind.as_str() {
            "set" => sorted(&elements, 1),
            "hash" => sorted(&elements, 2),
            _ => elements,
        };
        let value = elements
            .join(SEPARATOR)
            .replace(&run, "RUN")
            .replace(epoch.as_str(), "EPOCH");
        stored.push(StoredKey {
            key,
            kind,
            value: without_times(&value).trim_end().to_owned(),
        });
    }
    stored
}

impl StoredKey {
    /// Stores the key in a server, with times an hour ahead.
    pub(super) async fn store(&self, redis: &Redis, epoch: &Epoch) {
        let run = replication_id(redis).await;
        let ahead = millis_ahead(redis, 3_600).await;
        let value = self.value.replace("RUN", &run).replace("EPOCH", epoch.as_str());
        let value = value.replace("MS", &ahead).replace("US", &format!("{ahead}000"));
        let mut elements: Vec<&str> = value.split(SEPARATOR).collect();
        let text = elements.join("\n");
        let write = match self.kind.as_str() {
            "string" => {
                elements = vec![text.as_str()];
                "SET"
            }
            "hash" => "HSET",
            "set" => "SADD",
            "list" => "RPUSH",
            "zset" => {
                // A score precedes its member.
                elements.reverse();
                "ZADD"
            }
            "stream" if value.is_empty() => return,
            "stream" => "XADD",
            other => panic!("{other}"),
        };
        redis
            .command(&[&[write, self.key.as_str()][..], &elements[..]].concat())
            .await;
    }
}

/// Time by the server's clock, this many seconds ahead, in ms since 1970.
pub(super) async fn millis_ahead(redis: &Redis, seconds: u64) -> String {
    let time = redis.command(&["TIME"]).await;
    let now: u64 = time.lines().next().unwrap().parse().unwrap();
    ((now + seconds) * 1_000).to_string()
}

async fn replication_id(redis: &Redis) -> String {
    let info = redis.command(&["INFO", "replication"]).await;
    let id = info.lines().find_map(|line| line.strip_prefix("master_replid:"));
    id.unwrap().trim().to_owned()
}

fn read<'a>(kind: &str, key: &'a str) -> Vec<&'a str> {
    match kind {
        "string" => vec!["GET", key],
        "hash" => vec!["HGETALL", key],
        "set" => vec!["SMEMBERS", key],
        "list" => vec!["LRANGE", key, "0", "-1"],
        "zset" => vec!["ZRANGE", key, "0", "-1", "WITHSCORES"],
        "stream" => vec!["XRANGE", key, "-", "+"],
        other => panic!("{key} is of type {other}"),
    }
}

/// Elements in order, as far as the server keeps none. Each is as many parts.
fn sorted(elements: &[String], parts: usize) -> Vec<String> {
    let mut elements: Vec<_> = elements.chunks(parts).collect();
    elements.sort();
    elements.concat()
}

/// Resume token with its fields in order: a script encodes a table, whose fields have none.
fn sorted_fields(key: &str, element: &str) -> String {
    if key.ends_with(":pids") && element.starts_with('{') {
        let fields: BTreeMap<String, Value> = serde_json::from_str(element).unwrap();
        return serde_json::to_string(&fields).unwrap();
    }
    element.to_owned()
}

/// Replaces times of our century. Padded numbers begin with a zero.
fn without_times(text: &str) -> String {
    let mut replaced = String::new();
    let mut digits = String::new();
    // A character that is no digit ends the last number.
    for character in text.chars().chain(['\n']) {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        replaced += match (digits.len(), digits.starts_with('1')) {
            (13, true) => "MS",
            (16, true) => "US",
            _ => digits.as_str(),
        };
        digits.clear();
        replaced.push(character);
    }
    replaced
}

const SEPARATOR: &str = " | ";
