//! A worker that answers every job as it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bus::{Bus, Jobs};
use protocol::answer::{Alerts, Answer};
use protocol::cluster::envelope::Envelope;
use protocol::cluster::job::{Job, JobOutcome, Joined, Lane, Reply, Work};
use protocol::id::WorkerId;
use protocol::json::Json;
use protocol::security::Alert;
use serde_json::json;

use crate::house::House;

/// The commands and reports of refusals that were done, in order, and the alerts that were raised. What gateways ask for
/// themselves is not counted.
pub(crate) struct Worker {
    done: Arc<Mutex<Vec<Job>>>,
    open: Arc<Mutex<Vec<Alert>>>,
    joined: Arc<Mutex<Vec<Job>>>,
}

impl Worker {
    /// Answers every job with success and the name of its user.
    pub(crate) fn obliging(house: &House) -> Self {
        Self::knowing(house, Vec::new())
    }

    /// The same, and knows of these alerts.
    pub(crate) fn knowing(house: &House, open: Vec<Alert>) -> Self {
        Self::at_work(house, open, |job| {
            Some(JobOutcome {
                error: None,
                leading_notice: None,
                secret: false,
                data: Json::of(&json!({ "success": true, "of": job.user })),
            })
        })
    }

    /// Answers every job as `answer` says, or not at all.
    pub(crate) fn answering(
        house: &House,
        answer: impl Fn(&Job) -> Option<JobOutcome> + Send + Sync + 'static,
    ) -> Self {
        Self::at_work(house, Vec::new(), answer)
    }

    fn at_work(
        house: &House,
        open: Vec<Alert>,
        answer: impl Fn(&Job) -> Option<JobOutcome> + Send + Sync + 'static,
    ) -> Self {
        let done = Arc::new(Mutex::new(Vec::new()));
        let open = Arc::new(Mutex::new(open));
        let joined = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(answer);
        for lane in Lane::ALL {
            let (line, done, answer) = (Arc::clone(&house.line), Arc::clone(&done), Arc::clone(&answer));
            let (open, joined) = (Arc::clone(&open), Arc::clone(&joined));
            house.tasks.each("worker", async move {
                let worker = WorkerId::new(format!("worker-{}", lane.as_str())).unwrap();
                loop {
                    let claimed = line.claim(lane, &worker, 10, Duration::from_secs(1)).await.unwrap();
                    for claimed in claimed {
                        line.finish(lane, &claimed.entry).await.unwrap();
                        if let Some(outcome) = of_itself(&*line, &claimed.job, &open).await {
                            reply(&*line, &claimed.job, outcome).await;
                            joined.lock().unwrap().push(claimed.job);
                            continue;
                        }
                        if let Some(outcome) = answer(&claimed.job) {
                            reply(&*line, &claimed.job, outcome).await;
                        }
                        done.lock().unwrap().push(claimed.job);
                    }
                }
            });
        }
        Self { done, open, joined }
    }

    /// Forgets the alerts that were raised.
    pub(crate) fn acknowledge_all(&self) {
        self.open.lock().unwrap().clear();
    }

    /// What was asked about sockets that had joined, in order: whose, and whether where they came from was unknown.
    pub(crate) fn joined(&self) -> Vec<(String, bool)> {
        let jobs = self.joined.lock().unwrap();
        let joined = jobs.iter().filter_map(|job| match &job.work {
            Work::Joined(joined) => Some((job.user.to_string(), joined.unseen)),
            _ => None,
        });
        joined.collect()
    }

    /// The same, as it was asked.
    pub(crate) fn looks(&self) -> Vec<Joined> {
        let jobs = self.joined.lock().unwrap();
        let looks = jobs.iter().filter_map(|job| match &job.work {
            Work::Joined(joined) => Some(*joined),
            _ => None,
        });
        looks.collect()
    }

    /// How many jobs were done.
    pub(crate) fn done(&self) -> usize {
        self.done.lock().unwrap().len()
    }

    /// The jobs that were done, in order.
    pub(crate) fn jobs(&self) -> Vec<Job> {
        self.done.lock().unwrap().clone()
    }

    /// The job that was done last.
    pub(crate) fn last(&self) -> Job {
        self.done.lock().unwrap().last().cloned().unwrap()
    }
}

/// Does what a gateway asks for itself: raises an alert, or tells all that were raised. Nothing else is its own.
async fn of_itself(bus: &dyn Bus, job: &Job, open: &Mutex<Vec<Alert>>) -> Option<JobOutcome> {
    match &job.work {
        Work::RaiseAlert(alert) => {
            open.lock().unwrap().push(alert.clone());
            bus.publish(&job.user, &Envelope::of_alert(alert.clone()))
                .await
                .unwrap();
            Some(JobOutcome::from(&Answer::Acknowledged))
        }
        Work::Joined(_) => {
            let alerts = open.lock().unwrap().clone();
            Some(JobOutcome::from(&Answer::Alerts(Alerts { alerts })))
        }
        _ => None,
    }
}

/// Answers a job.
pub(crate) async fn reply(bus: &dyn Bus, job: &Job, outcome: JobOutcome) {
    let reply = Reply {
        v: Job::VERSION,
        job: job.id.clone(),
        outcome,
    };
    bus.reply(&job.node, &reply).await.unwrap();
}
