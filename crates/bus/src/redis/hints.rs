//! Hints in Redis: a set and a string for each user. What another history of Redis wrote counts as missing.

use async_trait::async_trait;
use protocol::cluster::origin::Origin;
use protocol::id::UserId;

use super::RedisBus;
use super::client::{Arg, Script};
use crate::bounds::{HINT_LIFE, LOOK_LIFE, MARKS};
use crate::hints::marks;
use crate::{BusError, Hint, Hints};

/// What is one step on the server.
pub(super) struct Scripts {
    hint: Script,
    mark_seen: Script,
    begin_alert_check: Script,
    mark_no_open_alerts: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            hint: Script::new(concat!(include_str!("script/run.lua"), include_str!("script/hint.lua"))),
            mark_seen: Script::new(concat!(
                include_str!("script/run.lua"),
                include_str!("script/note_seen.lua")
            )),
            begin_alert_check: Script::new(concat!(
                include_str!("script/run.lua"),
                include_str!("script/begin_look.lua")
            )),
            mark_no_open_alerts: Script::new(concat!(
                include_str!("script/run.lua"),
                include_str!("script/note_none_open.lua")
            )),
        }
    }
}

#[async_trait]
impl Hints for RedisBus {
    async fn hint(&self, user: &UserId, from: &Origin) -> Result<Hint, BusError> {
        let (shared, names) = (&self.shared, &self.shared.names);
        let keys = [names.seen(user), names.open(user)];
        let mut reply = shared
            .commands
            .run("look for hints", &shared.hints.hint, keys, marks(from).map(Arg::from))
            .await?;
        Ok(Hint {
            seen: reply.bytes()? == "1",
            no_open_alerts: reply.bytes()? == "1",
        })
    }

    async fn mark_seen(&self, user: &UserId, from: &Origin) -> Result<(), BusError> {
        let shared = &self.shared;
        let [device, network] = marks(from);
        let args = [
            Arg::from(device),
            Arg::from(network),
            Arg::from(HINT_LIFE.as_secs()),
            Arg::from(MARKS),
        ];
        let (script, keys) = (&shared.hints.mark_seen, [shared.names.seen(user)]);
        shared.commands.run("note a device", script, keys, args).await?;
        Ok(())
    }

    async fn clear_seen(&self, user: &UserId) -> Result<(), BusError> {
        let shared = &self.shared;
        let keys = vec![shared.names.seen(user)];
        shared.commands.delete("forget devices", keys).await
    }

    async fn begin_alert_check(&self, user: &UserId, look: &str) -> Result<(), BusError> {
        let shared = &self.shared;
        let args = [Arg::from(look), Arg::from(LOOK_LIFE.as_secs())];
        let (script, keys) = (&shared.hints.begin_alert_check, [shared.names.open(user)]);
        shared
            .commands
            .run("begin to look for alerts", script, keys, args)
            .await?;
        Ok(())
    }

    async fn mark_no_open_alerts(&self, user: &UserId, look: &str) -> Result<(), BusError> {
        let shared = &self.shared;
        let args = [Arg::from(look), Arg::from(HINT_LIFE.as_secs())];
        let (script, keys) = (&shared.hints.mark_no_open_alerts, [shared.names.open(user)]);
        shared
            .commands
            .run("note that no alert is open", script, keys, args)
            .await?;
        Ok(())
    }

    async fn clear_no_open_alerts(&self, user: &UserId) -> Result<(), BusError> {
        let shared = &self.shared;
        let keys = vec![shared.names.open(user)];
        shared.commands.delete("note that an alert is open", keys).await
    }
}
