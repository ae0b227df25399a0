//! Challenges: values with a TTL, taken once.

use std::time::Duration;

use bus::{Bus, ChallengeKey, ChallengeKind};
use futures_util::future::join_all;
use testkit::wait;

use crate::sample::user;

test_all!(
    value_is_readable_until_taken,
    one_of_many_concurrent_takes_succeeds,
    value_expires_after_its_ttl,
    later_value_replaces_an_earlier_one,
    keys_are_independent,
    sixth_authorization_replaces_the_oldest,
    five_of_many_concurrent_authorizations_remain,
    value_put_again_counts_once_as_the_newest,
    expired_values_free_capacity,
    read_all_and_delete_all_cover_one_user_and_kind,
);

const MINUTE: Duration = Duration::from_secs(60);

async fn value_is_readable_until_taken(bus: &dyn Bus) {
    for key in [state("00ff"), authorization("one", 1)] {
        assert_eq!(bus.read(&key).await.unwrap(), None);
        bus.put(&key, b"\x00 value \x00\xff", MINUTE).await.unwrap();
        for _ in 0..2 {
            assert_eq!(bus.read(&key).await.unwrap().unwrap(), b"\x00 value \x00\xff");
        }
        assert_eq!(bus.take(&key).await.unwrap().unwrap(), b"\x00 value \x00\xff");
        assert_eq!(bus.take(&key).await.unwrap(), None);
        assert_eq!(bus.read(&key).await.unwrap(), None);
    }
}

async fn one_of_many_concurrent_takes_succeeds(bus: &dyn Bus) {
    for key in [state("00ff"), authorization("one", 1)] {
        bus.put(&key, b"once", MINUTE).await.unwrap();
        let taken = join_all((0..50).map(|_| bus.take(&key))).await;
        assert_eq!(taken.into_iter().filter_map(|taken| taken.unwrap()).count(), 1);
    }
}

async fn value_expires_after_its_ttl(bus: &dyn Bus) {
    for (short, long) in [
        (state("01"), state("02")),
        (authorization("one", 1), authorization("one", 2)),
    ] {
        bus.put(&long, b"stays", MINUTE).await.unwrap();
        bus.put(&short, b"ends", Duration::from_millis(50)).await.unwrap();
        wait::until_true("the value to expire", wait::deadline(), async || {
            bus.read(&short).await.unwrap().is_none()
        })
        .await;
        assert_eq!(bus.take(&short).await.unwrap(), None);
        assert!(bus.read(&long).await.unwrap().is_some());
    }
    assert_eq!(
        bus.read_all(&user("one"), ChallengeKind::Authorize).await.unwrap(),
        [b"stays"]
    );
}

async fn later_value_replaces_an_earlier_one(bus: &dyn Bus) {
    for key in [state("00ff"), authorization("one", 1)] {
        bus.put(&key, b"earlier", Duration::from_millis(50)).await.unwrap();
        bus.put(&key, b"later", MINUTE).await.unwrap();
        assert_eq!(bus.take(&key).await.unwrap().unwrap(), b"later");
    }
}

async fn keys_are_independent(bus: &dyn Bus) {
    let keys = [
        state("00ff"),
        state("ff00"),
        ChallengeKey::PendingLink {
            hash: "00ff".to_owned(),
        },
        authorization("one", 1),
        authorization("one", 2),
        authorization("other", 1),
        confirmation("one", "00ff"),
        confirmation("other", "00ff"),
        ChallengeKey::TwoFactor {
            user: user("one"),
            id: "s-1:github".to_owned(),
        },
        ChallengeKey::StepUp {
            user: user("one"),
            of: "s-1:github".to_owned(),
        },
    ];
    for (number, key) in (0u8..).zip(&keys) {
        bus.put(key, &[number], MINUTE).await.unwrap();
    }
    for (number, key) in (0u8..).zip(&keys) {
        assert_eq!(bus.read(key).await.unwrap().unwrap(), [number]);
    }
}

