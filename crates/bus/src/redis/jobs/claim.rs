//! Claims of jobs: new ones by a blocking read, and about once a second those whose claim has expired.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lifecycle::Dependency;
use protocol::cluster::job::{Job, Lane};
use protocol::fault::chain;
use protocol::id::WorkerId;
use tokio::time::Instant;

use super::entry::LaneEntry;
use crate::bounds::CLAIM_TTL;
use crate::metrics::Metrics;
use crate::redis::RedisBus;
use crate::redis::client::{Arg, Connector, StreamRead, StreamReader};
use crate::versioned_message::VersionedMessage;
use crate::{BusError, ClaimedJob, EntryId, Jobs};

/// Readers of all lanes, each with a connection of its own, so that none blocks another. The first claim opens it.
pub(in crate::redis) struct LaneReaders {
    sign_in: LaneReader,
    interactive: LaneReader,
    platform: LaneReader,
    webhook: LaneReader,
}

/// Reader of one lane.
struct LaneReader {
    reader: StreamReader,
    /// Time at which this process last reclaimed jobs.
    last_reclaim: Mutex<Option<Instant>>,
}

impl LaneReaders {
    pub(in crate::redis) fn new(connector: &Connector, dependency: &Dependency, metrics: &Metrics) -> Self {
        let lane_reader = || LaneReader {
            reader: StreamReader::new(connector.clone(), dependency.clone(), metrics.clone()),
            last_reclaim: Mutex::default(),
        };
        Self {
            sign_in: lane_reader(),
            interactive: lane_reader(),
            platform: lane_reader(),
            webhook: lane_reader(),
        }
    }

    fn lane_reader(&self, lane: Lane) -> &LaneReader {
        match lane {
            Lane::SignIn => &self.sign_in,
            Lane::Interactive => &self.interactive,
            Lane::Platform => &self.platform,
            Lane::Webhook => &self.webhook,
        }
    }
}

impl LaneReader {
    /// Reports whether a reclaim is due, and if so schedules the next one a second later.
    fn is_due(&self, now: Instant) -> bool {
        let mut last_reclaim = self.last_reclaim.lock().unwrap_or_else(PoisonError::into_inner);
        let due =
            last_reclaim.is_none_or(|last_reclaim| now.saturating_duration_since(last_reclaim) >= RECLAIM_INTERVAL);
        if due {
            *last_reclaim = Some(now);
        }
        due
    }
}

impl RedisBus {
    /// Claims jobs, as [`Jobs::claim`].
    pub(super) async fn claim_from(
        &self,
        lane: Lane,
        worker: &WorkerId,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<ClaimedJob>, BusError> {
        // Jobs check second factors and expiries by this node's clock.
        let stream = self.shared.names.lane(lane);
        self.shared.commands.check_clock("claim jobs", &stream)?;
        let lane_reader = self.shared.lanes.lane_reader(lane);
        let until = Instant::now() + wait;
        loop {
            if lane_reader.is_due(Instant::now()) {
                let reclaimed = self.reclaim_or_dead_letter(lane, worker, max).await?;
                let claimed = self
                    .filter_live((lane, worker), LaneEntry::read_all(reclaimed)?)
                    .await?;
                if !claimed.is_empty() {
                    return Ok(claimed);
                }
            }
            let rest = until.saturating_duration_since(Instant::now());
            match lane_reader
                .reader
                .read(
                    stream.clone(),
                    (GROUP, worker.as_str()),
                    max,
                    rest.min(RECLAIM_INTERVAL),
                )
                .await?
            {
                StreamRead::NoGroup => self.create_group(lane).await?,
                StreamRead::Entries(new) => {
                    let new = LaneEntry::read_all(new)?;
                    self.record_queue_time(lane, &new);
                    let claimed = self.filter_live((lane, worker), new).await?;
                    if !claimed.is_empty() || Instant::now() >= until {
                        return Ok(claimed);
                    }
                }
            }
        }
    }

    async fn create_group(&self, lane: Lane) -> Result<(), BusError> {
        let shared = &self.shared;
        let args = [Arg::from(GROUP), Arg::from(IDLE_CONSUMER_TTL.as_millis())];
        let keys = [shared.names.lane(lane)];
        let made = shared
            .commands
            .run("create a consumer group", &shared.jobs.group, keys, args);
        made.await.map(drop)
    }

    /// Records how long new entries were queued, those past their deadline too: they have waited longest in a lane that is served too
    /// slowly.
    fn record_queue_time(&self, lane: Lane, new: &[LaneEntry]) {
        let now = self.shared.commands.server_time_of(&self.shared.names.lane(lane));
        for queued in new.iter().filter_map(LaneEntry::queued) {
            self.shared.metrics.queue_time(lane, now.since(queued));
        }
    }

    /// Decodes the jobs of entries. Those past their deadline are removed, those of a newer version left to workers of a newer release.
    /// Others that do not decode become dead letters.
    async fn filter_live(
        &self,
        (lane, worker): (Lane, &WorkerId),
        entries: Vec<LaneEntry>,
    ) -> Result<Vec<ClaimedJob>, BusError> {
        let (mut claimed, mut newer) = (Vec::new(), Vec::new());
        let stream = self.shared.names.lane(lane);
        for LaneEntry { id, deadline, job } in entries {
            let deadline = self.shared.commands.instant_of(&stream, deadline);
            if deadline <= Instant::now() {
                self.finish(lane, &id).await?;
                continue;
            }
            match Job::read(&job) {
                Ok(job) => claimed.push(ClaimedJob {
                    entry: id,
                    job,
                    deadline,
                }),
                Err(error) => {
                    self.report_unreadable(&id, &error);
                    if Job::is_newer(&job) {
                        newer.push(id);
                    }
                }
            }
        }
        if !newer.is_empty() {
            self.leave((lane, worker), &newer).await?;
        }
        Ok(claimed)
    }

    /// Leaves jobs to workers of a newer release.
    async fn leave(&self, (lane, worker): (Lane, &WorkerId), newer: &[EntryId]) -> Result<(), BusError> {
        let shared = &self.shared;
        let mut args = vec![
            Arg::from(GROUP),
            Arg::from(worker.as_str()),
            Arg::from(CLAIM_TTL.as_millis()),
        ];
        args.extend(newer.iter().map(|entry| Arg::from(entry.0.as_str())));
        let keys = [shared.names.lane(lane)];
        let left = shared.commands.run("leave jobs", &shared.jobs.leave, keys, args);
        left.await.map(drop)
    }

    fn report_unreadable(&self, EntryId(entry): &EntryId, error: &BusError) {
        self.shared.metrics.unreadable("job");
        tracing::warn!(
            entry,
            error = chain(error),
            "job does not decode, left to newer workers"
        );
    }
}

/// Consumer group of all workers.
pub(super) const GROUP: &str = "workers";

/// Interval at which expired claims are reclaimed.
const RECLAIM_INTERVAL: Duration = Duration::from_secs(1);

/// Idle time after which a consumer without claims is deleted.
const IDLE_CONSUMER_TTL: Duration = Duration::from_secs(60 * 60);
