//! New clients at a steady rate.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};

use super::record::{Entry, Record, Recorder};
use crate::dialect::Auth;
use crate::target::Target;
use crate::token::Issuer;

/// Connects this many new clients a second, each of which leaves once it is connected, until the sender of `enough` is dropped; then
/// waits for those that are connecting.
pub(super) async fn run(
    target: Target,
    issuer: Issuer,
    rate: u32,
    entries: mpsc::Sender<Entry>,
    mut enough: oneshot::Receiver<()>,
) -> anyhow::Result<()> {
    let mut ticks = interval(Duration::from_secs(1) / rate.max(1));
    let mut connecting = JoinSet::new();
    for number in 0.. {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = &mut enough => break,
        }
        while connecting.try_join_next().is_some() {}
        let auth = Auth::of(issuer.issue(&format!("ROLLOUT-NEW-{}", number % USERS))?);
        let (target, recorder) = (target.clone(), Recorder::new(number, &entries));
        recorder.record(Record::NewClientStarted).await?;
        connecting.spawn(async move {
            let started = Instant::now();
            match target.connect(number, 0, &auth).await {
                Ok(client) => {
                    recorder.record(Record::NewClientConnected(started.elapsed())).await?;
                    // It has been let in; how it leaves is not part of the figures.
                    drop(client.close().await);
                    Ok::<_, anyhow::Error>(())
                }
                Err(error) => recorder.record(Record::NewClientRefused(format!("{error:#}"))).await,
            }
        });
    }
    while connecting.join_next().await.is_some() {}
    Ok(())
}

/// Users of the new clients, so that a long run leaves no more of them behind.
const USERS: usize = 500;
