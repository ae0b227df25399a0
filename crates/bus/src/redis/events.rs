//! Events in Redis: per user a stream as the event log, a hash for the offset, and a sharded channel.

mod publish;
mod publish_lines;
mod subscriptions;

use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::try_join_all;
use protocol::cluster::envelope::Envelope;
use protocol::cluster::offset::{Epoch, Offset};
use protocol::fault::{Fault, chain};
use protocol::id::{EventId, UserId};
use tracing::Instrument;

pub(super) use self::publish_lines::PublishLines;

use self::publish::Publish;
use self::subscriptions::RedisSubscriptions;
use super::client::{Arg, RedisReply, Script};
use super::{PIPELINED, RedisBus};
use crate::bounds::{LOG_TTL, LOG_TTL_SLACK, MAX_EVENT_IDS, MAX_LOG_BYTES, MAX_LOG_EVENTS, OFFSET_TTL};
use crate::epoch::new_epoch;
use crate::operation::Operation;
use crate::trace;
use crate::versioned_message::VersionedMessage;
use crate::{
    BusError, ChannelMessages, Events, LogRead, PublishMode, PublishOutcome, PublishPhase, Repeats, UserSubscriptions,
};

/// Scripts of the events.
pub(super) struct EventScripts {
    publish: Script,
    offset: Script,
    restored: Script,
    since: Script,
    find: Script,
}

impl EventScripts {
    pub(super) fn new() -> Self {
        Self {
            publish: Script::new(Operation::PublishEvent, publish_script()),
            offset: Script::new(
                Operation::ReadOffset,
                concat!(
                    include_str!("script/replication_id.lua"),
                    include_str!("script/known_offset.lua"),
                    include_str!("script/current_offset.lua"),
                    include_str!("script/read_offset.lua")
                ),
            ),
            restored: Script::new(
                Operation::MarkRestored,
                concat!(
                    include_str!("script/replication_id.lua"),
                    include_str!("script/known_offset.lua"),
                    include_str!("script/mark_restored.lua")
                ),
            ),
            since: Script::new(
                Operation::ReadLog,
                concat!(
                    include_str!("script/replication_id.lua"),
                    include_str!("script/known_offset.lua"),
                    include_str!("script/current_offset.lua"),
                    include_str!("script/read_log.lua")
                ),
            ),
            find: Script::new(Operation::FindEvent, include_str!("script/find_event.lua")),
        }
    }

    /// All scripts, for the startup check.
    pub(super) fn all(&self) -> impl Iterator<Item = &Script> {
        let Self {
            publish,
            offset,
            since,
            restored,
            find,
        } = self;
        [publish, offset, since, restored, find].into_iter()
    }
}

/// Text of the script that publishes, below its constants: as arguments they would be sent with every event.
fn publish_script() -> String {
    let (offset_ttl, log_ttl, slack) = (OFFSET_TTL.as_secs(), LOG_TTL.as_secs(), LOG_TTL_SLACK.as_secs());
    format!(
        "local OFFSET_TTL, LOG_TTL, LOG_TTL_SLACK = {offset_ttl}, {log_ttl}, {slack}\n\
         local MAX_LOG_EVENTS, MAX_LOG_BYTES, MAX_EVENT_IDS = {MAX_LOG_EVENTS}, {MAX_LOG_BYTES}, {MAX_EVENT_IDS}\n\
         {}{}{}",
        include_str!("script/replication_id.lua"),
        include_str!("script/known_offset.lua"),
        include_str!("script/publish_event.lua")
    )
}

#[async_trait]
impl Events for RedisBus {
    async fn publish_with(
        &self,
        user: &UserId,
        event: &Envelope,
        mode: PublishMode<'_>,
    ) -> Result<PublishOutcome, BusError> {
        let (span, envelope) = trace::publication("redis", event);
        // Pinned here: a future that is moved into its span is copied.
        let published = pin!(async {
            let publish = Publish::new(&envelope, mode.repeats, mode.phase)?;
            self.publish_in_line(user, publish).await
        })
        .instrument(span.clone())
        .await;
        if let Err(error) = &published {
            telemetry::trace::failed(&span, error.code().as_str(), error);
        }
        // There is one for each event.
        Ok(published?.pop().unwrap_or(PublishOutcome::Duplicate))
    }

    async fn publish_all(
        &self,
        user: &UserId,
        events: &[(Envelope, Repeats)],
        phase: PublishPhase<'_>,
    ) -> Result<Vec<PublishOutcome>, BusError> {
        let (mut spans, mut all) = (Vec::with_capacity(events.len()), None::<Publish>);
        for (event, repeats) in events {
            let (span, envelope) = trace::publication("redis", event);
            spans.push(span);
            let publish = Publish::new(&envelope, *repeats, phase)?;
            match &mut all {
                Some(all) => all.append(publish),
                None => all = Some(publish),
            }
        }
        let Some(all) = all else {
            return Ok(Vec::new());
        };
        let published = self.publish_in_line(user, all).await;
        if let Err(error) = &published {
            let code = error.code();
            spans
                .iter()
                .for_each(|span| telemetry::trace::failed(span, code.as_str(), error));
        }
        published
    }

