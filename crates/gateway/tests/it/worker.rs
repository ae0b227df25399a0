//! Worker whose replies the test controls.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bus::{Bus, PublishMode, PublishPhase, Repeats};
use protocol::cluster::envelope::Envelope;
use protocol::cluster::job::{Job, JobOutcome, Joined, Lane, Reply, Work};
use protocol::cluster::offset::Epoch;
use protocol::command::{AlertsAnswer, Answer};
use protocol::id::{UserId, WorkerId};
use protocol::json::Json;
use protocol::security::Alert;
use serde_json::json;

use crate::test_gateway::TestGateway;

/// Records the jobs of commands and refusal reports in the sequence of their completion, the raised alerts, and the internal jobs of
/// gateways, which are counted separately.
pub(crate) struct Worker {
    done: Arc<Mutex<Vec<Job>>>,
    open: Arc<Mutex<Vec<Alert>>>,
    joined: Arc<Mutex<Vec<Job>>>,
}

impl Worker {
    /// Answers every job with success and the id of its user.
    pub(crate) fn succeeding(gateway: &TestGateway) -> Self {
        Self::with_alerts(gateway, Vec::new())
    }

    /// Answers every job with success, with these alerts open.
    pub(crate) fn with_alerts(gateway: &TestGateway, open: Vec<Alert>) -> Self {
        Self::start(gateway, open, |job| {
            Some(JobOutcome {
                error: None,
                leading_notice: None,
                secret: false,
                data: Json::of(&json!({ "success": true, "of": job.user })),
            })
        })
    }

    /// Answers every job with the outcome of `answer`; `None` leaves the job unanswered.
    pub(crate) fn answering(
        gateway: &TestGateway,
        answer: impl Fn(&Job) -> Option<JobOutcome> + Send + Sync + 'static,
    ) -> Self {
        Self::start(gateway, Vec::new(), answer)
    }

    fn start(
        gateway: &TestGateway,
        open: Vec<Alert>,
        answer: impl Fn(&Job) -> Option<JobOutcome> + Send + Sync + 'static,
    ) -> Self {
        let done = Arc::new(Mutex::new(Vec::new()));
        let open = Arc::new(Mutex::new(open));
        let joined = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(answer);
        for lane in Lane::ALL {
            let (bus, done, answer) = (Arc::clone(gateway.bus.inner()), Arc::clone(&done), Arc::clone(&answer));
            let (open, joined) = (Arc::clone(&open), Arc::clone(&joined));
            gateway.tasks.each("worker", async move {
                let worker = WorkerId::new(format!("worker-{}", lane.as_str())).unwrap();
                loop {
                    let claimed = bus.claim(lane, &worker, 10, Duration::from_secs(1)).await.unwrap();
                    for claimed in claimed {
                        bus.finish(lane, &claimed.entry).await.unwrap();
                        if let Some(outcome) = handle_internal(&*bus, &claimed.job, &open).await {
                            reply(&*bus, &claimed.job, outcome).await;
                            joined.lock().unwrap().push(claimed.job);
                            continue;
                        }
                        if let Some(outcome) = answer(&claimed.job) {
                            reply(&*bus, &claimed.job, outcome).await;
                        }
                        done.lock().unwrap().push(claimed.job);
                    }
                }
            });
        }
        Self { done, open, joined }
    }

    /// Acknowledges all raised alerts.
    pub(crate) fn acknowledge_all(&self) {
        self.open.lock().unwrap().clear();
    }

    /// Returns the users of sign-in check jobs, with whether the device was unknown.
    pub(crate) fn joined(&self) -> Vec<(String, bool)> {
        let jobs = self.joined.lock().unwrap();
        let joined = jobs.iter().filter_map(|job| match &job.work {
            Work::Joined(joined) => Some((job.user.to_string(), joined.unseen)),
            _ => None,
        });
        joined.collect()
    }

    /// Returns the payloads of sign-in check jobs.
    pub(crate) fn checks(&self) -> Vec<Joined> {
        let jobs = self.joined.lock().unwrap();
        let checks = jobs.iter().filter_map(|job| match &job.work {
            Work::Joined(joined) => Some(*joined),
            _ => None,
        });
        checks.collect()
    }

    /// Returns the number of jobs that restore an event log.
    pub(crate) fn restores(&self) -> usize {
        let jobs = self.joined.lock().unwrap();
        jobs.iter().filter(|job| matches!(job.work, Work::RestoreLog)).count()
    }

    /// Returns the number of completed jobs.
    pub(crate) fn done(&self) -> usize {
        self.done.lock().unwrap().len()
    }

    /// Returns the completed jobs.
    pub(crate) fn jobs(&self) -> Vec<Job> {
        self.done.lock().unwrap().clone()
    }

    /// Returns the last completed job.
    pub(crate) fn last(&self) -> Job {
        self.done.lock().unwrap().last().cloned().unwrap()
    }
}

/// Handles a gateway's internal job: raises an alert, or returns the open ones. Returns `None` for other jobs.
async fn handle_internal(bus: &dyn Bus, job: &Job, open: &Mutex<Vec<Alert>>) -> Option<JobOutcome> {
    match &job.work {
        Work::RaiseAlert(alert) => {
            open.lock().unwrap().push(alert.clone());
            bus.publish(&job.user, &Envelope::of_alert(alert.clone()))
                .await
                .unwrap();
            Some(JobOutcome::done())
        }
        Work::Joined(_) => {
            let alerts = open.lock().unwrap().clone();
            Some(JobOutcome::from(&Answer::Alerts(AlertsAnswer { alerts })))
        }
        Work::RestoreLog => {
            let epoch = bus.unrestored_epoch(&job.user).await.unwrap();
            if let Some(epoch) = epoch {
                restore(bus, &job.user, &epoch, open).await;
            }
            Some(JobOutcome::done())
        }
        _ => None,
    }
}

/// Publishes the open alerts again, as a worker does the recent events.
async fn restore(bus: &dyn Bus, user: &UserId, epoch: &Epoch, open: &Mutex<Vec<Alert>>) {
    let alerts = open.lock().unwrap().clone();
    let mode = PublishMode {
        repeats: Repeats::Dropped,
        phase: PublishPhase::DuringRestore(epoch),
    };
    for alert in alerts {
        bus.publish_with(user, &Envelope::of_alert(alert), mode).await.unwrap();
    }
    bus.mark_restored(user, epoch).await.unwrap();
}

/// Sends a reply to a job.
pub(crate) async fn reply(bus: &dyn Bus, job: &Job, outcome: JobOutcome) {
    let reply = Reply {
        v: Job::VERSION,
        job: job.id.clone(),
        outcome,
    };
    bus.reply(&job.node, &reply).await.unwrap();
}
