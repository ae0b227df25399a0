//! Dead letters: jobs that a second worker lost. `reclaim_or_dead_letter_jobs.lua` decides it as it reclaims expired claims.

use protocol::cluster::job::{Job, Lane, Work};
use protocol::id::WorkerId;

use super::claim::GROUP;
use crate::BusError;
use crate::bounds::{CLAIM_TTL, MAX_DELIVERIES};
use crate::redis::RedisBus;
use crate::redis::client::{Arg, RedisReply};

impl RedisBus {
    /// Reclaims the entries with expired claims for this worker. Those delivered [`MAX_DELIVERIES`] times become dead letters;
    /// those of a newer version are left alone.
    pub(super) async fn reclaim_or_dead_letter(
        &self,
        lane: Lane,
        worker: &WorkerId,
        max: usize,
    ) -> Result<RedisReply, BusError> {
        let (shared, names) = (&self.shared, &self.shared.names);
        let keys = [
            names.lane(lane),
            names.lane_bytes(lane),
            names.dead_letters(lane),
            names.lane_served(lane),
        ];
        let mut args = vec![
            Arg::from(GROUP),
            Arg::from(worker.as_str()),
            Arg::from(CLAIM_TTL.as_millis()),
            Arg::from(max),
            Arg::from(MAX_DELIVERIES),
            Arg::from(MAX_DEAD_LETTERS),
            Arg::from(u32::from(Job::LATEST_VERSION)),
        ];
        args.extend(Work::KEPT_KINDS.map(Arg::from));
        let reclaim = &shared.jobs.reclaim_or_dead_letter;
        shared.commands.run("reclaim jobs", reclaim, keys, args).await
    }
}

/// Approximate bound of the dead letters of a lane.
const MAX_DEAD_LETTERS: u32 = 1000;
