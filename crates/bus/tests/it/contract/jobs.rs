//! Jobs: at-least-once delivery, dead letters after two lost workers, and stored replies.

use std::time::Duration;

use bus::{Bus, BusError, ClaimedJob};
use futures_util::future::join_all;
use protocol::cluster::job::Lane::{self, Interactive, Platform};
use protocol::id::JobId;
use testkit::wait;
use tokio::time::{Instant, timeout};

use crate::nodes::SHORT_WAIT;
use crate::sample::{job, node, reply, worker};

test_all!(
    job_is_claimed_by_one_worker_unchanged,
    claim_waits_for_the_first_job,
    finished_job_is_removed,
    job_is_reclaimed_after_three_seconds_without_renewal,
    renewed_claim_stays_with_its_worker,
    job_lost_by_two_workers_becomes_dead,
    expired_job_is_never_claimed,
    lanes_are_independent,
    lane_is_full_at_10_000_jobs,
    lane_is_full_at_64_mib,
    jobs_finished_together_free_their_bytes_and_no_others,
    job_submitted_twice_is_delivered_twice_with_one_id,
    reply_reaches_its_node_and_is_stored,
    received_reply_is_deleted,
    reply_with_secrets_is_published_and_not_stored,
    lane_without_claims_for_five_seconds_refuses_jobs_until_the_next_claim,
    waiting_claim_serves_its_lane_alone,
    worker_without_capacity_serves_its_lane,
    lane_counts_as_served_after_a_time_without_checks,
);

const PATIENCE: Duration = Duration::from_secs(60);

async fn job_is_claimed_by_one_worker_unchanged(bus: &dyn Bus) {
    let submitted = job("j-1", 100);
    bus.submit(Interactive, &submitted, PATIENCE).await.unwrap();
    let claimed = claim(bus, Interactive, "w-1").await;
    let written = |job| serde_json::to_string(job).unwrap();
    assert_eq!(written(&claimed.job), written(&submitted));
    let left = claimed.deadline.saturating_duration_since(Instant::now());
    assert!(
        left < PATIENCE + SECOND && left > PATIENCE - wait::deadline(),
        "{left:?}"
    );
    assert!(none(bus, Interactive, "w-2").await, "claimed by the first worker");
}

async fn claim_waits_for_the_first_job(bus: &dyn Bus) {
    let before = Instant::now();
    assert!(none(bus, Interactive, "w-1").await);
    assert!(before.elapsed() >= SHORT_WAIT);

    let first = worker("w-1");
    let waiting = bus.claim(Interactive, &first, 9, wait::deadline());
    let (claimed, submitted) = tokio::join!(waiting, async {
        // The claim is polled first, so it is blocked already.
        bus.submit(Interactive, &job("j-1", 1), PATIENCE).await
    });
    submitted.unwrap();
    assert_eq!(claimed.unwrap().len(), 1);
    assert!(
        before.elapsed() < wait::deadline(),
        "the claim returns before its wait ends"
    );
}

async fn finished_job_is_removed(bus: &dyn Bus) {
    bus.submit(Interactive, &job("j-1", 1), PATIENCE).await.unwrap();
    let claimed = claim(bus, Interactive, "w-1").await;
    bus.finish(Interactive, &claimed.entry).await.unwrap();
    bus.finish(Interactive, &claimed.entry).await.unwrap();
    let later = bus.claim(Interactive, &worker("w-2"), 9, SILENCE + SECOND).await;
    assert!(later.unwrap().is_empty());
}

async fn job_is_reclaimed_after_three_seconds_without_renewal(bus: &dyn Bus) {
    bus.submit(Interactive, &job("j-1", 1), PATIENCE).await.unwrap();
    let lost = claim(bus, Interactive, "w-1").await;
    let since = Instant::now();
    let found = claim(bus, Interactive, "w-2").await;
    assert_eq!((found.entry, found.job.id), (lost.entry, lost.job.id));
    let silence = since.elapsed();
    assert!(silence >= SILENCE - SECOND / 10 && silence < SILENCE * 3, "{silence:?}");
}

async fn renewed_claim_stays_with_its_worker(bus: &dyn Bus) {
    bus.submit(Interactive, &job("j-1", 1), PATIENCE).await.unwrap();
    let (mine, first) = (claim(bus, Interactive, "w-1").await, worker("w-1"));
    let other = worker("w-2");
    let hungry = bus.claim(Interactive, &other, 9, SILENCE * 2);
    let renewing = async {
        let mut each = tokio::time::interval(SECOND / 2);
        loop {
            each.tick().await;
            bus.renew(Interactive, &first, std::slice::from_ref(&mine.entry))
                .await
                .unwrap();
        }
    };
    tokio::select! {
        claimed = hungry => assert!(claimed.unwrap().is_empty()),
        () = renewing => {}
    }
}

async fn job_lost_by_two_workers_becomes_dead(bus: &dyn Bus) {
    bus.submit(Interactive, &job("poison", 1), PATIENCE).await.unwrap();
    claim(bus, Interactive, "w-1").await;
    claim(bus, Interactive, "w-2").await;
    let third = bus.claim(Interactive, &worker("w-3"), 9, SILENCE * 3).await;
    assert!(third.unwrap().is_empty());
}

