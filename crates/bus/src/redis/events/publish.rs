//! Publication of events of one user by one script.

use std::borrow::Cow;

use bytes::Bytes;
use protocol::cluster::envelope::Envelope;
use protocol::event::name;
use protocol::id::UserId;
use protocol::time::Timestamp;

use super::{MAX_STARTS, UNRESTORED};
use crate::redis::RedisBus;
use crate::redis::client::{Arg, RedisReply};
use crate::versioned_message::VersionedMessage;
use crate::{BusError, PublishOutcome, PublishPhase, Repeats};

/// Events of one user that are published by one script, in their sequence.
#[derive(Debug)]
pub(super) struct Publish {
    events: Vec<EncodedEvent>,
    /// Phase as the script has it.
    phase: Cow<'static, str>,
    has_alert: bool,
}

#[derive(Debug)]
struct EncodedEvent {
    envelope: Vec<u8>,
    /// Id to record, or empty.
    id: String,
    /// Mark of the content to record, or empty.
    content: String,
}

impl Publish {
    /// Encodes an event.
    pub(super) fn new(event: &Envelope, repeats: Repeats, phase: PublishPhase<'_>) -> Result<Self, BusError> {
        let (id, content) = match repeats {
            Repeats::Dropped => (event.id.as_str(), String::new()),
            Repeats::Compared(content) => (event.id.as_str(), content.mark()),
            Repeats::Unrecorded => ("", String::new()),
        };
        let encoded = EncodedEvent {
            envelope: event.write()?,
            id: id.to_owned(),
            content,
        };
        Ok(Self {
            events: vec![encoded],
            phase: match phase {
                PublishPhase::Immediate => Cow::Borrowed(IMMEDIATE),
                PublishPhase::AfterRestore => Cow::Borrowed(""),
                PublishPhase::DuringRestore(epoch) => Cow::Owned(epoch.as_str().to_owned()),
            },
            has_alert: event.event == name::ALERT,
        })
    }

    /// Adds the events of a publish of the same phase.
    pub(super) fn append(&mut self, other: Self) {
        self.events.extend(other.events);
        self.has_alert |= other.has_alert;
    }

    /// Reports whether the events of both can go in one script.
    pub(super) fn has_phase_of(&self, other: &Self) -> bool {
        self.phase == other.phase
    }

    /// Number of events.
    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// Bytes of the events.
    pub(super) fn bytes(&self) -> usize {
        self.events.iter().map(|event| event.envelope.len()).sum()
    }
}

impl RedisBus {
    /// Appends events to the log of their user, and publishes them; returns an outcome for each.
    pub(super) async fn run_publish(&self, user: &UserId, publish: &Publish) -> Result<Vec<PublishOutcome>, BusError> {
        for _ in 0..=MAX_STARTS {
            let reply = self.publish_once(user, publish).await?;
            match outcomes(reply, publish.len())? {
                Some(outcomes) => return Ok(outcomes),
                // Started by a script of its own: one that deletes keys and writes them again may stop in between while their
                // slot migrates, and a repeated publish would take the recorded id for that of a published event.
                None if publish.phase == IMMEDIATE => {
                    Box::pin(self.offset(user)).await?;
                }
                None => return Ok(vec![PublishOutcome::Unrestored; publish.len()]),
            }
        }
        Err(BusError::Unreadable {
            step: STEP,
            source: "the epoch changes again and again".into(),
        })
    }

    async fn publish_once(&self, user: &UserId, publish: &Publish) -> Result<RedisReply, BusError> {
        let (shared, names) = (&self.shared, &self.shared.names);
        let now = shared.commands.server_time();
        let alert_check = publish.has_alert.then(|| names.open(user));
        let keys = [names.offset(user), names.log(user), names.event_ids(user)];
        let head = [
            Arg::from(names.event_channel(user)),
            Arg::from(&*publish.phase),
            Arg::from(now.as_millis().to_string()),
        ];
        let events = publish.events.iter().flat_map(|event| {
            [
                Arg::from(published_at(now, &event.envelope)),
                Arg::from(event.id.as_str()),
                Arg::from(event.content.as_str()),
            ]
        });
        let script = &shared.events.publish;
        let keys = keys.into_iter().chain(alert_check);
        shared
            .commands
            .run(STEP, script, keys, head.into_iter().chain(events))
            .await
    }
}

/// Outcome of each event by the reply of the script; none if the log is unrestored.
fn outcomes(mut reply: RedisReply, events: usize) -> Result<Option<Vec<PublishOutcome>>, BusError> {
    let mut outcomes = Vec::with_capacity(events);
    while !reply.is_empty() {
        let value = reply.bytes()?;
        if value == UNRESTORED {
            return Ok(None);
        }
        outcomes.push(outcome(&reply, &value)?);
    }
    if outcomes.len() != events {
        return Err(reply.unreadable("it has another number of offsets"));
    }
    Ok(Some(outcomes))
}

/// Outcome by the text `<epoch>-<seq>`, `conflict`, or an empty one.
fn outcome(reply: &RedisReply, text: &Bytes) -> Result<PublishOutcome, BusError> {
    if text.is_empty() {
        return Ok(PublishOutcome::Duplicate);
    }
    if text == CONFLICT {
        return Ok(PublishOutcome::Conflict);
    }
    let offset = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    let offset = offset.ok_or_else(|| reply.unreadable("invalid offset"))?;
    Ok(PublishOutcome::Assigned(offset))
}

/// Encoded event with the time of its publish as the first field, in ms since 1970.
fn published_at(time: Timestamp, event: &[u8]) -> Vec<u8> {
    let fields = event.strip_prefix(b"{").unwrap_or(event);
    let mut published = format!(r#"{{"at":{},"#, time.as_millis()).into_bytes();
    published.extend_from_slice(fields);
    published
}

/// Reply for an event whose id was published with other content.
const CONFLICT: &[u8] = b"conflict";
/// Step of the errors.
const STEP: &str = "publish an event";
/// Phase of events that wait for no restore.
const IMMEDIATE: &str = "immediate";