async fn sixth_authorization_replaces_the_oldest(bus: &dyn Bus) {
    for number in 1..=5 {
        bus.put(&authorization("one", number), &[number], MINUTE).await.unwrap();
    }
    bus.put(&authorization("other", 1), b"another's", MINUTE).await.unwrap();
    assert!(bus.read(&authorization("one", 1)).await.unwrap().is_some());
    for number in 6..=8 {
        bus.put(&authorization("one", number), &[number], MINUTE).await.unwrap();
        let replaced = authorization("one", number - 5);
        assert_eq!(bus.read(&replaced).await.unwrap(), None);
        assert_eq!(bus.take(&replaced).await.unwrap(), None);
        assert_eq!(authorizations(bus).await, (number - 4..=number).collect::<Vec<_>>());
    }
    assert!(bus.read(&authorization("other", 1)).await.unwrap().is_some());
}

async fn five_of_many_concurrent_authorizations_remain(bus: &dyn Bus) {
    let keys: Vec<ChallengeKey> = (0..100).map(|number| authorization("one", number)).collect();
    let kept = join_all(keys.iter().zip(0..).map(|(key, number)| async move {
        bus.put(key, &[number], MINUTE).await.unwrap();
    }));
    kept.await;
    assert_eq!(authorizations(bus).await.len(), 5);
}

async fn value_put_again_counts_once_as_the_newest(bus: &dyn Bus) {
    for number in [1, 2, 3, 4, 5, 1, 6] {
        bus.put(&authorization("one", number), &[number], MINUTE).await.unwrap();
    }
    assert_eq!(authorizations(bus).await, [1, 3, 4, 5, 6]);
}

async fn expired_values_free_capacity(bus: &dyn Bus) {
    bus.put(&authorization("one", 1), &[1], MINUTE).await.unwrap();
    let short = authorization("one", 2);
    bus.put(&short, &[2], Duration::from_millis(50)).await.unwrap();
    wait::until_true("the value to expire", wait::deadline(), async || {
        bus.read(&short).await.unwrap().is_none()
    })
    .await;
    for number in 3..=6 {
        bus.put(&authorization("one", number), &[number], MINUTE).await.unwrap();
    }
    assert_eq!(authorizations(bus).await, [1, 3, 4, 5, 6]);
}

async fn read_all_and_delete_all_cover_one_user_and_kind(bus: &dyn Bus) {
    assert_eq!(authorizations(bus).await, [0; 0]);
    for number in 1..=3 {
        bus.put(&authorization("one", number), &[number], MINUTE).await.unwrap();
    }
    let others = [authorization("other", 1), confirmation("one", "00ff")];
    for key in &others {
        bus.put(key, b"stays", MINUTE).await.unwrap();
    }
    bus.take(&authorization("one", 2)).await.unwrap();
    assert_eq!(authorizations(bus).await, [1, 3]);
    for _ in 0..2 {
        bus.delete_all(&user("one"), ChallengeKind::Authorize).await.unwrap();
        assert_eq!(authorizations(bus).await, [0; 0]);
    }
    assert_eq!(bus.take(&authorization("one", 1)).await.unwrap(), None);
    for key in &others {
        assert!(bus.read(key).await.unwrap().is_some());
    }
}

/// Numbers of the authorizations of one user, sorted.
async fn authorizations(bus: &dyn Bus) -> Vec<u8> {
    let mut numbers = bus
        .read_all(&user("one"), ChallengeKind::Authorize)
        .await
        .unwrap()
        .concat();
    numbers.sort_unstable();
    numbers
}

fn state(hash: &str) -> ChallengeKey {
    ChallengeKey::State { hash: hash.to_owned() }
}

fn authorization(id: &str, number: u8) -> ChallengeKey {
    ChallengeKey::Authorize {
        user: user(id),
        state_hash: format!("{number:02x}"),
    }
}

fn confirmation(id: &str, hash: &str) -> ChallengeKey {
    ChallengeKey::Confirmation {
        user: user(id),
        hash: hash.to_owned(),
    }
}
