//! Resume tokens: valid in one session, leased by the latest redemption.

use bus::{Bus, ChannelMessage, ResumeLease, ResumeToken, ResumeTokenKey};
use futures_util::future::join_all;
use protocol::cluster::offset::{Epoch, Offset};
use protocol::id::{ConnectionId, ResumeTokenId, SessionId};
use protocol::time::Timestamp;

use crate::nodes::TestSubscriptions;
use crate::sample::{offset, publish, user};

test_all!(
    token_redeems_unchanged_any_number_of_times,
    token_redeems_only_for_its_user_and_session,
    token_of_an_earlier_epoch_does_not_redeem,
    redemption_ends_the_previous_lease,
    one_of_many_concurrent_redemptions_is_the_last,
    earlier_attempt_after_a_later_one_fails,
    redemption_is_published_to_all_nodes_of_the_user,
    token_is_revoked_only_by_its_latest_lease,
    lease_of_a_missing_token_renews_without_effect,
    special_characters_in_token_ids_work,
    oldest_token_of_the_largest_session_is_evicted,
);

async fn token_redeems_unchanged_any_number_of_times(bus: &dyn Bus) {
    let (key, token) = (key("GEN-001", "t-1"), token(bus, "GEN-001").await);
    assert_eq!(
        bus.redeem_token(&key, &session("s-1"), now()).await.unwrap(),
        None,
        "not yet issued"
    );
    bus.issue_token(&key, &token, 128).await.unwrap();
    publish(bus, &key.user, 1).await;
    for redemption in 1..=3 {
        let redeemed = bus.redeem_token(&key, &session("s-1"), now()).await.unwrap().unwrap();
        assert_eq!(redeemed.token, token);
        assert_eq!(redeemed.lease, lease(&key, redemption));
    }
}

async fn oldest_token_of_the_largest_session_is_evicted(bus: &dyn Bus) {
    let (owners, token) = (key("GEN-001", "owner's"), token(bus, "GEN-001").await);
    bus.issue_token(&owners, &token, 128).await.unwrap();
    let thiefs = ResumeToken {
        session: session("s-2"),
        ..token.clone()
    };
    let keys: Vec<ResumeTokenKey> = (0..130).map(|number| key("GEN-001", &format!("t-{number}"))).collect();
    let mut leases = Vec::new();
    for key in &keys {
        leases.push(bus.issue_token(key, &thiefs, 128).await.unwrap());
        // The first is renewed each time.
        assert_eq!(bus.renew_tokens(&leases[..1]).await.unwrap(), [true]);
    }
    let redeem_token =
        async |key: &ResumeTokenKey, of: &str| bus.redeem_token(key, &session(of), now()).await.unwrap().is_some();
    assert!(redeem_token(&owners, "s-1").await, "other sessions do not evict it");
    let mut known = Vec::new();
    for key in &keys {
        known.push(redeem_token(key, "s-2").await);
    }
    // An eighth of 128 is evicted with the 129th, and one for that.
    let expected: Vec<bool> = (0..130).map(|number| !(1..18).contains(&number)).collect();
    assert_eq!(known, expected);
    assert_eq!(
        bus.renew_tokens(&leases).await.unwrap(),
        known.iter().map(|known| !known).collect::<Vec<_>>(),
        "the lease of an evicted token counts as valid"
    );
}

async fn token_redeems_only_for_its_user_and_session(bus: &dyn Bus) {
    let issued = key("GEN-001", "t-1");
    let first = bus
        .issue_token(&issued, &token(bus, "GEN-001").await, 128)
        .await
        .unwrap();
    let foreign = [
        (key("GEN-002", "t-1"), "s-1"),
        (issued.clone(), "s-2"),
        (key("GEN-001", "t-2"), "s-1"),
    ];
    for (key, of) in foreign {
        assert_eq!(
            bus.redeem_token(&key, &session(of), now()).await.unwrap(),
            None,
            "{key:?} {of}"
        );
    }
    assert_eq!(
        bus.renew_tokens(&[first]).await.unwrap(),
        [true],
        "a failed attempt ends no lease"
    );
    assert!(
        bus.redeem_token(&issued, &session("s-1"), now())
            .await
            .unwrap()
            .is_some()
    );
}

async fn token_of_an_earlier_epoch_does_not_redeem(bus: &dyn Bus) {
    let key = key("GEN-001", "t-1");
    let start = Offset {
        epoch: Epoch::new("0badcafe").unwrap(),
        seq: 7,
    };
    let token = ResumeToken {
        start,
        ..token(bus, "GEN-001").await
    };
    bus.issue_token(&key, &token, 128).await.unwrap();
    assert_eq!(bus.redeem_token(&key, &session("s-1"), now()).await.unwrap(), None);
}

async fn redemption_ends_the_previous_lease(bus: &dyn Bus) {
    let key = key("GEN-001", "t-1");
    let first = bus.issue_token(&key, &token(bus, "GEN-001").await, 128).await.unwrap();
    assert_eq!(bus.renew_tokens(std::slice::from_ref(&first)).await.unwrap(), [true]);
    let second = bus
        .redeem_token(&key, &session("s-1"), now())
        .await
        .unwrap()
        .unwrap()
        .lease;
    assert_eq!(bus.renew_tokens(&[first, second]).await.unwrap(), [false, true]);
}

