//! How workers take jobs from a lane: new ones by a read that waits, and about once a second those that others lost.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use protocol::cluster::job::{Job, Lane};
use protocol::fault::chain;
use protocol::id::WorkerId;
use tokio::time::Instant;

use super::entry::Entry;
use crate::bounds::{DELIVERIES, SILENCE};
use crate::letter::Letter;
use crate::redis::RedisBus;
use crate::redis::client::{Arg, Connector, RedisReply, StreamRead, StreamReader};
use crate::{BusError, ClaimedJob, EntryId, Jobs};

/// The lanes, each with a connection of its own, so that none blocks another. It is opened by the first claim.
pub(in crate::redis) struct Lanes {
    sign_in: LaneReader,
    interactive: LaneReader,
    platform: LaneReader,
    webhook: LaneReader,
}

/// Where jobs of one lane are taken.
struct LaneReader {
    reader: StreamReader,
    /// When this process last looked for jobs that others lost.
    looked: Mutex<Option<Instant>>,
}

impl Lanes {
    pub(in crate::redis) fn new(connector: &Connector) -> Self {
        let lane_reader = || LaneReader {
            reader: StreamReader::new(connector.clone()),
            looked: Mutex::default(),
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
    /// Whether it is time to look for lost jobs again; then the next time is a second later.
    fn is_due(&self, now: Instant) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let due = looked.is_none_or(|looked| now.saturating_duration_since(looked) >= LOOK);
        if due {
            *looked = Some(now);
        }
        due
    }
}

impl RedisBus {
    /// As [`Jobs::claim`].
    pub(super) async fn claim_from(
        &self,
        lane: Lane,
        worker: &WorkerId,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<ClaimedJob>, BusError> {
        // A second factor, or what has expired, is judged by this node's clock.
        self.shared.commands.check_clock("claim jobs")?;
        let lane_reader = self.shared.lanes.lane_reader(lane);
        let until = Instant::now() + wait;
        loop {
            if lane_reader.is_due(Instant::now()) {
                let lost = self.lost(lane, worker, max).await?;
                let claimed = self.worth_doing(lane, lost).await?;
                if !claimed.is_empty() {
                    return Ok(claimed);
                }
            }
            let rest = until.saturating_duration_since(Instant::now());
            let stream = self.shared.names.lane(lane);
            match lane_reader
                .reader
                .read(stream, (GROUP, worker.as_str()), max, rest.min(LOOK))
                .await?
            {
                StreamRead::NoGroup => self.make_group(lane).await?,
                StreamRead::Entries(new) => {
                    let claimed = self.worth_doing(lane, new).await?;
                    if !claimed.is_empty() || Instant::now() >= until {
                        return Ok(claimed);
                    }
                }
            }
        }
    }

    /// The entries whose worker fell silent, now this worker's.
    async fn lost(&self, lane: Lane, worker: &WorkerId, max: usize) -> Result<RedisReply, BusError> {
        let (shared, names) = (&self.shared, &self.shared.names);
        let keys = [names.lane(lane), names.lane_bytes(lane), names.dead(lane)];
        let args = [
            Arg::from(GROUP),
            Arg::from(worker.as_str()),
            Arg::from(SILENCE.as_millis()),
            Arg::from(max),
            Arg::from(DELIVERIES),
            Arg::from(DEAD_LETTERS),
        ];
        shared
            .commands
            .run("take over lost jobs", &shared.jobs.stale, keys, args)
            .await
    }

    async fn make_group(&self, lane: Lane) -> Result<(), BusError> {
        let shared = &self.shared;
        let args = [Arg::from(GROUP), Arg::from(GONE.as_millis())];
        let keys = [shared.names.lane(lane)];
        let made = shared.commands.run("open a lane", &shared.jobs.group, keys, args);
        made.await.map(drop)
    }

    /// The entries that can be read and are not over. What is over is dropped, what cannot be read is left to others: to a newer
    /// release, or to be buried.
    async fn worth_doing(&self, lane: Lane, entries: RedisReply) -> Result<Vec<ClaimedJob>, BusError> {
        let mut claimed = Vec::new();
        for Entry { id, deadline, job } in Entry::read_all(entries)? {
            let deadline = self.shared.commands.instant_of(deadline);
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
                Err(error) => self.leave(&id, &error),
            }
        }
        Ok(claimed)
    }

    fn leave(&self, EntryId(entry): &EntryId, error: &BusError) {
        self.shared.metrics.unreadable("job");
        tracing::warn!(entry, error = chain(error), "a job is left to others");
    }
}

/// The one group of workers.
pub(super) const GROUP: &str = "workers";

/// How often lost jobs are looked for.
const LOOK: Duration = Duration::from_secs(1);

/// About how many dead letters are kept.
const DEAD_LETTERS: u32 = 1000;

/// After how long without a sign a worker is forgotten, if nothing is in its hands.
const GONE: Duration = Duration::from_secs(60 * 60);
