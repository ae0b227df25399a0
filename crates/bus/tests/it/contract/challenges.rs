//! Challenges: kept for a while, taken once.

use std::time::Duration;

use bus::{Bus, Key};
use futures_util::future::join_all;
use testkit::wait;

use crate::sample::user;

holds_for_both!(
    a_value_is_read_until_it_is_taken,
    of_many_takers_one_succeeds,
    a_value_ends_with_its_time,
    a_later_value_replaces_an_earlier_one,
    keys_do_not_share,
);

const MINUTE: Duration = Duration::from_secs(60);

async fn a_value_is_read_until_it_is_taken(bus: &dyn Bus) {
    let key = state("00ff");
    assert_eq!(bus.read(&key).await.unwrap(), None);
    bus.put(&key, b"sealed \x00\xff", MINUTE).await.unwrap();
    for _ in 0..2 {
        assert_eq!(bus.read(&key).await.unwrap().unwrap(), b"sealed \x00\xff");
    }
    assert_eq!(bus.take(&key).await.unwrap().unwrap(), b"sealed \x00\xff");
    assert_eq!(bus.take(&key).await.unwrap(), None);
    assert_eq!(bus.read(&key).await.unwrap(), None);
}

async fn of_many_takers_one_succeeds(bus: &dyn Bus) {
    let key = state("00ff");
    bus.put(&key, b"once", MINUTE).await.unwrap();
    let taken = join_all((0..50).map(|_| bus.take(&key))).await;
    assert_eq!(taken.into_iter().filter_map(|taken| taken.unwrap()).count(), 1);
}

async fn a_value_ends_with_its_time(bus: &dyn Bus) {
    let (short, long) = (state("01"), state("02"));
    bus.put(&long, b"stays", MINUTE).await.unwrap();
    bus.put(&short, b"ends", Duration::from_millis(50)).await.unwrap();
    wait::until_true("the value to end", wait::deadline(), async || {
        bus.read(&short).await.unwrap().is_none()
    })
    .await;
    assert_eq!(bus.take(&short).await.unwrap(), None);
    assert!(bus.read(&long).await.unwrap().is_some());
}

async fn a_later_value_replaces_an_earlier_one(bus: &dyn Bus) {
    let key = state("00ff");
    bus.put(&key, b"earlier", Duration::from_millis(50)).await.unwrap();
    bus.put(&key, b"later", MINUTE).await.unwrap();
    assert_eq!(bus.take(&key).await.unwrap().unwrap(), b"later");
}

async fn keys_do_not_share(bus: &dyn Bus) {
    let keys = [
        state("00ff"),
        state("ff00"),
        open("one", "s-1:github"),
        open("one", "s-2:github"),
        open("other", "s-1:github"),
        confirmation("one", "00ff"),
        confirmation("other", "00ff"),
        Key::TwoFactor {
            user: user("one"),
            id: "s-1:github".to_owned(),
        },
        Key::StepUp {
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

fn state(hash: &str) -> Key {
    Key::Authorize {
        state_hash: hash.to_owned(),
    }
}

fn open(id: &str, of: &str) -> Key {
    Key::OpenAuthorize {
        user: user(id),
        of: of.to_owned(),
    }
}

fn confirmation(id: &str, hash: &str) -> Key {
    Key::Confirmation {
        user: user(id),
        hash: hash.to_owned(),
    }
}
