//! Jobs and dead letters as operators see and change them.
//!
//! These are methods of [`RedisBus`] itself: only commands beside a deployment call them, and those have Redis.

use std::time::Duration;

use bytes::Bytes;
use protocol::cluster::job::{Job, Lane, Work};
use protocol::id::{JobId, SessionId, UserId};
use protocol::time::Timestamp;
use serde::Serialize;

use super::claim::GROUP;
use crate::redis::RedisBus;
use crate::redis::client::{Arg, RedisReply};
use crate::versioned_message::VersionedMessage;
use crate::{BusError, EntryId, Jobs};

/// Job of a lane, without its payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueuedJob {
    /// Id of the entry in its lane.
    pub entry: String,
    /// Id of the job.
    pub job: String,
    /// Name of its work; none if the job is one of a newer release.
    pub work: Option<&'static str>,
    /// User.
    pub user: Option<UserId>,
    /// Session of the caller.
    pub session: Option<SessionId>,
    /// Time of its submission.
    pub queued_at: Timestamp,
    /// Deadline, after which it is dropped.
    pub deadline: Timestamp,
    /// Number of deliveries.
    pub deliveries: u32,
    /// Worker that has claimed it last.
    pub worker: Option<String>,
    /// Time since the claim was renewed, in ms.
    #[serde(rename = "claimAgeMs", serialize_with = "millis")]
    pub claim_age: Duration,
}

/// Dead letter: a job that two workers lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// Id of the dead letter in its lane.
    pub id: String,
    /// Id of the job.
    pub job: String,
    /// Name of its work; empty if it is unknown to this build.
    pub work: String,
    /// User; none if the job did not decode.
    pub user: Option<UserId>,
    /// Time at which the job was given up.
    pub dead_at: Timestamp,
    /// Number of deliveries.
    pub deliveries: u32,
    /// The job, where it holds no secret of a client, so that it can be submitted again.
    #[serde(skip)]
    payload: Option<Bytes>,
    /// True if the job can be submitted again.
    pub is_retryable: bool,
}

impl RedisBus {
    /// Lists jobs of a lane, oldest first; only the one of `entry`, if given.
    ///
    /// # Errors
    /// [`BusError`]; also if `entry` is no id of an entry.
    pub async fn queued_jobs(
        &self,
        lane: Lane,
        entry: Option<&EntryId>,
        limit: u32,
    ) -> Result<Vec<QueuedJob>, BusError> {
        let shared = &self.shared;
        let (first, last) = range(entry);
        let args = [Arg::from(GROUP), Arg::from(first), Arg::from(last), Arg::from(limit)];
        let list = shared
            .commands
            .run("list jobs", &shared.jobs.list, [shared.names.lane(lane)], args);
        let mut reply = list.await?;
        let mut jobs = Vec::new();
        while !reply.is_empty() {
            jobs.push(queued_job(&mut reply)?);
        }
        Ok(jobs)
    }

