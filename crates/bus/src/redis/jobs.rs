//! Jobs in Redis: per lane a stream with one consumer group, and strings and channels for the replies.

mod claim;
mod dead_letter;
mod entry;
mod inspect;
mod replies;
mod served;

use std::slice;
use std::time::Duration;

use async_trait::async_trait;
use protocol::cluster::job::{Job, Lane, Reply};
use protocol::id::{JobId, NodeId, WorkerId};
use tokio::sync::mpsc;

use super::RedisBus;
use super::client::{Arg, Script};
use crate::bounds::{MAX_LANE_BYTES, MAX_LANE_JOBS, UNSERVED_AFTER, reply_ttl};
use crate::operation::Operation;
use crate::versioned_message::VersionedMessage;
use crate::{BusError, ClaimedJob, EntryId, Jobs};

pub(super) use self::claim::LaneReaders;
pub use self::inspect::{DeadLetter, QueuedJob};

/// Scripts of the jobs.
pub(super) struct JobScripts {
    submit: Script,
    group: Script,
    reclaim_or_dead_letter: Script,
    check: Script,
    mark_served: Script,
    renew: Script,
    leave: Script,
    finish: Script,
    reply: Script,
    list: Script,
    list_dead_letters: Script,
    discard: Script,
    discard_dead_letter: Script,
}

impl JobScripts {
    pub(super) fn new() -> Self {
        Self {
            submit: Script::new(
                Operation::SubmitJob,
                concat!(include_str!("script/served.lua"), include_str!("script/submit_job.lua")),
            ),
            group: Script::new(Operation::CreateGroup, include_str!("script/create_group.lua")),
            reclaim_or_dead_letter: Script::new(
                Operation::ReclaimOrDeadLetterJobs,
                concat!(
                    include_str!("script/served.lua"),
                    include_str!("script/remove_entry.lua"),
                    include_str!("script/describe_job.lua"),
                    include_str!("script/reclaim_or_dead_letter_jobs.lua")
                ),
            ),
            check: Script::new(
                Operation::CheckLane,
                concat!(include_str!("script/served.lua"), include_str!("script/check_lane.lua")),
            ),
            mark_served: Script::new(
                Operation::MarkServed,
                concat!(
                    include_str!("script/served.lua"),
                    include_str!("script/mark_served.lua")
                ),
            ),
            renew: Script::new(Operation::RenewJobs, include_str!("script/renew_jobs.lua")),
            leave: Script::new(Operation::LeaveJobs, include_str!("script/leave_jobs.lua")),
            finish: Script::new(Operation::FinishJobs, include_str!("script/finish_jobs.lua")),
            reply: Script::new(Operation::SendReply, include_str!("script/send_reply.lua")),
            list: Script::new(Operation::ListJobs, include_str!("script/list_jobs.lua")),
            list_dead_letters: Script::new(Operation::ListDeadLetters, include_str!("script/list_dead_letters.lua")),
            discard: Script::new(
                Operation::DiscardJob,
                concat!(
                    include_str!("script/remove_entry.lua"),
                    include_str!("script/discard_job.lua")
                ),
            ),
            discard_dead_letter: Script::new(
                Operation::DiscardDeadLetter,
                include_str!("script/discard_dead_letter.lua"),
            ),
        }
    }

    /// All scripts, for the startup check.
    pub(super) fn all(&self) -> impl Iterator<Item = &Script> {
        let Self {
            submit,
            group,
            reclaim_or_dead_letter,
            check,
            mark_served,
            renew,
            leave,
            finish,
            reply,
            list,
            list_dead_letters,
            discard,
            discard_dead_letter,
        } = self;
        [
            submit,
            group,
            reclaim_or_dead_letter,
            check,
            mark_served,
            renew,
            leave,
            finish,
            reply,
            list,
            list_dead_letters,
            discard,
            discard_dead_letter,
        ]
        .into_iter()
    }
}

#[async_trait]
impl Jobs for RedisBus {
    async fn submit(&self, lane: Lane, job: &Job, ttl: Duration) -> Result<(), BusError> {
        let (shared, names) = (&self.shared, &self.shared.names);
        let keys = [names.lane(lane), names.lane_bytes(lane), names.lane_served(lane)];
        let args = [
            Arg::from(job.id.as_str()),
            Arg::from(job.write()?),
            Arg::from(ttl.as_millis()),
            Arg::from(MAX_LANE_JOBS),
            Arg::from(MAX_LANE_BYTES),
            Arg::from(UNSERVED_AFTER.as_millis()),
        ];
        let submit = &shared.jobs.submit;
        let mut reply = shared.commands.run("submit a job", submit, keys, args).await?;
        match reply.read()? {
            -1 => Err(BusError::Unserved(lane.as_str())),
            0 => Err(BusError::Full(lane.as_str())),
            _ => Ok(()),
        }
    }

