//! Limits: exact quotas, even refills, independent buckets.

use std::time::Duration;

use bus::{Bucket, Bus, Charge, LimitDecision, Quota, Share};
use futures_util::future::join_all;
use testkit::wait;
use tokio::time::Instant;

use crate::sample::user;

test_all!(
    quota_is_admitted_at_once_and_no_more,
    concurrent_callers_share_one_quota,
    refusal_has_the_time_until_the_next_slot,
    buckets_are_independent,
    several_buckets_are_charged_all_or_none,
    charge_takes_its_cost,
    concurrent_attempts_take_exactly_the_quota,
    attempt_frees_up_after_its_own_period,
    member_gets_its_share_and_others_the_rest,
    concurrent_attempts_of_a_member_stay_within_its_share,
    unshared_attempts_count_in_a_share,
    global_attempts_are_shared_and_separate_from_users,
);

async fn quota_is_admitted_at_once_and_no_more(bus: &dyn Bus) {
    let user = user("GEN-001");
    for _ in 0..5 {
        assert_eq!(
            bus.admit(&user, &bucket("connect", None), HOURLY).await.unwrap(),
            LimitDecision::Admitted
        );
    }
    let verdict = bus.admit(&user, &bucket("connect", None), HOURLY).await.unwrap();
    let LimitDecision::Refused(wait) = verdict else {
        panic!("sixth admitted");
    };
    let each = HOURLY.period / HOURLY.count;
    assert!(wait <= each && wait > each - wait::deadline(), "{wait:?}");
}

async fn concurrent_callers_share_one_quota(bus: &dyn Bus) {
    let user = user("GEN-001");
    let connect = bucket("connect", None);
    let verdicts = join_all((0..100).map(|_| bus.admit(&user, &connect, HOURLY))).await;
    let admitted = verdicts
        .into_iter()
        .filter(|verdict| matches!(verdict, Ok(LimitDecision::Admitted)));
    assert_eq!(admitted.count(), 5);
}

async fn refusal_has_the_time_until_the_next_slot(bus: &dyn Bus) {
    let user = user("GEN-001");
    let quick = Quota {
        count: 1,
        period: Duration::from_millis(300),
    };
    let connect = bucket("connect", None);
    assert_eq!(
        bus.admit(&user, &connect, quick).await.unwrap(),
        LimitDecision::Admitted
    );
    let LimitDecision::Refused(pause) = bus.admit(&user, &connect, quick).await.unwrap() else {
        panic!("second admitted");
    };
    assert!(!pause.is_zero() && pause <= quick.period, "{pause:?}");
    wait::until_true("the bucket to be refilled", wait::deadline(), async || {
        bus.admit(&user, &connect, quick).await.unwrap() == LimitDecision::Admitted
    })
    .await;
}

async fn buckets_are_independent(bus: &dyn Bus) {
    let once = Quota { count: 1, ..HOURLY };
    for (user, bucket) in [
        (user("one"), bucket("connect", None)),
        (user("other"), bucket("connect", None)),
        (user("one"), bucket("sync", None)),
        (user("one"), bucket("sync", Some("github"))),
        (user("one"), bucket("sync", Some("discord"))),
        (user("one"), bucket("sync", Some("a}:b c"))),
    ] {
        assert_eq!(
            bus.admit(&user, &bucket, once).await.unwrap(),
            LimitDecision::Admitted,
            "{user} {bucket:?}"
        );
        assert!(matches!(
            bus.admit(&user, &bucket, once).await.unwrap(),
            LimitDecision::Refused(_)
        ));
    }
}

async fn several_buckets_are_charged_all_or_none(bus: &dyn Bus) {
    let user = user("GEN-001");
    let charge = |name, count| Charge {
        bucket: bucket(name, None),
        quota: Quota { count, ..HOURLY },
        cost: 1,
    };
    let (wide, narrow) = (charge("commands", 3), charge("connect", 1));
    let both = [wide.clone(), narrow.clone()];
    assert_eq!(bus.admit_all(&user, &both).await.unwrap(), LimitDecision::Admitted);
    for refused in [both.clone(), [narrow, wide.clone()]] {
        let LimitDecision::Refused(wait) = bus.admit_all(&user, &refused).await.unwrap() else {
            panic!("admitted from an empty bucket");
        };
        assert!(wait > HOURLY.period - wait::deadline(), "longest wait: {wait:?}");
    }
    let wide = [wide];
    assert_eq!(bus.admit_all(&user, &wide).await.unwrap(), LimitDecision::Admitted);
    assert_eq!(
        bus.admit_all(&user, &wide).await.unwrap(),
        LimitDecision::Admitted,
        "refusals cost nothing"
    );
    assert!(matches!(
        bus.admit_all(&user, &wide).await.unwrap(),
        LimitDecision::Refused(_)
    ));
    assert_eq!(bus.admit_all(&user, &[]).await.unwrap(), LimitDecision::Admitted);
}

async fn charge_takes_its_cost(bus: &dyn Bus) {
    let user = user("GEN-001");
    let charge = |cost| Charge {
        bucket: bucket("commands", None),
        quota: HOURLY,
        cost,
    };
    assert_eq!(
        bus.admit_all(&user, &[charge(3)]).await.unwrap(),
        LimitDecision::Admitted
    );
    assert!(matches!(
        bus.admit_all(&user, &[charge(3)]).await.unwrap(),
        LimitDecision::Refused(_)
    ));
    assert_eq!(
        bus.admit_all(&user, &[charge(2)]).await.unwrap(),
        LimitDecision::Admitted
    );
    assert!(matches!(
        bus.admit_all(&user, &[charge(1)]).await.unwrap(),
        LimitDecision::Refused(_)
    ));
}

