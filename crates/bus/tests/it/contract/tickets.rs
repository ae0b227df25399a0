//! Tickets: good in one session, in the hands of whoever redeemed them last, and known to be so.

use bus::{Bus, ChannelMessage, ResumeLease, ResumeToken, ResumeTokenKey};
use futures_util::future::join_all;
use protocol::cluster::offset::{Epoch, Offset};
use protocol::id::{ConnectionId, ResumeTokenId, SessionId};
use protocol::time::Timestamp;

use crate::nodes::Ear;
use crate::sample::{offset, publish, user};

holds_for_both!(
    a_ticket_comes_back_as_it_was_issued_any_number_of_times,
    a_ticket_is_good_for_its_user_and_session_alone,
    a_ticket_of_an_order_that_began_anew_is_no_good,
    a_redemption_takes_the_ticket_from_the_holder_before,
    of_many_redemptions_at_once_one_is_the_last,
    whoever_came_earlier_is_too_late,
    a_redemption_is_heard_wherever_the_user_is,
    a_ticket_ends_at_the_word_of_its_holder_alone,
    a_ticket_that_is_gone_is_nobodys,
    odd_names_are_names_like_others,
    of_too_many_tickets_the_longest_silent_of_the_largest_session_goes,
);

async fn a_ticket_comes_back_as_it_was_issued_any_number_of_times(bus: &dyn Bus) {
    let (key, ticket) = (key("GEN-001", "t-1"), ticket(bus, "GEN-001").await);
    assert_eq!(
        bus.redeem_token(&key, &session("s-1"), now()).await.unwrap(),
        None,
        "not yet issued"
    );
    bus.issue_token(&key, &ticket).await.unwrap();
    publish(bus, &key.user, 1).await;
    for redemption in 1..=3 {
        let redeemed = bus.redeem_token(&key, &session("s-1"), now()).await.unwrap().unwrap();
        assert_eq!(redeemed.ticket, ticket);
        assert_eq!(redeemed.hold, hold(&key, redemption));
    }
}

async fn of_too_many_tickets_the_longest_silent_of_the_largest_session_goes(bus: &dyn Bus) {
    let (owners, ticket) = (key("GEN-001", "owner's"), ticket(bus, "GEN-001").await);
    bus.issue_token(&owners, &ticket).await.unwrap();
    let thiefs = ResumeToken {
        session: session("s-2"),
        ..ticket.clone()
    };
    let keys: Vec<ResumeTokenKey> = (0..130).map(|number| key("GEN-001", &format!("t-{number}"))).collect();
    let mut holds = Vec::new();
    for key in &keys {
        holds.push(bus.issue_token(key, &thiefs).await.unwrap());
        // The first gives a sign of life each time.
        assert_eq!(bus.renew_tokens(&holds[..1]).await.unwrap(), [true]);
    }
    let redeem_token =
        async |key: &ResumeTokenKey, of: &str| bus.redeem_token(key, &session(of), now()).await.unwrap().is_some();
    assert!(redeem_token(&owners, "s-1").await, "another session costs it nothing");
    let mut known = Vec::new();
    for key in &keys {
        known.push(redeem_token(key, "s-2").await);
    }
    assert_eq!(known.iter().filter(|known| **known).count(), 127);
    assert!(known[0] && known[65..].iter().all(|known| *known), "{known:?}");
    assert_eq!(
        bus.renew_tokens(&holds).await.unwrap(),
        known.iter().map(|known| !known).collect::<Vec<_>>(),
        "a holder without a ticket goes on"
    );
}

async fn a_ticket_is_good_for_its_user_and_session_alone(bus: &dyn Bus) {
    let issued = key("GEN-001", "t-1");
    let first = bus.issue_token(&issued, &ticket(bus, "GEN-001").await).await.unwrap();
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
        "a try takes it from nobody"
    );
    assert!(
        bus.redeem_token(&issued, &session("s-1"), now())
            .await
            .unwrap()
            .is_some()
    );
}

async fn a_ticket_of_an_order_that_began_anew_is_no_good(bus: &dyn Bus) {
    let key = key("GEN-001", "t-1");
    let start = Offset {
        epoch: Epoch::new("0badcafe").unwrap(),
        seq: 7,
    };
    let ticket = ResumeToken {
        start,
        ..ticket(bus, "GEN-001").await
    };
    bus.issue_token(&key, &ticket).await.unwrap();
    assert_eq!(bus.redeem_token(&key, &session("s-1"), now()).await.unwrap(), None);
}

async fn a_redemption_takes_the_ticket_from_the_holder_before(bus: &dyn Bus) {
    let key = key("GEN-001", "t-1");
    let first = bus.issue_token(&key, &ticket(bus, "GEN-001").await).await.unwrap();
    assert_eq!(bus.renew_tokens(std::slice::from_ref(&first)).await.unwrap(), [true]);
    let second = bus
        .redeem_token(&key, &session("s-1"), now())
        .await
        .unwrap()
        .unwrap()
        .hold;
    assert_eq!(bus.renew_tokens(&[first, second]).await.unwrap(), [false, true]);
}

