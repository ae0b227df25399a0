//! Sessions: opened once, ended for ever.

use std::time::Duration;

use protocol::cluster::origin::Origin;
use protocol::id::SessionId;
use protocol::time::Timestamp;
use store::{SessionEnding, SessionOpened, SessionOpening, Store, WhichSessions};
use testkit::wait;

use crate::recorder::relayed;
use crate::sample::{event, receipt, sealed, user};

super::kept_by_both_stores!(
    a_session_that_is_open_keeps_its_deadline,
    an_ended_session_is_refused_for_ever,
    the_session_of_tokens_without_sid_is_opened_again_by_a_newer_token,
    a_session_that_idled_out_is_opened_by_a_token_issued_after_its_end,
    all_sessions_but_one_are_ended_and_told,
    an_ending_that_is_repeated_is_answered_the_same,
    all_sessions_are_ended_together,
    a_user_s_sessions_are_listed_with_where_they_come_from,
    wrong_factors_are_counted_in_a_session_until_it_is_opened_anew,
    a_deadline_is_moved_and_never_back,
    another_timeout_moves_deadlines_back_too,
    live_sessions_are_listed_page_by_page,
);

/// The rows of the audit log, sorted.
async fn audited(store: &dyn Store) -> Vec<String> {
    let rows = store.audit_rows("GEN-001", 0, i64::MAX, 9).await.unwrap();
    let mut rows: Vec<_> = rows.iter().map(|row| format!("{} {}", row.act, row.about)).collect();
    rows.sort();
    rows
}

const TIMEOUT: Duration = Duration::from_secs(30 * 60);

async fn a_session_that_is_open_keeps_its_deadline(store: &dyn Store) {
    assert_eq!(open(store, "s-1", 0).await, SessionOpened::Open(TIMEOUT));
    let left = left(open(store, "s-1", 0).await).unwrap();
    assert!(left <= TIMEOUT && left > TIMEOUT - wait::deadline(), "{left:?}");
}

async fn an_ended_session_is_refused_for_ever(store: &dyn Store) {
    open(store, "s-1", 0).await;
    assert_eq!(end(store, "1", one("s-1")).await, (Ok(1), vec!["s-1".to_owned()]));
    assert!(store.is_session_ended(&user("GEN-001"), &session("s-1")).await.unwrap());
    assert_eq!(open(store, "s-1", 3600).await, SessionOpened::Ended);
}

async fn the_session_of_tokens_without_sid_is_opened_again_by_a_newer_token(store: &dyn Store) {
    open(store, SessionId::DEFAULT, 0).await;
    assert_eq!(end(store, "1", one(SessionId::DEFAULT)).await.0, Ok(1));
    assert_eq!(open(store, SessionId::DEFAULT, 0).await, SessionOpened::Ended);
    assert_eq!(
        open(store, SessionId::DEFAULT, MUCH_LATER).await,
        SessionOpened::Open(TIMEOUT)
    );
    assert_eq!(end(store, "2", one(SessionId::DEFAULT)).await.0, Ok(1));
    assert_eq!(
        open(store, SessionId::DEFAULT, MUCH_LATER).await,
        SessionOpened::Ended,
        "that token was seen"
    );
    assert_eq!(
        open(store, SessionId::DEFAULT, MUCH_LATER + 1).await,
        SessionOpened::Open(TIMEOUT)
    );
}

async fn a_session_that_idled_out_is_opened_by_a_token_issued_after_its_end(store: &dyn Store) {
    let short = |issued_in| SessionOpening {
        timeout: Duration::from_millis(50),
        ..opening("s-1", issued_in)
    };
    store.open_session(&short(0)).await.unwrap();
    wait::until_true("the session to be over", wait::deadline(), async || {
        store.open_session(&short(0)).await.unwrap() == SessionOpened::IdledOut
    })
    .await;
    assert_eq!(open(store, "s-1", MUCH_LATER).await, SessionOpened::Open(TIMEOUT));
}

async fn all_sessions_but_one_are_ended_and_told(store: &dyn Store) {
    for name in ["s-1", "s-2", "s-3"] {
        open(store, name, 0).await;
    }
    let (count, mut ended) = end(store, "1", WhichSessions::AllBut(session("s-2"))).await;
    ended.sort();
    assert_eq!((count, ended), (Ok(2), vec!["s-1".to_owned(), "s-3".to_owned()]));
    assert!(left(open(store, "s-2", 0).await).is_some());
    let mut told = relayed(store, &user("GEN-001")).await;
    told.sort();
    assert_eq!(told, ["end of s-1", "end of s-3"]);
    assert_eq!(audited(store).await, ["session_ended s-1", "session_ended s-3"]);
}

async fn an_ending_that_is_repeated_is_answered_the_same(store: &dyn Store) {
    open(store, "s-1", 0).await;
    assert_eq!(end(store, "1", one("s-1")).await.0, Ok(1));
    let (again, ended) = end(store, "1", one("s-1")).await;
    assert_eq!(again, Err(sealed("answer to 1")));
    assert_eq!(ended, ["s-1"], "what follows an end may have to be done again");
    assert_eq!(end(store, "2", one("s-1")).await.0, Ok(0));
    assert_eq!(audited(store).await, ["session_ended s-1"]);
}

async fn all_sessions_are_ended_together(store: &dyn Store) {
    for name in ["s-1", "s-2"] {
        open(store, name, 0).await;
    }
    for (job, count) in [("1", 2), ("2", 0)] {
        assert_eq!(end(store, job, WhichSessions::All).await.0, Ok(count));
    }
    assert_eq!(store.sessions_of(&user("GEN-001")).await.unwrap(), []);
    assert_eq!(relayed(store, &user("GEN-001")).await.len(), 2);
}