    async fn claim(
        &self,
        lane: Lane,
        worker: &WorkerId,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<ClaimedJob>, BusError> {
        self.claim_from(lane, worker, max, wait).await
    }

    async fn is_served(&self, lane: Lane) -> Result<bool, BusError> {
        self.is_lane_served(lane).await
    }

    async fn mark_served(&self, lane: Lane) -> Result<(), BusError> {
        self.mark_lane_served(lane).await
    }

    async fn renew(&self, lane: Lane, worker: &WorkerId, entries: &[EntryId]) -> Result<(), BusError> {
        if entries.is_empty() {
            return Ok(());
        }
        let shared = &self.shared;
        let names = [claim::GROUP, worker.as_str()].into_iter();
        let args = names.chain(entries.iter().map(|entry| entry.0.as_str())).map(Arg::from);
        let keys = [shared.names.lane(lane)];
        let renewed = shared.commands.run("renew jobs", &shared.jobs.renew, keys, args);
        renewed.await.map(drop)
    }

    async fn finish(&self, lane: Lane, entry: &EntryId) -> Result<(), BusError> {
        self.finish_all(lane, slice::from_ref(entry)).await
    }

    async fn finish_all(&self, lane: Lane, entries: &[EntryId]) -> Result<(), BusError> {
        let shared = &self.shared;
        for entries in entries.chunks(AT_ONCE) {
            let keys = [shared.names.lane(lane), shared.names.lane_bytes(lane)];
            let entries = entries.iter().map(|entry| entry.0.as_str());
            let args = [claim::GROUP].into_iter().chain(entries).map(Arg::from);
            let finished = shared.commands.run("finish jobs", &shared.jobs.finish, keys, args);
            finished.await?;
        }
        Ok(())
    }

    async fn reply(&self, node: &NodeId, reply: &Reply) -> Result<(), BusError> {
        self.reply_all(node, slice::from_ref(reply)).await
    }

    async fn reply_all(&self, node: &NodeId, replies: &[Reply]) -> Result<(), BusError> {
        let shared = &self.shared;
        for replies in replies.chunks(REPLIES_AT_ONCE) {
            let keys = replies.iter().map(|reply| shared.names.reply(node, &reply.job));
            let mut args = vec![Arg::from(shared.names.reply_channel(node))];
            for reply in replies {
                args.extend([Arg::from(reply.write()?), Arg::from(reply_ttl(reply).as_secs())]);
            }
            let sent = shared.commands.run("send replies", &shared.jobs.reply, keys, args);
            sent.await?;
        }
        Ok(())
    }

    async fn subscribe_replies(&self, node: &NodeId) -> Result<mpsc::Receiver<Reply>, BusError> {
        replies::open(self, node).await
    }

    async fn stored_replies(&self, node: &NodeId, jobs: &[JobId]) -> Result<Vec<Reply>, BusError> {
        let mut replies = Vec::new();
        for jobs in jobs.chunks(AT_ONCE) {
            let keys = jobs.iter().map(|job| self.shared.names.reply(node, job)).collect();
            for stored in self.shared.commands.get("read stored replies", keys).await? {
                match Reply::read(&stored) {
                    Ok(reply) => replies.push(reply),
                    // The others are read nevertheless.
                    Err(error) => replies::report_unreadable(&self.shared.metrics, &error),
                }
            }
        }
        Ok(replies)
    }

    async fn delete_replies(&self, node: &NodeId, jobs: &[JobId]) -> Result<(), BusError> {
        for jobs in jobs.chunks(AT_ONCE) {
            let keys = jobs.iter().map(|job| self.shared.names.reply(node, job)).collect();
            self.shared.commands.delete("delete stored replies", keys).await?;
        }
        Ok(())
    }
}

/// Stored replies read or deleted, or entries removed, by one command; managed servers limit its arguments.
const AT_ONCE: usize = 512;

/// Replies sent by one command: each may be long.
const REPLIES_AT_ONCE: usize = 64;
