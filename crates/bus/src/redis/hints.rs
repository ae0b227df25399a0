//! Hints in Redis: a set and a string for each user. Those written under another replication id count as missing.

use async_trait::async_trait;
use protocol::cluster::origin::Origin;
use protocol::id::UserId;

use super::RedisBus;
use super::client::{Arg, Script};
use crate::bounds::{ALERT_CHECK_TTL, HINT_TTL, MAX_ORIGIN_MARKS};
use crate::hints::marks;
use crate::operation::Operation;
use crate::{BusError, Hint, Hints};

/// Scripts of the hints.
pub(super) struct HintScripts {
    hint: Script,
    mark_seen: Script,
    begin_alert_check: Script,
    mark_no_open_alerts: Script,
}

impl HintScripts {
    pub(super) fn new() -> Self {
        Self {
            hint: Script::new(
                Operation::ReadHints,
                concat!(
                    include_str!("script/replication_id.lua"),
                    include_str!("script/read_hints.lua")
                ),
            ),
            mark_seen: Script::new(
                Operation::MarkSeen,
                concat!(
                    include_str!("script/replication_id.lua"),
                    include_str!("script/seen_marks.lua"),
                    include_str!("script/mark_seen.lua")
                ),
            ),
            begin_alert_check: Script::new(
                Operation::BeginAlertCheck,
                concat!(
                    include_str!("script/replication_id.lua"),
                    include_str!("script/begin_alert_check.lua")
                ),
            ),
            mark_no_open_alerts: Script::new(
                Operation::MarkNoOpenAlerts,
                concat!(
                    include_str!("script/replication_id.lua"),
                    include_str!("script/mark_no_open_alerts.lua")
                ),
            ),
        }
    }

    /// All scripts, for the startup check.
    pub(super) fn all(&self) -> impl Iterator<Item = &Script> {
        let Self {
            hint,
            mark_seen,
            begin_alert_check,
            mark_no_open_alerts,
        } = self;
        [hint, mark_seen, begin_alert_check, mark_no_open_alerts].into_iter()
    }
}

#[async_trait]
impl Hints for RedisBus {
    async fn hint(&self, user: &UserId, from: &Origin) -> Result<Hint, BusError> {
        let (shared, names) = (&self.shared, &self.shared.names);
        let keys = [names.seen(user), names.open(user)];
        let mut reply = shared
            .commands
            .run("read hints", &shared.hints.hint, keys, marks(from).map(Arg::from))
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
            Arg::from(HINT_TTL.as_secs()),
            Arg::from(MAX_ORIGIN_MARKS),
        ];
        let (script, keys) = (&shared.hints.mark_seen, [shared.names.seen(user)]);
        shared.commands.run("mark a device as seen", script, keys, args).await?;
        Ok(())
    }

    async fn clear_seen(&self, user: &UserId) -> Result<(), BusError> {
        let shared = &self.shared;
        let keys = vec![shared.names.seen(user), shared.names.open(user)];
        shared.commands.delete("clear seen devices", keys).await
    }

    async fn begin_alert_check(&self, user: &UserId, check: &str) -> Result<(), BusError> {
        let shared = &self.shared;
        let args = [Arg::from(check), Arg::from(ALERT_CHECK_TTL.as_secs())];
        let (script, keys) = (&shared.hints.begin_alert_check, [shared.names.open(user)]);
        shared.commands.run("begin an alert check", script, keys, args).await?;
        Ok(())
    }

    async fn mark_no_open_alerts(&self, user: &UserId, check: &str) -> Result<(), BusError> {
        let shared = &self.shared;
        let args = [Arg::from(check), Arg::from(HINT_TTL.as_secs())];
        let (script, keys) = (&shared.hints.mark_no_open_alerts, [shared.names.open(user)]);
        shared.commands.run("mark no open alerts", script, keys, args).await?;
        Ok(())
    }
}