async fn expired_job_is_never_claimed(bus: &dyn Bus) {
    bus.submit(Interactive, &job("late", 1), SHORT_WAIT).await.unwrap();
    bus.submit(Interactive, &job("timely", 1), PATIENCE).await.unwrap();
    wait::until_true("the deadline to pass", wait::deadline(), {
        let past = Instant::now() + SHORT_WAIT * 2;
        async move || Instant::now() >= past
    })
    .await;
    assert_eq!(
        claim(bus, Interactive, "w-1").await.job.id,
        JobId::new("timely").unwrap()
    );
    assert!(none(bus, Interactive, "w-1").await);
}

async fn lanes_are_independent(bus: &dyn Bus) {
    for lane in Lane::ALL {
        assert!(none(bus, lane, "w-1").await, "{lane:?}");
        bus.submit(lane, &job(lane.as_str(), 1), PATIENCE).await.unwrap();
    }
    for lane in Lane::ALL {
        let claimed = claim(bus, lane, "w-1").await;
        assert_eq!(claimed.job.id, JobId::new(lane.as_str()).unwrap());
    }
}

async fn lane_is_full_at_10_000_jobs(bus: &dyn Bus) {
    let small = job("j", 1);
    for _ in 0..20 {
        bus.mark_served(Platform).await.unwrap();
        let submitted = join_all((0..500).map(|_| bus.submit(Platform, &small, PATIENCE))).await;
        assert!(submitted.iter().all(Result::is_ok));
    }
    let full = bus.submit(Platform, &small, PATIENCE).await;
    assert!(matches!(full, Err(BusError::Full("platform"))), "{full:?}");
    bus.submit(Interactive, &small, PATIENCE).await.unwrap();

    let claimed = claim(bus, Platform, "w-1").await;
    let full = bus.submit(Platform, &small, PATIENCE).await;
    assert!(matches!(full, Err(BusError::Full(_))), "claimed jobs count");
    bus.finish(Platform, &claimed.entry).await.unwrap();
    bus.submit(Platform, &small, PATIENCE).await.unwrap();
}

async fn lane_is_full_at_64_mib(bus: &dyn Bus) {
    const MIB: usize = 1024 * 1024;
    let large = job("j", MIB);
    for _ in 0..63 {
        bus.mark_served(Platform).await.unwrap();
        bus.submit(Platform, &large, PATIENCE).await.unwrap();
    }
    let full = bus.submit(Platform, &large, PATIENCE).await;
    assert!(matches!(full, Err(BusError::Full("platform"))), "{full:?}");
    bus.submit(Platform, &job("j", MIB / 2), PATIENCE).await.unwrap();

    let claimed = claim(bus, Platform, "w-1").await;
    bus.finish(Platform, &claimed.entry).await.unwrap();
    bus.submit(Platform, &large, PATIENCE).await.unwrap();
}

async fn jobs_finished_together_free_their_bytes_and_no_others(bus: &dyn Bus) {
    // Longer than the test takes on a busy machine: an expired job would leave the lane.
    let ttl = PATIENCE * 10;
    let large = job("j", 1024 * 1024);
    let submit = async |count| {
        for _ in 0..count {
            bus.mark_served(Platform).await.unwrap();
            bus.submit(Platform, &large, ttl).await.unwrap();
        }
        let full = bus.submit(Platform, &large, ttl).await;
        assert!(matches!(full, Err(BusError::Full("platform"))), "{full:?}");
    };
    submit(63).await;
    let claimed = bus.claim(Platform, &worker("w-1"), 5, wait::deadline()).await.unwrap();
    let entries: Vec<_> = claimed.into_iter().map(|claimed| claimed.entry).collect();
    assert_eq!(entries.len(), 5);
    bus.finish_all(Platform, &entries).await.unwrap();
    submit(5).await;
}

async fn job_submitted_twice_is_delivered_twice_with_one_id(bus: &dyn Bus) {
    for _ in 0..2 {
        bus.submit(Interactive, &job("j-1", 1), PATIENCE).await.unwrap();
    }
    let (one, other) = (
        claim(bus, Interactive, "w-1").await,
        claim(bus, Interactive, "w-1").await,
    );
    assert_eq!(one.job.id, other.job.id);
    assert_ne!(one.entry, other.entry);
}

async fn reply_reaches_its_node_and_is_stored(bus: &dyn Bus) {
    let (mine, other) = (node("gw-1"), node("gw-2"));
    let mut replies = bus.subscribe_replies(&mine).await.unwrap();
    let mut others = bus.subscribe_replies(&other).await.unwrap();
    bus.reply(&mine, &reply("j-1")).await.unwrap();
    bus.reply(&other, &reply("j-2")).await.unwrap();
    let message = timeout(wait::deadline(), replies.recv()).await.unwrap().unwrap();
    assert_eq!(message, reply("j-1"));
    let message = timeout(wait::deadline(), others.recv()).await.unwrap().unwrap();
    assert_eq!(message, reply("j-2"));
    assert!(replies.try_recv().is_err());

    let asked = ["j-3", "j-1", "j-2"].map(|id| JobId::new(id).unwrap());
    assert_eq!(bus.stored_replies(&mine, &asked).await.unwrap(), [reply("j-1")]);
    assert_eq!(
        bus.stored_replies(&mine, &asked).await.unwrap().len(),
        1,
        "reading deletes nothing"
    );
    assert!(bus.stored_replies(&mine, &[]).await.unwrap().is_empty());
}

