//! `postern jobs`.

use clap::{Args, Subcommand};
use protocol::cluster::job::Lane;

use super::{OperatorArgs, OutputArgs};
use crate::config::RedisArgs;

/// `postern jobs`.
#[derive(Debug, Subcommand)]
pub enum JobsCommand {
    /// List the jobs of a lane, or its dead letters: jobs that two workers lost.
    List(JobsListArgs),
    /// Have the job of a dead letter executed again.
    Retry(JobsRetryArgs),
    /// Remove a job from its lane, or a dead letter.
    Discard(JobsDiscardArgs),
}

/// `postern jobs list`.
#[derive(Debug, Args)]
pub struct JobsListArgs {
    /// Lane: `sign_in`, `interactive`, `platform` or `webhook`.
    #[arg(long, value_parser = lane)]
    pub lane: Lane,
    /// List the dead letters.
    #[arg(long)]
    pub dead: bool,
    /// Bound of the list.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub limit: u32,
    /// Redis settings.
    #[command(flatten)]
    pub redis: RedisArgs,
    /// Operator, and the access to the store.
    #[command(flatten)]
    pub operator: OperatorArgs,
    /// Form of the result.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `postern jobs retry`.
#[derive(Debug, Args)]
pub struct JobsRetryArgs {
    /// Lane: `sign_in`, `interactive`, `platform` or `webhook`.
    #[arg(long, value_parser = lane)]
    pub lane: Lane,
    /// Dead letter, by its id in the list.
    #[arg(long, value_parser = entry)]
    pub id: String,
    /// Redis settings.
    #[command(flatten)]
    pub redis: RedisArgs,
    /// Operator, and the access to the store.
    #[command(flatten)]
    pub operator: OperatorArgs,
    /// Form of the result.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `postern jobs discard`.
#[derive(Debug, Args)]
pub struct JobsDiscardArgs {
    /// Lane: `sign_in`, `interactive`, `platform` or `webhook`.
    #[arg(long, value_parser = lane)]
    pub lane: Lane,
    /// Job, or dead letter, by its id in the list.
    #[arg(long, value_parser = entry)]
    pub id: String,
    /// The id is that of a dead letter.
    #[arg(long)]
    pub dead: bool,
    /// Redis settings.
    #[command(flatten)]
    pub redis: RedisArgs,
    /// Operator, and the access to the store.
    #[command(flatten)]
    pub operator: OperatorArgs,
    /// Form of the result.
    #[command(flatten)]
    pub output: OutputArgs,
}

fn lane(name: &str) -> Result<Lane, &'static str> {
    let lane = Lane::ALL.into_iter().find(|lane| lane.as_str() == name);
    lane.ok_or("is `sign_in`, `interactive`, `platform` or `webhook`")
}

/// Checks the id of an entry of a stream: two numbers.
fn entry(id: &str) -> Result<String, &'static str> {
    let is_number = |part: &str| part.parse::<u64>().is_ok();
    let (millis, number) = id.split_once('-').unwrap_or_default();
    if is_number(millis) && is_number(number) {
        Ok(id.to_owned())
    } else {
        Err("is an id such as `1795451460007-0`")
    }
}