async fn of_many_redemptions_at_once_one_is_the_last(bus: &dyn Bus) {
    let key = key("GEN-001", "t-1");
    bus.issue_token(&key, &ticket(bus, "GEN-001").await).await.unwrap();
    let session = session("s-1");
    let redeemed = join_all((0..50).map(|_| bus.redeem_token(&key, &session, now()))).await;
    let holds: Vec<ResumeLease> = redeemed
        .into_iter()
        .map(|redeemed| redeemed.unwrap().unwrap().hold)
        .collect();
    let kept = bus.renew_tokens(&holds).await.unwrap();
    let holders: Vec<&ResumeLease> = holds
        .iter()
        .zip(kept)
        .filter_map(|(hold, kept)| kept.then_some(hold))
        .collect();
    assert_eq!(holders, [&hold(&key, 50)]);
}

async fn whoever_came_earlier_is_too_late(bus: &dyn Bus) {
    let key = key("GEN-001", "t-1");
    bus.issue_token(&key, &ticket(bus, "GEN-001").await).await.unwrap();
    let session = session("s-1");
    let [given_up, again] = [1_000, 1_001].map(Timestamp::from_millis);
    let holder = bus.redeem_token(&key, &session, again).await.unwrap().unwrap().hold;
    assert_eq!(bus.redeem_token(&key, &session, given_up).await.unwrap(), None);
    assert_eq!(
        bus.renew_tokens(&[holder]).await.unwrap(),
        [true],
        "it is taken from nobody"
    );
}

async fn a_redemption_is_heard_wherever_the_user_is(bus: &dyn Bus) {
    let key = key("GEN-001", "t 1");
    let mut ears = [Ear::open(bus).await, Ear::open(bus).await];
    for ear in &ears {
        ear.feed.subscribe(&key.user).await.unwrap();
    }
    bus.issue_token(&key, &ticket(bus, "GEN-001").await).await.unwrap();
    bus.redeem_token(&key, &session("s-1"), now()).await.unwrap();
    publish(bus, &key.user, 1).await;
    for ear in &mut ears {
        let redeemed = ChannelMessage::Redeemed {
            user: key.user.clone(),
            ticket: key.id.clone(),
            redemption: 1,
        };
        assert_eq!(ear.next().await, redeemed);
        assert_eq!(ear.next_seq().await, 1, "it has no place in the order");
    }
}

async fn a_ticket_ends_at_the_word_of_its_holder_alone(bus: &dyn Bus) {
    let key = key("GEN-001", "t-1");
    let first = bus.issue_token(&key, &ticket(bus, "GEN-001").await).await.unwrap();
    let second = bus
        .redeem_token(&key, &session("s-1"), now())
        .await
        .unwrap()
        .unwrap()
        .hold;
    bus.revoke_token(&first).await.unwrap();
    assert_eq!(
        bus.renew_tokens(&[first, second]).await.unwrap(),
        [false, true],
        "it is known still"
    );
    bus.revoke_token(&hold(&key, 1)).await.unwrap();
    assert_eq!(bus.redeem_token(&key, &session("s-1"), now()).await.unwrap(), None);
}

async fn a_ticket_that_is_gone_is_nobodys(bus: &dyn Bus) {
    let key = key("GEN-001", "t-1");
    let hold = bus.issue_token(&key, &ticket(bus, "GEN-001").await).await.unwrap();
    bus.revoke_token(&hold).await.unwrap();
    assert_eq!(bus.renew_tokens(std::slice::from_ref(&hold)).await.unwrap(), [true]);
    assert_eq!(
        bus.redeem_token(&key, &session("s-1"), now()).await.unwrap(),
        None,
        "keeping it brings nothing back"
    );
}

async fn odd_names_are_names_like_others(bus: &dyn Bus) {
    for (whose, name) in [("a}:pid:b", "x"), ("with space", "a b"), ("*", "}:log"), ("u", "*")] {
        let key = key(whose, name);
        bus.issue_token(&key, &ticket(bus, whose).await).await.unwrap();
        let redeemed = bus.redeem_token(&key, &session("s-1"), now()).await.unwrap().unwrap();
        assert_eq!(redeemed.hold.key, key);
    }
}

/// When everyone comes to whom it makes no difference.
fn now() -> Timestamp {
    Timestamp::from_millis(1_000)
}

fn key(whose: &str, name: &str) -> ResumeTokenKey {
    ResumeTokenKey {
        user: user(whose),
        id: ResumeTokenId::new(name).unwrap(),
    }
}

async fn ticket(bus: &dyn Bus, whose: &str) -> ResumeToken {
    ResumeToken {
        session: session("s-1"),
        connection: ConnectionId::new("c-1").unwrap(),
        start: offset(bus, &user(whose)).await,
    }
}

fn hold(key: &ResumeTokenKey, redemption: u64) -> ResumeLease {
    ResumeLease {
        key: key.clone(),
        redemption,
    }
}

fn session(id: &str) -> SessionId {
    SessionId::new(id).unwrap()
}
