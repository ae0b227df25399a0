//! `postern dev`: a whole cluster in one process, on the embedded defaults or on a real Redis and Postgres.

mod cluster;
pub(crate) mod dir;
mod identity;
mod port;
pub(crate) mod ready;

use std::process::ExitCode;

pub use cluster::DevError;
pub use identity::IdentityError;

use cluster::Cluster;
pub(crate) use identity::Identity;

use crate::cli::DevArgs;
use crate::node::Ground;

/// Runs a dev cluster until it is told to stop.
///
/// # Errors
/// When it cannot start.
pub(crate) async fn run(args: DevArgs) -> Result<ExitCode, DevError> {
    let ground = Ground::new("dev");
    let json = args.json;
    let cluster = Box::pin(Cluster::start(args, &ground)).await?;
    announce(&if json {
        cluster.ready().line()
    } else {
        cluster.ready().words()
    });
    let ending = ground.until_stopped(cluster.failure()).await?;
    ending.log();
    let report = cluster.drain().await;
    Ok(ground.leave(ending, &report).await)
}

#[expect(
    clippy::print_stdout,
    reason = "whoever started the cluster reads here how to reach it"
)]
fn announce(text: &str) {
    println!("{text}");
}