    /// Lists dead letters of a lane, oldest first; only the one with this id, if given.
    ///
    /// # Errors
    /// [`BusError`]; also if `id` is no id of an entry.
    pub async fn dead_letters(
        &self,
        lane: Lane,
        id: Option<&EntryId>,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, BusError> {
        let shared = &self.shared;
        let (first, last) = range(id);
        let args = [Arg::from(first), Arg::from(last), Arg::from(limit)];
        let keys = [shared.names.dead_letters(lane)];
        let list = shared
            .commands
            .run("list dead letters", &shared.jobs.list_dead_letters, keys, args);
        let mut reply = list.await?;
        let mut dead_letters = Vec::new();
        while !reply.is_empty() {
            dead_letters.push(dead_letter(&mut reply)?);
        }
        Ok(dead_letters)
    }

    /// Submits the job of a dead letter again, under its id, and then removes the dead letter. False if its payload was not kept.
    ///
    /// # Errors
    /// As [`Jobs::submit`]. The job may have been submitted: a repeat is answered from the first run.
    pub async fn resubmit(&self, lane: Lane, dead_letter: &DeadLetter) -> Result<bool, BusError> {
        let Some(payload) = &dead_letter.payload else {
            return Ok(false);
        };
        self.submit(lane, &Job::read(payload)?, lane.job_timeout()).await?;
        self.discard_dead_letter(lane, &EntryId(dead_letter.id.clone())).await?;
        Ok(true)
    }

    /// Removes a job of a lane, whichever worker has claimed it. False if there is none.
    ///
    /// # Errors
    /// [`BusError`].
    pub async fn discard_job(&self, lane: Lane, entry: &EntryId) -> Result<bool, BusError> {
        let (shared, names) = (&self.shared, &self.shared.names);
        let keys = [names.lane(lane), names.lane_bytes(lane)];
        let args = [Arg::from(GROUP), Arg::from(entry.0.as_str())];
        let discard = shared.commands.run("discard a job", &shared.jobs.discard, keys, args);
        Ok(discard.await?.read::<u64>()? > 0)
    }

    /// Removes a dead letter of a lane. False if there is none.
    ///
    /// # Errors
    /// [`BusError`].
    pub async fn discard_dead_letter(&self, lane: Lane, id: &EntryId) -> Result<bool, BusError> {
        let shared = &self.shared;
        let keys = [shared.names.dead_letters(lane)];
        let args = [Arg::from(id.0.as_str())];
        let discard = &shared.jobs.discard_dead_letter;
        let mut reply = shared
            .commands
            .run("discard a dead letter", discard, keys, args)
            .await?;
        Ok(reply.read::<u64>()? > 0)
    }
}

fn range(one: Option<&EntryId>) -> (&str, &str) {
    one.map_or(("-", "+"), |EntryId(id)| (id.as_str(), id.as_str()))
}

fn queued_job(reply: &mut RedisReply) -> Result<QueuedJob, BusError> {
    let entry: String = reply.read()?;
    reply.next();
    let id = reply.read()?;
    reply.next();
    let deadline = reply.read()?;
    reply.next();
    // Decoded for its name and user alone.
    let job = Job::read(&reply.bytes()?).ok();
    let deliveries = reply.read()?;
    let worker: String = reply.read()?;
    Ok(QueuedJob {
        queued_at: time_of(&entry),
        entry,
        job: id,
        work: job.as_ref().map(|job| job.work.name()),
        user: job.as_ref().map(|job| job.user.clone()),
        session: job.map(|job| job.session),
        deadline: Timestamp::from_millis(deadline),
        deliveries,
        worker: Some(worker).filter(|worker| !worker.is_empty()),
        claim_age: Duration::from_millis(reply.read()?),
    })
}

/// Dead letter from its id and its fields, as `describe_job.lua` writes them.
fn dead_letter(reply: &mut RedisReply) -> Result<DeadLetter, BusError> {
    let id: String = reply.read()?;
    reply.next();
    let job: JobId = JobId::new(reply.read::<String>()?).map_err(|_no_id| reply.unreadable("an id is malformed"))?;
    // Names, and the entry that the job had.
    reply.nth(2);
    let deliveries = reply.read()?;
    reply.next();
    let user = UserId::new(reply.read::<String>()?).ok();
    reply.next();
    let kind: String = reply.read()?;
    reply.next();
    let payload = Some(reply.bytes()?).filter(|payload| !payload.is_empty());
    Ok(DeadLetter {
        dead_at: time_of(&id),
        id,
        job: job.to_string(),
        work: Work::name_of_kind(&kind).map_or(kind, str::to_owned),
        user,
        deliveries,
        is_retryable: payload.is_some(),
        payload,
    })
}

/// Time of an entry, by the server's clock: the first part of its id.
fn time_of(entry: &str) -> Timestamp {
    let millis = entry.split('-').next().and_then(|millis| millis.parse().ok());
    Timestamp::from_millis(millis.unwrap_or_default())
}

fn millis<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