async fn concurrent_attempts_take_exactly_the_quota(bus: &dyn Bus) {
    let user = user("GEN-001");
    let verify = bucket("verify_2fa", None);
    let verdicts = join_all((0..200).map(|_| bus.admit_attempt(&user, &verify, HOURLY))).await;
    let admitted = verdicts
        .into_iter()
        .filter(|verdict| matches!(verdict, Ok(LimitDecision::Admitted)));
    assert_eq!(admitted.count(), 5);
}

async fn attempt_frees_up_after_its_own_period(bus: &dyn Bus) {
    let (user, verify) = (user("GEN-001"), bucket("verify_2fa", None));
    let two = Quota {
        count: 2,
        period: Duration::from_secs(1),
    };
    let attempt = async || bus.admit_attempt(&user, &verify, two).await.unwrap();
    let started = Instant::now();
    assert_eq!([attempt().await, attempt().await], [LimitDecision::Admitted; 2]);
    // A rate cell would have refilled one after half of the period.
    wait::until_true("the first slot to free up", wait::deadline(), async || {
        attempt().await == LimitDecision::Admitted
    })
    .await;
    assert!(started.elapsed() >= two.period, "{:?}", started.elapsed());

    let (slow, twice) = (bucket("slow", None), Quota { count: 2, ..HOURLY });
    let attempt = async || bus.admit_attempt(&user, &slow, twice).await.unwrap();
    assert_eq!([attempt().await, attempt().await], [LimitDecision::Admitted; 2]);
    let LimitDecision::Refused(pause) = attempt().await else {
        panic!("taken above the quota");
    };
    assert!(
        pause <= HOURLY.period && pause > HOURLY.period - wait::deadline(),
        "{pause:?}"
    );
}

async fn take(bus: &dyn Bus, of: &str, most: u32) -> LimitDecision {
    let verify = bucket("verify_2fa", None);
    let share = Share { member: of, most };
    bus.admit_shared_attempt(&user("GEN-001"), &verify, HOURLY, &share)
        .await
        .unwrap()
}

async fn member_gets_its_share_and_others_the_rest(bus: &dyn Bus) {
    for _ in 0..3 {
        assert_eq!(take(bus, "thief", 3).await, LimitDecision::Admitted);
    }
    let LimitDecision::Refused(pause) = take(bus, "thief", 3).await else {
        panic!("taken above the share");
    };
    assert!(
        pause <= HOURLY.period && pause > HOURLY.period - wait::deadline(),
        "{pause:?}"
    );
    for _ in 0..2 {
        assert_eq!(take(bus, "owner", 3).await, LimitDecision::Admitted);
    }
    for taker in ["owner", "thief", "third", ""] {
        let verdict = take(bus, taker, 3).await;
        assert!(matches!(verdict, LimitDecision::Refused(_)), "{taker} took a sixth");
    }
}

async fn concurrent_attempts_of_a_member_stay_within_its_share(bus: &dyn Bus) {
    let taken = join_all((0..100).map(|_| take(bus, "thief", 3))).await;
    let taken = taken.into_iter().filter(|verdict| *verdict == LimitDecision::Admitted);
    assert_eq!(taken.count(), 3);
    let taken = join_all((0..100).map(|_| take(bus, "owner", 3))).await;
    let taken = taken.into_iter().filter(|verdict| *verdict == LimitDecision::Admitted);
    assert_eq!(taken.count(), 2);
}

async fn unshared_attempts_count_in_a_share(bus: &dyn Bus) {
    for _ in 0..4 {
        assert_eq!(take(bus, "first", HOURLY.count).await, LimitDecision::Admitted);
    }
    assert!(matches!(take(bus, "first", 3).await, LimitDecision::Refused(_)));
    assert_eq!(take(bus, "second", 3).await, LimitDecision::Admitted);
}

async fn global_attempts_are_shared_and_separate_from_users(bus: &dyn Bus) {
    let (one, other) = (bucket("message", Some("one")), bucket("message", Some("other")));
    for _ in 0..5 {
        let verdict = bus.admit_global_attempt(&one, HOURLY).await.unwrap();
        assert_eq!(verdict, LimitDecision::Admitted);
    }
    let verdict = bus.admit_global_attempt(&one, HOURLY).await.unwrap();
    assert!(matches!(verdict, LimitDecision::Refused(_)), "{verdict:?}");
    for verdict in [
        bus.admit_global_attempt(&other, HOURLY).await.unwrap(),
        bus.admit_attempt(&user("GEN-001"), &one, HOURLY).await.unwrap(),
    ] {
        assert_eq!(verdict, LimitDecision::Admitted);
    }
}

fn bucket(name: &'static str, of: Option<&str>) -> Bucket {
    Bucket {
        name,
        scope: of.map(str::to_owned),
    }
}

/// Quota too slow to refill while a test runs.
const HOURLY: Quota = Quota {
    count: 5,
    period: Duration::from_secs(5 * 60 * 60),
};