async fn a_user_s_sessions_are_listed_with_where_they_come_from(store: &dyn Store) {
    open(store, "s-1", 0).await;
    store
        .open_session(&SessionOpening {
            user: user("GEN-002"),
            ..opening("s-1", 0)
        })
        .await
        .unwrap();
    let first = store.sessions_of(&user("GEN-001")).await.unwrap();
    let moved = Origin {
        address: "192.0.2.2".to_owned(),
        ..opening("s-1", 0).origin
    };
    let again = SessionOpening {
        origin: moved.clone(),
        ..opening("s-1", 0)
    };
    store.open_session(&again).await.unwrap();
    let listed = store.sessions_of(&user("GEN-001")).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0].session, &listed[0].origin), (&session("s-1"), &moved));
    assert_eq!(listed[0].opened_at, first[0].opened_at, "it goes on");
}

async fn wrong_factors_are_counted_in_a_session_until_it_is_opened_anew(store: &dyn Store) {
    let (user, default) = (user("GEN-001"), session(SessionId::DEFAULT));
    assert_eq!(
        store.count_failure(&user, &default).await.unwrap(),
        0,
        "nobody knows it"
    );
    open(store, SessionId::DEFAULT, 0).await;
    open(store, "s-1", 0).await;
    for count in 1..=3 {
        assert_eq!(store.count_failure(&user, &default).await.unwrap(), count);
    }
    assert_eq!(store.count_failure(&user, &session("s-1")).await.unwrap(), 1);
    open(store, SessionId::DEFAULT, 1).await;
    assert_eq!(store.count_failure(&user, &default).await.unwrap(), 4, "it goes on");
    assert_eq!(end(store, "1", one(SessionId::DEFAULT)).await.0, Ok(1));
    open(store, SessionId::DEFAULT, MUCH_LATER).await;
    assert_eq!(store.count_failure(&user, &default).await.unwrap(), 1);
}

async fn a_deadline_is_moved_and_never_back(store: &dyn Store) {
    open(store, "s-1", 0).await;
    let key = (user("GEN-001"), session("s-1"));
    for left in [TIMEOUT * 2, TIMEOUT / 2] {
        store.keep_deadlines(&[(key.clone(), left)]).await.unwrap();
    }
    assert!(left(open(store, "s-1", 0).await).unwrap() > TIMEOUT);
}

async fn another_timeout_moves_deadlines_back_too(store: &dyn Store) {
    open(store, "s-1", 0).await;
    open(store, "s-2", 0).await;
    let retimed = [(session("s-1"), TIMEOUT / 2)];
    store.retime_sessions(&user("GEN-001"), &retimed).await.unwrap();
    assert!(left(open(store, "s-1", 0).await).unwrap() <= TIMEOUT / 2);
    assert!(left(open(store, "s-2", 0).await).unwrap() > TIMEOUT / 2);
}

async fn live_sessions_are_listed_page_by_page(store: &dyn Store) {
    for name in ["s-1", "s-2", "s-3", "s-4"] {
        open(store, name, 0).await;
    }
    assert_eq!(end(store, "1", one("s-3")).await.0, Ok(1));
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = store.live_sessions(after.as_ref(), 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        listed.extend(page.into_iter().map(|(_, session)| session.to_string()));
    }
    assert_eq!(listed, ["s-1", "s-2", "s-4"]);
}

/// How long an open session has left.
fn left(opened: SessionOpened) -> Option<Duration> {
    match opened {
        SessionOpened::Open(left) => Some(left),
        SessionOpened::Ended | SessionOpened::IdledOut => None,
    }
}

/// Opens a session of GEN-001 by a token that was, or will be, issued so many seconds from now.
async fn open(store: &dyn Store, name: &str, issued_in: u64) -> SessionOpened {
    store.open_session(&opening(name, issued_in)).await.unwrap()
}

/// In seconds since 1970: before every test.
const LONG_AGO: u64 = 1_700_000_000;

/// After `LONG_AGO`, in seconds: later than every test.
const MUCH_LATER: u64 = 2_000_000_000;

fn opening(name: &str, issued_in: u64) -> SessionOpening {
    let issued_at = i64::try_from((LONG_AGO + issued_in) * 1_000).unwrap();
    SessionOpening {
        user: user("GEN-001"),
        session: session(name),
        issued_at: Some(Timestamp::from_millis(issued_at)),
        timeout: TIMEOUT,
        origin: Origin {
            address: "192.0.2.1".to_owned(),
            device_id: Some("phone".to_owned()),
            device_name: None,
            user_agent: Some("Test/1.0".to_owned()),
        },
    }
}

async fn end(store: &dyn Store, job: &str, which: WhichSessions) -> (Result<usize, store::vault::Sealed>, Vec<String>) {
    let ending = SessionEnding {
        user: user("GEN-001"),
        which,
        notice: &|session| event(&format!("end of {session}")),
    };
    let ended = store.end_sessions(&ending, &|_| receipt(job)).await.unwrap();
    let sessions = ended.ended.iter().map(ToString::to_string).collect();
    (ended.count, sessions)
}

fn one(name: &str) -> WhichSessions {
    WhichSessions::One(session(name))
}

fn session(name: &str) -> SessionId {
    SessionId::new(name).unwrap()
}