async fn one_of_many_concurrent_redemptions_is_the_last(bus: &dyn Bus) {
    let key = key("GEN-001", "t-1");
    bus.issue_token(&key, &token(bus, "GEN-001").await, 128).await.unwrap();
    let session = session("s-1");
    let redeemed = join_all((0..50).map(|_| bus.redeem_token(&key, &session, now()))).await;
    let leases: Vec<ResumeLease> = redeemed
        .into_iter()
        .map(|redeemed| redeemed.unwrap().unwrap().lease)
        .collect();
    let kept = bus.renew_tokens(&leases).await.unwrap();
    let holders: Vec<&ResumeLease> = leases
        .iter()
        .zip(kept)
        .filter_map(|(lease, kept)| kept.then_some(lease))
        .collect();
    assert_eq!(holders, [&lease(&key, 50)]);
}

async fn earlier_attempt_after_a_later_one_fails(bus: &dyn Bus) {
    let key = key("GEN-001", "t-1");
    bus.issue_token(&key, &token(bus, "GEN-001").await, 128).await.unwrap();
    let session = session("s-1");
    let [given_up, again] = [1_000, 1_001].map(Timestamp::from_millis);
    let holder = bus.redeem_token(&key, &session, again).await.unwrap().unwrap().lease;
    assert_eq!(bus.redeem_token(&key, &session, given_up).await.unwrap(), None);
    assert_eq!(bus.renew_tokens(&[holder]).await.unwrap(), [true], "no lease ended");
}

async fn redemption_is_published_to_all_nodes_of_the_user(bus: &dyn Bus) {
    let key = key("GEN-001", "t 1");
    let mut subscribers = [TestSubscriptions::open(bus).await, TestSubscriptions::open(bus).await];
    for subscriptions in &subscribers {
        subscriptions.handle.subscribe(&key.user).await.unwrap();
    }
    bus.issue_token(&key, &token(bus, "GEN-001").await, 128).await.unwrap();
    bus.redeem_token(&key, &session("s-1"), now()).await.unwrap();
    publish(bus, &key.user, 1).await;
    for subscriptions in &mut subscribers {
        let redeemed = ChannelMessage::Redeemed {
            user: key.user.clone(),
            token: key.id.clone(),
            redemption: 1,
        };
        assert_eq!(subscriptions.next().await, redeemed);
        assert_eq!(subscriptions.next_seq().await, 1, "a redemption has no offset");
    }
}

async fn token_is_revoked_only_by_its_latest_lease(bus: &dyn Bus) {
    let key = key("GEN-001", "t-1");
    let first = bus.issue_token(&key, &token(bus, "GEN-001").await, 128).await.unwrap();
    let second = bus
        .redeem_token(&key, &session("s-1"), now())
        .await
        .unwrap()
        .unwrap()
        .lease;
    bus.revoke_token(&first).await.unwrap();
    assert_eq!(
        bus.renew_tokens(&[first, second]).await.unwrap(),
        [false, true],
        "the token remains"
    );
    bus.revoke_token(&lease(&key, 1)).await.unwrap();
    assert_eq!(bus.redeem_token(&key, &session("s-1"), now()).await.unwrap(), None);
}

async fn lease_of_a_missing_token_renews_without_effect(bus: &dyn Bus) {
    let key = key("GEN-001", "t-1");
    let lease = bus.issue_token(&key, &token(bus, "GEN-001").await, 128).await.unwrap();
    bus.revoke_token(&lease).await.unwrap();
    assert_eq!(bus.renew_tokens(std::slice::from_ref(&lease)).await.unwrap(), [true]);
    assert_eq!(
        bus.redeem_token(&key, &session("s-1"), now()).await.unwrap(),
        None,
        "a renewal does not restore the token"
    );
}

async fn special_characters_in_token_ids_work(bus: &dyn Bus) {
    for (whose, name) in [("a}:pid:b", "x"), ("with space", "a b"), ("*", "}:log"), ("u", "*")] {
        let key = key(whose, name);
        bus.issue_token(&key, &token(bus, whose).await, 128).await.unwrap();
        let redeemed = bus.redeem_token(&key, &session("s-1"), now()).await.unwrap().unwrap();
        assert_eq!(redeemed.lease.key, key);
    }
}

/// Time of all attempts whose order does not matter.
fn now() -> Timestamp {
    Timestamp::from_millis(1_000)
}

fn key(whose: &str, name: &str) -> ResumeTokenKey {
    ResumeTokenKey {
        user: user(whose),
        id: ResumeTokenId::new(name).unwrap(),
    }
}

async fn token(bus: &dyn Bus, whose: &str) -> ResumeToken {
    ResumeToken {
        session: session("s-1"),
        connection: ConnectionId::new("c-1").unwrap(),
        start: offset(bus, &user(whose)).await,
    }
}

fn lease(key: &ResumeTokenKey, redemption: u64) -> ResumeLease {
    ResumeLease {
        key: key.clone(),
        redemption,
    }
}

fn session(id: &str) -> SessionId {
    SessionId::new(id).unwrap()
}