    async fn is_compared(&self, user: &UserId, id: &EventId) -> Result<bool, BusError> {
        let shared = &self.shared;
        let (keys, args) = ([shared.names.event_ids(user)], [Arg::from(id.as_str())]);
        let find = &shared.events.find;
        let mut reply = shared.commands.run("find an event", find, keys, args).await?;
        Ok(reply.read::<u8>()? == 1)
    }

    async fn unrestored_epoch(&self, user: &UserId) -> Result<Option<Epoch>, BusError> {
        let (offset, restore) = self.offset_and_restore(user).await?;
        Ok((restore == UNRESTORED).then_some(offset.epoch))
    }

    async fn mark_restored(&self, user: &UserId, epoch: &Epoch) -> Result<bool, BusError> {
        let shared = &self.shared;
        let (keys, args) = ([shared.names.offset(user)], [Arg::from(epoch)]);
        let script = &shared.events.restored;
        let mut reply = shared
            .commands
            .run("mark an event log as restored", script, keys, args)
            .await?;
        Ok(reply.read::<u8>()? == 1)
    }

    async fn offsets(&self, users: &[UserId]) -> Result<Vec<Offset>, BusError> {
        let mut offsets = Vec::with_capacity(users.len());
        for users in users.chunks(PIPELINED) {
            // One script per user, as no script spans two slots of a cluster; they are pipelined.
            let asked = users.iter().map(|user| self.offset(user));
            offsets.extend(try_join_all(asked).await?);
        }
        Ok(offsets)
    }

    async fn read_log(&self, user: &UserId, after: &Offset, limit: usize) -> Result<LogRead, BusError> {
        let (shared, names) = (&self.shared, &self.shared.names);
        let keys = [names.offset(user), names.log(user)];
        let args = [
            Arg::from(&new_epoch(&*shared.entropy)),
            Arg::from(OFFSET_TTL.as_secs()),
            Arg::from(&after.epoch),
            Arg::from(after.seq),
            Arg::from(limit.max(1)),
        ];
        let since = &shared.events.since;
        let mut reply = shared.commands.run("read an event log", since, keys, args).await?;
        let now = offset(&mut reply)?;
        if reply.bytes()? == "gap" {
            return Ok(LogRead::Gap(now));
        }
        let mut events = Vec::new();
        while !reply.is_empty() && events.len() < limit {
            let epoch = now.epoch.clone();
            let seq = reply.read()?;
            match Envelope::read(&reply.bytes()?) {
                Ok(envelope) => events.push((Offset { epoch, seq }, envelope)),
                Err(error) => {
                    // A retry would fail at the same entry.
                    shared.metrics.unreadable("event");
                    tracing::warn!(%user, error = chain(&error), "event log entry does not decode, log read stops there");
                    return Ok(if events.is_empty() {
                        LogRead::Gap(now)
                    } else {
                        LogRead::Events(events)
                    });
                }
            }
        }
        Ok(LogRead::Events(events))
    }

    async fn listen(&self) -> Result<(Arc<dyn UserSubscriptions>, ChannelMessages), BusError> {
        let (subscriptions, messages) = RedisSubscriptions::open(self).await?;
        Ok((Arc::new(subscriptions), messages))
    }
}

impl RedisBus {
    async fn offset(&self, user: &UserId) -> Result<Offset, BusError> {
        Ok(self.offset_and_restore(user).await?.0)
    }

    /// Current offset of a user, and [`UNRESTORED`] or another text.
    async fn offset_and_restore(&self, user: &UserId) -> Result<(Offset, Bytes), BusError> {
        let (shared, names) = (&self.shared, &self.shared.names);
        let keys = [names.offset(user), names.log(user)];
        let args = [Arg::from(&new_epoch(&*shared.entropy)), Arg::from(OFFSET_TTL.as_secs())];
        let script = &shared.events.offset;
        let mut reply = shared.commands.run("read an offset", script, keys, args).await?;
        Ok((offset(&mut reply)?, reply.bytes()?))
    }
}

/// Reply of scripts about an event log whose recent events are not yet published again.
const UNRESTORED: &[u8] = b"unrestored";

/// Bound of epochs that start while one event is published.
const MAX_STARTS: usize = 3;

/// Takes the next two values, epoch and seq.
pub(super) fn offset(reply: &mut RedisReply) -> Result<Offset, BusError> {
    let epoch = Epoch::new(reply.read::<String>()?).ok_or_else(|| reply.unreadable("invalid epoch"))?;
    let seq = reply.read()?;
    Ok(Offset { epoch, seq })
}
