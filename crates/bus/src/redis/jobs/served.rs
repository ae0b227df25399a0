//! Check whether workers claim from a lane. `served.lua` has the rule, which `submit_job.lua` applies too.

use protocol::cluster::job::Lane;

use crate::BusError;
use crate::bounds::UNSERVED_AFTER;
use crate::redis::RedisBus;
use crate::redis::client::Arg;

impl RedisBus {
    /// Reports whether the lane is served, as [`crate::Jobs::is_served`].
    pub(super) async fn is_lane_served(&self, lane: Lane) -> Result<bool, BusError> {
        let shared = &self.shared;
        let keys = [shared.names.lane_served(lane)];
        let args = [Arg::from(UNSERVED_AFTER.as_millis())];
        let checked = shared.commands.run("check a lane", &shared.jobs.is_served, keys, args);
        let served: i64 = checked.await?.read()?;
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
