//! Check of a lane: whether workers claim from it, and its backlog. `served.lua` has the rule, which `submit_job.lua` applies too.

use std::time::Duration;

use protocol::cluster::job::Lane;

use super::claim::GROUP;
use crate::BusError;
use crate::bounds::UNSERVED_AFTER;
use crate::metrics::LaneBacklog;
use crate::redis::RedisBus;
use crate::redis::client::Arg;

impl RedisBus {
    /// Reports whether the lane is served, as [`crate::Jobs::is_served`]. The same round trip reads the backlog for the metrics.
    pub(super) async fn is_lane_served(&self, lane: Lane) -> Result<bool, BusError> {
        let shared = &self.shared;
        let names = &shared.names;
        let keys = [names.lane_served(lane), names.lane(lane), names.dead_letters(lane)];
        let args = [Arg::from(UNSERVED_AFTER.as_millis()), Arg::from(GROUP)];
        let mut reply = shared
            .commands
            .run("check a lane", &shared.jobs.check, keys, args)
            .await?;
        let served: i64 = reply.read()?;
        let backlog = LaneBacklog {
            depth: reply.read()?,
            oldest_age: Duration::from_millis(reply.read()?),
            dead_letters: reply.read()?,
        };
        shared.metrics.backlogs().record(lane, backlog);
        Ok(served == 1)
    }

    /// Records that the lane is served, as [`crate::Jobs::mark_served`].
    pub(super) async fn mark_lane_served(&self, lane: Lane) -> Result<(), BusError> {
        let shared = &self.shared;
        let keys = [shared.names.lane_served(lane)];
        let marked = shared.commands.run("mark a lane", &shared.jobs.mark_served, keys, []);
        marked.await.map(drop)
    }
}
