//! `postern dev`: cluster in one process, on the embedded defaults or on Redis and Postgres.

mod cluster;
mod demo;
pub(crate) mod dir;
mod error;
mod gateway_slot;
mod identity;
mod nodes;
mod port;
pub(crate) mod ready;
mod simulated;

use std::path::PathBuf;
use std::process::ExitCode;

pub use error::DevError;
pub use identity::IdentityError;

use cluster::Cluster;
pub(crate) use identity::Identity;
use telemetry::export::Exports;
use tracing::Instrument;

use crate::cli::DevArgs;
use crate::config::Problems;
use crate::node::{NodeRuntime, StopSignals};

/// Runs a dev cluster until it stops.
///
/// # Errors
/// [`DevError`].
pub(crate) async fn run(args: DevArgs, exports: &Exports) -> Result<ExitCode, DevError> {
    let mut problems = Problems::default();
    let telemetry = args.telemetry.check(&mut problems);
    problems.finish(telemetry)?;
    let runtime = NodeRuntime::new("dev", exports);
    let span = runtime.identity.span();
    Box::pin(run_in(args, runtime)).instrument(span).await
}

async fn run_in(args: DevArgs, runtime: NodeRuntime) -> Result<ExitCode, DevError> {
    let json = args.json;
    let mut cluster = Box::pin(Cluster::start(args, &runtime)).await?;
    print(&if json {
        cluster.ready().json_line()
    } else {
        cluster.ready().text(&program())
    });
    let mut signals = StopSignals::install()?;
    let reason = runtime
        .until_stopped(&mut signals, Box::pin(cluster.supervise(&runtime)))
        .await;
    reason.log();
    let report = cluster.drain().await;
    Ok(runtime.finish(reason, &report).await)
}

/// The program as it was called: by its name, or by a path, which is made absolute so that it works in any folder.
fn program() -> String {
    let called = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    match called.components().count() {
        0 => "postern".to_owned(),
        1 => called.display().to_string(),
        _ => std::path::absolute(&called).unwrap_or(called).display().to_string(),
    }
}

#[expect(
    clippy::print_stdout,
    reason = "the addresses of the cluster are the output of the command"
)]
fn print(text: &str) {
    println!("{text}");
}