async fn received_reply_is_deleted(bus: &dyn Bus) {
    let (mine, other) = (node("gw-1"), node("gw-2"));
    for at in [&mine, &other] {
        bus.reply(at, &reply("j-1")).await.unwrap();
    }
    let jobs = [JobId::new("j-1").unwrap()];
    bus.delete_replies(&mine, &jobs).await.unwrap();
    bus.delete_replies(&mine, &[]).await.unwrap();
    assert!(bus.stored_replies(&mine, &jobs).await.unwrap().is_empty());
    assert_eq!(bus.stored_replies(&other, &jobs).await.unwrap(), [reply("j-1")]);
}

async fn reply_with_secrets_is_published_and_not_stored(bus: &dyn Bus) {
    let mine = node("gw-1");
    let mut replies = bus.subscribe_replies(&mine).await.unwrap();
    let mut secret = reply("j-1");
    secret.outcome.secret = true;
    bus.reply(&mine, &secret).await.unwrap();
    let message = timeout(wait::deadline(), replies.recv()).await.unwrap().unwrap();
    assert_eq!(message, secret);
    let jobs = [JobId::new("j-1").unwrap()];
    assert!(bus.stored_replies(&mine, &jobs).await.unwrap().is_empty());
}

async fn lane_without_claims_for_five_seconds_refuses_jobs_until_the_next_claim(bus: &dyn Bus) {
    let fresh = Instant::now();
    assert!(
        bus.is_served(Interactive).await.unwrap(),
        "workers of a new cluster may start later"
    );
    bus.submit(Interactive, &job("j-1", 1), PATIENCE).await.unwrap();
    until_unserved(bus, Interactive).await;
    assert!(fresh.elapsed() >= UNSERVED_AFTER - SECOND / 10, "{:?}", fresh.elapsed());
    let refused = bus.submit(Interactive, &job("j-2", 1), PATIENCE).await;
    assert!(matches!(refused, Err(BusError::Unserved("interactive"))), "{refused:?}");

    let claimed = claim(bus, Interactive, "w-1").await;
    assert_eq!(claimed.job.id, JobId::new("j-1").unwrap());
    assert!(none(bus, Interactive, "w-1").await, "the refused job is not queued");
    bus.submit(Interactive, &job("j-3", 1), PATIENCE).await.unwrap();
}

async fn waiting_claim_serves_its_lane_alone(bus: &dyn Bus) {
    let first = worker("w-1");
    tokio::select! {
        claimed = bus.claim(Interactive, &first, 1, wait::deadline() * 2) => panic!("{claimed:?}"),
        () = until_unserved(bus, Platform) => {}
    }
    assert!(bus.is_served(Interactive).await.unwrap());
}

async fn worker_without_capacity_serves_its_lane(bus: &dyn Bus) {
    let full = async {
        let mut each = tokio::time::interval(SECOND);
        loop {
            each.tick().await;
            bus.mark_served(Interactive).await.unwrap();
        }
    };
    tokio::select! {
        () = full => {}
        () = until_unserved(bus, Platform) => {}
    }
    bus.submit(Interactive, &job("j-1", 1), PATIENCE).await.unwrap();
}

async fn lane_counts_as_served_after_a_time_without_checks(bus: &dyn Bus) {
    until_unserved(bus, Interactive).await;
    let stalled = Instant::now();
    wait::until_true("a stall", wait::deadline(), async || stalled.elapsed() > UNSERVED_AFTER).await;
    bus.submit(Interactive, &job("j-1", 1), PATIENCE).await.unwrap();
}

/// Checks the lane until it is not served.
async fn until_unserved(bus: &dyn Bus, lane: Lane) {
    wait::until_true("the lane to be unserved", wait::deadline(), async || {
        !bus.is_served(lane).await.unwrap()
    })
    .await;
}

/// Claims one job, waiting as long as needed.
async fn claim(bus: &dyn Bus, lane: Lane, by: &str) -> ClaimedJob {
    let claimed = bus.claim(lane, &worker(by), 1, wait::deadline()).await.unwrap();
    claimed.into_iter().next().expect("no job in time")
}

/// Reports whether the lane has nothing to claim.
async fn none(bus: &dyn Bus, lane: Lane, by: &str) -> bool {
    bus.claim(lane, &worker(by), 9, SHORT_WAIT).await.unwrap().is_empty()
}

const SECOND: Duration = Duration::from_secs(1);
const SILENCE: Duration = Duration::from_secs(3);
const UNSERVED_AFTER: Duration = Duration::from_secs(5);
