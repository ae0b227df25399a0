//! Jobs and dead letters as operators see and change them.

use std::sync::Arc;
use std::time::Duration;

use bus::{EntryId, Jobs, RedisBus, RedisSettings};
use lifecycle::{Clock, SystemClock};
use protocol::cluster::job::Lane::Interactive;
use protocol::cluster::job::{Job, Work};
use protocol::time::Timestamp;
use testkit::{Redis, wait};

use crate::nodes::{SHORT_WAIT, runtime};
use crate::sample::{job, user, worker};

const PATIENCE: Duration = Duration::from_secs(60);

async fn connect(redis: &Redis) -> RedisBus {
    let settings = RedisSettings::new(redis.url().parse().unwrap());
    RedisBus::connect(&settings, &runtime(Arc::new(SystemClock)))
        .await
        .unwrap()
}

#[tokio::test]
async fn dead_letters_of_a_forgotten_user_are_discarded_and_no_others() {
    let redis = Redis::start().await;
    let bus = connect(&redis).await;
    let of_another = Job {
        user: user("GEN-002"),
        ..job("of another user", 1)
    };
    for job in [&job("first", 1), &of_another, &job("second", 1)] {
        bus.submit(Interactive, job, PATIENCE).await.unwrap();
    }
    let lost = async || bus.dead_letters(Interactive, None, 9).await.unwrap();
    wait::until_true("all jobs to be given up", wait::deadline(), async || {
        bus.claim(Interactive, &worker("w"), 9, Duration::from_secs(1))
            .await
            .unwrap();
        lost().await.len() == 3
    })
    .await;
    bus.forget_user(&user("GEN-001")).await.unwrap();
    let left: Vec<_> = lost().await.into_iter().map(|dead| dead.user).collect();
    assert_eq!(left, [Some(user("GEN-002"))]);
}

/// A client's job may hold a code, so nobody can submit it again.
#[tokio::test]
async fn dead_letter_names_its_job_and_only_one_without_secrets_is_submitted_again() {
    let redis = Redis::start().await;
    let bus = connect(&redis).await;
    let of_application = Job {
        work: Work::EndAllSessions,
        ..job("of the application", 1)
    };
    for job in [&job("of a client", 1), &of_application] {
        bus.submit(Interactive, job, PATIENCE).await.unwrap();
    }
    let lost = async || bus.dead_letters(Interactive, None, 9).await.unwrap();
    wait::until_true("both jobs to be given up", wait::deadline(), async || {
        bus.claim(Interactive, &worker("w"), 9, Duration::from_secs(1))
            .await
            .unwrap();
        lost().await.len() == 2
    })
    .await;
    let dead = lost().await;
    let seen: Vec<_> = dead
        .iter()
        .map(|dead| (dead.work.as_str(), dead.is_retryable, dead.deliveries))
        .collect();
    assert_eq!(seen, [("account:connect", false, 2), ("sessions.end", true, 2)]);
    assert_eq!(dead[0].user.as_ref().unwrap().as_str(), "GEN-001");

    assert!(!bus.resubmit(Interactive, &dead[0]).await.unwrap());
    assert!(bus.resubmit(Interactive, &dead[1]).await.unwrap());
    let claimed = bus.claim(Interactive, &worker("w"), 9, wait::deadline()).await.unwrap();
    assert_eq!(
        claimed.iter().map(|claimed| &claimed.job.id).collect::<Vec<_>>(),
        [&of_application.id]
    );
    assert_eq!(lost().await, [dead[0].clone()]);
    let id = EntryId(dead[0].id.clone());
    assert!(bus.discard_dead_letter(Interactive, &id).await.unwrap());
    assert!(!bus.discard_dead_letter(Interactive, &id).await.unwrap());
}

#[tokio::test]
async fn queued_jobs_are_listed_with_their_claims_and_discarded_with_their_bytes() {
    let redis = Redis::start().await;
    let bus = connect(&redis).await;
    let before = Timestamp::from(SystemClock.now());
    bus.submit(Interactive, &job("claimed", 1), PATIENCE).await.unwrap();
    let after = Timestamp::from(SystemClock.now());
    let unclaimed = bus.queued_jobs(Interactive, None, 9).await.unwrap();
    assert_eq!(
        (unclaimed[0].deliveries, &unclaimed[0].worker),
        (0, &None),
        "no group yet"
    );
    bus.claim(Interactive, &worker("w"), 1, SHORT_WAIT).await.unwrap();
    bus.submit(Interactive, &job("waiting", 1), PATIENCE).await.unwrap();

    let jobs = bus.queued_jobs(Interactive, None, 9).await.unwrap();
    let seen: Vec<_> = jobs
        .iter()
        .map(|queued| {
            (
                queued.job.as_str(),
                queued.work,
                queued.deliveries,
                queued.worker.as_deref(),
            )
        })
        .collect();
    let work = Some("account:connect");
    assert_eq!(seen, [("claimed", work, 1, Some("w")), ("waiting", work, 0, None)]);
    // The script reads its clock once, and the id of the entry is read from it later.
    let submission = |earlier: Duration| before.plus(earlier)..=after.plus(earlier);
    assert!(submission(Duration::ZERO).contains(&jobs[0].queued_at));
    assert!(submission(PATIENCE).contains(&jobs[0].deadline));
    assert_eq!(bus.queued_jobs(Interactive, None, 1).await.unwrap().len(), 1);
    let one = bus
        .queued_jobs(Interactive, Some(&EntryId(jobs[1].entry.clone())), 9)
        .await
        .unwrap();
    assert_eq!(one[0].job, "waiting");

    for job in &jobs {
        let entry = EntryId(job.entry.clone());
        assert!(bus.discard_job(Interactive, &entry).await.unwrap());
        assert!(!bus.discard_job(Interactive, &entry).await.unwrap());
    }
    assert_eq!(bus.queued_jobs(Interactive, None, 9).await.unwrap(), []);
    assert_eq!(redis.command(&["GET", "pn:{jobs:interactive}:bytes"]).await, "0");
}
