//! `postern jobs`.

use std::fmt;

use bus::{DeadLetter, EntryId, QueuedJob, RedisBus, RedisSettings};
use protocol::cluster::job::Lane;
use protocol::id::UserId;
use serde::Serialize;
use store::{AuditAction, AuditEvent};

use super::redis::with_redis;
use super::{OperatorError, Outcome, connect, receipt};
use crate::cli::{JobsCommand, JobsDiscardArgs, JobsListArgs, JobsRetryArgs, OperatorArgs, OperatorSettings};
use crate::config::{Problems, RedisArgs};
use crate::report::{print_report, write_table};

/// Runs the command.
///
/// # Errors
/// [`OperatorError`].
pub(crate) async fn jobs(command: &JobsCommand, problems: Problems) -> Outcome {
    match command {
        JobsCommand::List(args) => list(args, problems).await,
        JobsCommand::Retry(args) => retry(args, problems).await,
        JobsCommand::Discard(args) => discard(args, problems).await,
    }
}

async fn list(args: &JobsListArgs, problems: Problems) -> Outcome {
    let (settings, redis) = settings(&args.operator, &args.redis, problems)?;
    let listed = with_redis(&redis, async |bus| {
        let dead = if args.dead { " --dead" } else { "" };
        let command = format!("jobs list{dead} {}", args.lane.as_str());
        let store = connect(&settings).await?;
        store
            .record_operator_command(None, &command, &receipt(&settings))
            .await?;
        let lane = args.lane.as_str();
        Ok::<_, OperatorError>(if args.dead {
            let dead_letters = bus.dead_letters(args.lane, None, args.limit).await?;
            print_report(&DeadLetterList { lane, dead_letters }, args.output)?
        } else {
            let jobs = bus.queued_jobs(args.lane, None, args.limit).await?;
            print_report(&JobList { lane, jobs }, args.output)?
        })
    });
    Box::pin(listed).await
}

async fn retry(args: &JobsRetryArgs, problems: Problems) -> Outcome {
    let (settings, redis) = settings(&args.operator, &args.redis, problems)?;
    let retried = with_redis(&redis, async |bus| {
        let dead_letter = find_dead_letter(bus, args.lane, &args.id).await?;
        if !dead_letter.is_retryable {
            return Err(OperatorError::NotKept(args.id.clone()));
        }
        let found = FoundJob::of_dead_letter(&dead_letter);
        found.record(AuditAction::JobRetried, &settings).await?;
        bus.resubmit(args.lane, &dead_letter).await?;
        Ok(found.report(args.lane, "retried"))
    });
    let report = Box::pin(retried).await?;
    Ok(print_report(&report, args.output)?)
}

async fn discard(args: &JobsDiscardArgs, problems: Problems) -> Outcome {
    let (settings, redis) = settings(&args.operator, &args.redis, problems)?;
    let discarded = with_redis(&redis, async |bus| {
        let (lane, entry) = (args.lane, EntryId(args.id.clone()));
        let found = if args.dead {
            FoundJob::of_dead_letter(&find_dead_letter(bus, lane, &args.id).await?)
        } else {
            let jobs = bus.queued_jobs(lane, Some(&entry), 1).await?;
            let job = jobs.into_iter().next();
            FoundJob::of_job(job.ok_or_else(|| unknown(lane, "job", &args.id))?)
        };
        found.record(AuditAction::JobDiscarded, &settings).await?;
        let is_removed = if args.dead {
            bus.discard_dead_letter(lane, &entry).await?
        } else {
            bus.discard_job(lane, &entry).await?
        };
        if is_removed {
            Ok(found.report(lane, "discarded"))
        } else {
            // A worker has finished it meanwhile.
            Err(unknown(lane, "job", &args.id))
        }
    });
    let report = Box::pin(discarded).await?;
    Ok(print_report(&report, args.output)?)
}

