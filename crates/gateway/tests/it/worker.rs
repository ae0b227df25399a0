//! A worker that answers every job as it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bus::{Bus, Jobs};
use protocol::cluster::job::{Job, Lane, Outcome, Reply};
use protocol::id::WorkerId;
use protocol::json::Json;
use serde_json::json;

use crate::house::House;

/// The jobs that were done, in order.
pub(crate) struct Worker {
    done: Arc<Mutex<Vec<Job>>>,
}

impl Worker {
    /// Answers every job with success and the name of its user.
    pub(crate) fn obliging(house: &House) -> Self {
        Self::answering(house, |job| {
            Some(Outcome {
                error: None,
                data: Json::of(&json!({ "success": true, "of": job.user })),
            })
        })
    }

    /// Answers every job as `answer` says, or not at all.
    pub(crate) fn answering(house: &House, answer: impl Fn(&Job) -> Option<Outcome> + Send + Sync + 'static) -> Self {
        let done = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(answer);
        for lane in Lane::ALL {
            let (line, done, answer) = (Arc::clone(&house.line), Arc::clone(&done), Arc::clone(&answer));
            house.tasks.each("worker", async move {
                let worker = WorkerId::new(format!("worker-{}", lane.as_str())).unwrap();
                loop {
                    let claimed = line.claim(lane, &worker, 10, Duration::from_secs(1)).await.unwrap();
                    for claimed in claimed {
                        line.finish(lane, &claimed.entry).await.unwrap();
                        if let Some(outcome) = answer(&claimed.job) {
                            reply(&*line, &claimed.job, outcome).await;
                        }
                        done.lock().unwrap().push(claimed.job);
                    }
                }
            });
        }
        Self { done }
    }

    /// How many jobs were done.
    pub(crate) fn done(&self) -> usize {
        self.done.lock().unwrap().len()
    }

    /// The job that was done last.
    pub(crate) fn last(&self) -> Job {
        self.done.lock().unwrap().last().cloned().unwrap()
    }
}

/// Answers a job.
pub(crate) async fn reply(bus: &dyn Bus, job: &Job, outcome: Outcome) {
    let reply = Reply {
        v: Job::VERSION,
        job: job.id.clone(),
        outcome,
    };
    bus.reply(&job.node, &reply).await.unwrap();
}
