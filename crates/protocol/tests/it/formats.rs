//! Formats of the messages between nodes: each is written as a checked-in line has it, and read from it.
//!
//! Whoever changes one raises its version, adds lines of that version, and leaves those of before, as a node of the previous release writes
//! them (docs/operations/upgrading.md).

use std::collections::BTreeSet;

use protocol::cluster::envelope::{Audience, Envelope};
use protocol::cluster::job::{Job, Reply, Work};
use protocol::event::DeliveryClass;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

const JOBS: &str = include_str!("formats/jobs.jsonl");
const ENVELOPES: &str = include_str!("formats/envelopes.jsonl");
const REPLIES: &str = include_str!("formats/replies.jsonl");

#[test]
fn jobs_are_read_and_written_in_the_checked_in_format() {
    let mut names = BTreeSet::new();
    for version in 1..=Job::LATEST_VERSION {
        for job in read_and_written::<Job>(JOBS, version) {
            assert_eq!(job.work.version(), version, "{}", job.work.name());
            names.insert(job.work.name());
        }
    }
    assert_eq!(names, Work::names().collect::<BTreeSet<_>>(), "one line for each work");
}

#[test]
fn envelopes_are_read_and_written_in_the_checked_in_format() {
    let envelopes: Vec<_> = read_and_written::<Envelope>(ENVELOPES, Envelope::VERSION).collect();
    let has = |is: fn(&Envelope) -> bool| envelopes.iter().any(is);
    assert!(has(|envelope| envelope.class == DeliveryClass::Critical));
    assert!(has(|envelope| envelope.class == DeliveryClass::State));
    assert!(has(|envelope| envelope.class == DeliveryClass::Feed));
    assert!(has(|envelope| matches!(envelope.audience, Audience::User)));
    assert!(has(|envelope| matches!(envelope.audience, Audience::Session(_))));
    assert!(has(|envelope| matches!(envelope.audience, Audience::Socket(_))));
}

#[test]
fn replies_are_read_and_written_in_the_checked_in_format() {
    assert_eq!(read_and_written::<Reply>(REPLIES, Job::VERSION).count(), 3);
}

/// A node that is one release newer may add fields that the reader can do without.
#[test]
fn field_that_the_reader_does_not_know_is_ignored() {
    with_unknown_field::<Job>(JOBS);
    with_unknown_field::<Envelope>(ENVELOPES);
    with_unknown_field::<Reply>(REPLIES);
}

/// A work that only newer nodes know is a job that the reader leaves to them, because its version is newer too: so did workers of the release
/// before requests of the internal API with these.
#[test]
fn unknown_work_is_not_read() {
    let line = JOBS.lines().last().unwrap().replacen("api_request", "telegraph", 1);
    assert!(serde_json::from_str::<Job>(&line).is_err());
}

/// Messages of all lines. Those of the current version are written as they were read; others are of the release before.
fn read_and_written<M: Serialize + DeserializeOwned>(lines: &str, version: u8) -> impl Iterator<Item = M> {
    lines.lines().filter_map(move |line| {
        let message: M = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(
            line.starts_with(r#"{"v":"#),
            "scripts read the version at this place: {line}"
        );
        let is_current = line.starts_with(&format!(r#"{{"v":{version},"#));
        if is_current {
            assert_eq!(serde_json::to_string(&message).unwrap(), line);
        }
        is_current.then_some(message)
    })
}

fn with_unknown_field<M: Serialize + DeserializeOwned>(lines: &str) {
    for line in lines.lines() {
        let more = line.replacen('{', r#"{"more":1,"#, 1);
        let message: M = serde_json::from_str(&more).unwrap();
        let written: Value = serde_json::from_str(&serde_json::to_string(&message).unwrap()).unwrap();
        assert_eq!(written, serde_json::from_str::<Value>(line).unwrap());
    }
}