fn settings(
    operator: &OperatorArgs,
    redis: &RedisArgs,
    mut problems: Problems,
) -> Result<(OperatorSettings, RedisSettings), OperatorError> {
    let redis = redis.check(&mut problems);
    let settings = operator.check(&mut problems);
    Ok(problems.finish(settings.zip(redis))?)
}

async fn find_dead_letter(bus: &RedisBus, lane: Lane, id: &str) -> Result<DeadLetter, OperatorError> {
    let found = bus.dead_letters(lane, Some(&EntryId(id.to_owned())), 1).await?;
    found.into_iter().next().ok_or_else(|| unknown(lane, "dead letter", id))
}

fn unknown(lane: Lane, what: &'static str, id: &str) -> OperatorError {
    OperatorError::UnknownJob {
        lane,
        what,
        id: id.to_owned(),
    }
}

/// Job that a command changes.
struct FoundJob {
    id: String,
    work: String,
    user: Option<UserId>,
}

impl FoundJob {
    fn of_job(job: QueuedJob) -> Self {
        Self {
            id: job.job,
            work: job.work.unwrap_or(UNKNOWN).to_owned(),
            user: job.user,
        }
    }

    fn of_dead_letter(dead_letter: &DeadLetter) -> Self {
        Self {
            id: dead_letter.job.clone(),
            work: dead_letter.work.clone(),
            user: dead_letter.user.clone(),
        }
    }

    /// Records the change before it is made, in the chain of the job's user.
    async fn record(&self, action: AuditAction, settings: &OperatorSettings) -> Result<(), OperatorError> {
        let store = connect(settings).await?;
        let action = AuditEvent {
            action,
            subject: format!("{} {}", self.work, self.id),
        };
        Ok(store
            .record_operator_action(self.user.as_ref(), &action, &receipt(settings))
            .await?)
    }

    fn report(self, lane: Lane, outcome: &'static str) -> JobReport {
        JobReport {
            lane: lane.as_str(),
            job: self.id,
            work: self.work,
            user: self.user,
            outcome,
        }
    }
}

/// Changed job.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JobReport {
    lane: &'static str,
    job: String,
    work: String,
    user: Option<UserId>,
    /// `retried` or `discarded`.
    outcome: &'static str,
}

impl fmt::Display for JobReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            lane,
            job,
            work,
            outcome,
            ..
        } = self;
        write!(f, "{outcome} {work} {job} of the {lane} lane")
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JobList {
    lane: &'static str,
    jobs: Vec<QueuedJob>,
}

impl fmt::Display for JobList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.jobs.iter().map(|job| {
            [
                job.entry.clone(),
                job.job.clone(),
                job.work.unwrap_or(UNKNOWN).to_owned(),
                job.user.as_ref().map(UserId::to_string).unwrap_or_default(),
                job.queued_at.to_string(),
                job.deadline.to_string(),
                job.deliveries.to_string(),
                job.worker.clone().unwrap_or_default(),
            ]
        });
        let header = [
            "id",
            "job",
            "work",
            "user",
            "queued",
            "deadline",
            "deliveries",
            "worker",
        ];
        write_table(f, Some(header), rows)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeadLetterList {
    lane: &'static str,
    dead_letters: Vec<DeadLetter>,
}

impl fmt::Display for DeadLetterList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.dead_letters.iter().map(|dead| {
            let retryable = if dead.is_retryable { "yes" } else { "no" };
            [
                dead.id.clone(),
                dead.job.clone(),
                dead.work.clone(),
                dead.user.as_ref().map(UserId::to_string).unwrap_or_default(),
                dead.dead_at.to_string(),
                dead.deliveries.to_string(),
                retryable.to_owned(),
            ]
        });
        let header = ["id", "job", "work", "user", "dead", "deliveries", "retryable"];
        write_table(f, Some(header), rows)
    }
}

/// Work of a job of a newer release.
const UNKNOWN: &str = "unknown";
