//! Contract of session records.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use protocol::cluster::origin::Origin;
use protocol::id::{SessionId, UserId};
use protocol::time::Timestamp;
use store::EndSessionsOutcome::Ended;
use store::{
    AnnounceError, AnnouncedEnd, CommittedEnds, EndAnnouncer, EndSessionsOutcome, EndSessionsRequest, SessionDeadline,
    SessionOpenOutcome, SessionOpenRequest, SessionSelector, Store,
};
use testkit::wait;

use crate::recorder::relayed;
use crate::sample::{encrypted, event, receipt, user};

super::kept_by_both_stores!(
    open_session_keeps_its_deadline,
    ended_session_is_refused_for_ever,
    default_session_is_reopened_by_a_newer_token,
    expired_session_is_opened_by_a_token_issued_later,
    all_sessions_but_one_are_ended_and_published,
    repeated_end_returns_its_first_answer,
    all_sessions_are_ended_at_once,
    session_alive_in_redis_is_ended_and_listed_despite_its_stored_deadline,
    end_counts_live_sessions,
    unannounced_session_does_not_end,
    ends_are_announced_before_the_commit,
    ends_are_unconfirmed_until_confirmed,
    earlier_confirmation_does_not_confirm_a_later_end,
    end_of_all_sessions_outdates_older_tokens_and_sessions,
    end_of_all_but_one_keeps_that_session,
    token_presented_before_the_end_does_not_reopen_the_session,
    without_a_known_token_the_leeway_after_the_end_applies,
    reopened_session_starts_after_its_end,
    sessions_are_live_until_deadlines_are_saved,
    sessions_of_a_user_are_listed_with_their_origin,
    wrong_factors_are_counted_until_the_session_is_reopened,
    saved_deadline_is_extended_and_never_shortened,
    reset_deadline_may_be_shorter,
    live_sessions_are_listed_in_pages,
);

/// Rows of the audit log, sorted.
async fn audited(store: &dyn Store) -> Vec<String> {
    let rows = store.audit_rows("GEN-001", 0, i64::MAX, 9).await.unwrap();
    let mut rows: Vec<_> = rows
        .iter()
        .map(|row| format!("{} {}", row.action, row.subject))
        .collect();
    rows.sort();
    rows
}

pub(super) const TIMEOUT: Duration = Duration::from_secs(30 * 60);

async fn open_session_keeps_its_deadline(store: &dyn Store) {
    assert_eq!(left(open(store, "s-1", 0).await), Some(TIMEOUT));
    let left = left(open(store, "s-1", 0).await).unwrap();
    assert!(left <= TIMEOUT && left > TIMEOUT - wait::deadline(), "{left:?}");
}

async fn ended_session_is_refused_for_ever(store: &dyn Store) {
    open(store, "s-1", 0).await;
    assert_eq!(end(store, "1", one("s-1")).await, Ok(1));
    assert!(store.is_session_ended(&user("GEN-001"), &session("s-1")).await.unwrap());
    for issued_in in [3600, MUCH_LATER] {
        assert!(is_ended(open(store, "s-1", issued_in).await));
    }
}

async fn default_session_is_reopened_by_a_newer_token(store: &dyn Store) {
    open(store, SessionId::DEFAULT, 0).await;
    assert_eq!(end(store, "1", one(SessionId::DEFAULT)).await, Ok(1));
    assert!(is_ended(open(store, SessionId::DEFAULT, 0).await));
    let opened = open(store, SessionId::DEFAULT, MUCH_LATER).await;
    assert_eq!(left(opened), Some(TIMEOUT));
    assert_eq!(end(store, "2", one(SessionId::DEFAULT)).await, Ok(1));
    let seen = open(store, SessionId::DEFAULT, MUCH_LATER).await;
    assert!(is_ended(seen), "that token was seen");
    let again = open(store, SessionId::DEFAULT, MUCH_LATER + 1).await;
    assert_eq!(left(again), Some(TIMEOUT));
}

async fn expired_session_is_opened_by_a_token_issued_later(store: &dyn Store) {
    let short = |issued_in| SessionOpenRequest {
        timeout: Duration::from_millis(50),
        ..opening("s-1", issued_in)
    };
    store.open_session(&short(0), None).await.unwrap();
    wait::until_true("the session to be over", wait::deadline(), async || {
        store.open_session(&short(0), None).await.unwrap() == SessionOpenOutcome::IdledOut
    })
    .await;
    assert_eq!(left(open(store, "s-1", MUCH_LATER).await), Some(TIMEOUT));
}

async fn all_sessions_but_one_are_ended_and_published(store: &dyn Store) {
    for name in ["s-1", "s-2", "s-3"] {
        open(store, name, 0).await;
    }
    assert_eq!(end(store, "1", SessionSelector::AllExcept(session("s-2"))).await, Ok(2));
    assert!(left(open(store, "s-2", 0).await).is_some());
    let mut published = relayed(store, &user("GEN-001")).await;
    published.sort();
    assert_eq!(published, ["end of s-1", "end of s-3"]);
    assert_eq!(audited(store).await, ["session_ended s-1", "session_ended s-3"]);
}

async fn repeated_end_returns_its_first_answer(store: &dyn Store) {
    open(store, "s-1", 0).await;
    assert_eq!(end(store, "1", one("s-1")).await, Ok(1));
    assert_eq!(end(store, "1", one("s-1")).await, Err(encrypted("answer to 1")));
    assert_eq!(end(store, "2", one("s-1")).await, Ok(0));
    assert_eq!(audited(store).await, ["session_ended s-1"]);
}

async fn all_sessions_are_ended_at_once(store: &dyn Store) {
    for name in ["s-1", "s-2"] {
        open(store, name, 0).await;
    }
    for (job, count) in [("1", 2), ("2", 0)] {
        assert_eq!(end(store, job, SessionSelector::All).await, Ok(count));
    }
    assert_eq!(store.sessions_of(&user("GEN-001"), &[]).await.unwrap(), []);
    assert_eq!(relayed(store, &user("GEN-001")).await.len(), 2);
}

async fn sessions_of_a_user_are_listed_with_their_origin(store: &dyn Store) {
    open(store, "s-1", 0).await;
    store
        .open_session(
            &SessionOpenRequest {
                user: user("GEN-002"),
                ..opening("s-1", 0)
            },
            None,
        )
        .await
        .unwrap();
    let first = store.sessions_of(&user("GEN-001"), &[]).await.unwrap();
    let moved = Origin {
        address: "192.0.2.2".to_owned(),
        ..opening("s-1", 0).origin
    };
    let again = SessionOpenRequest {
        origin: moved.clone(),
        ..opening("s-1", 0)
    };
    store.open_session(&again, None).await.unwrap();
    let listed = store.sessions_of(&user("GEN-001"), &[]).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0].session, &listed[0].origin), (&session("s-1"), &moved));
    assert_eq!(listed[0].opened_at, first[0].opened_at, "it goes on");
}

async fn wrong_factors_are_counted_until_the_session_is_reopened(store: &dyn Store) {
    let (user, default) = (user("GEN-001"), session(SessionId::DEFAULT));
    assert_eq!(
        store.count_factor_failure(&user, &default).await.unwrap(),
        0,
        "nobody knows it"
    );
    open(store, SessionId::DEFAULT, 0).await;
    open(store, "s-1", 0).await;
    for count in 1..=3 {
        assert_eq!(store.count_factor_failure(&user, &default).await.unwrap(), count);
    }
    assert_eq!(store.count_factor_failure(&user, &session("s-1")).await.unwrap(), 1);
    open(store, SessionId::DEFAULT, 1).await;
    assert_eq!(
        store.count_factor_failure(&user, &default).await.unwrap(),
        4,
        "it goes on"
    );
    assert_eq!(end(store, "1", one(SessionId::DEFAULT)).await, Ok(1));
    open(store, SessionId::DEFAULT, MUCH_LATER).await;
    assert_eq!(store.count_factor_failure(&user, &default).await.unwrap(), 1);
}

async fn saved_deadline_is_extended_and_never_shortened(store: &dyn Store) {
    open(store, "s-1", 0).await;
    let key = (user("GEN-001"), session("s-1"));
    for left in [TIMEOUT * 2, TIMEOUT / 2] {
        store
            .save_deadlines(&[(key.clone(), deadline(left, None))])
            .await
            .unwrap();
    }
    assert!(left(open(store, "s-1", 0).await).unwrap() > TIMEOUT);
}

async fn reset_deadline_may_be_shorter(store: &dyn Store) {
    open(store, "s-1", 0).await;
    open(store, "s-2", 0).await;
    let retimed = [(session("s-1"), TIMEOUT / 2)];
    store.reset_deadlines(&user("GEN-001"), &retimed).await.unwrap();
    assert!(left(open(store, "s-1", 0).await).unwrap() <= TIMEOUT / 2);
    assert!(left(open(store, "s-2", 0).await).unwrap() > TIMEOUT / 2);
}

async fn live_sessions_are_listed_in_pages(store: &dyn Store) {
    for name in ["s-1", "s-2", "s-3", "s-4"] {
        open(store, name, 0).await;
    }
    assert_eq!(end(store, "1", one("s-3")).await, Ok(1));
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = store.live_sessions(after.as_ref(), 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        listed.extend(page.into_iter().map(|(_, session)| session.to_string()));
    }
    assert_eq!(listed, ["s-1", "s-2", "s-4"]);
}

/// Redis has activity that was not copied.
async fn session_alive_in_redis_is_ended_and_listed_despite_its_stored_deadline(store: &dyn Store) {
    for name in ["s-1", "s-2", "s-3"] {
        idle(store, name).await;
    }
    let alive = ["s-1", "s-2", "lost here"].map(session);
    let listed = store.sessions_of(&user("GEN-001"), &alive).await.unwrap();
    let listed: Vec<_> = listed.iter().map(|opened| opened.session.as_str()).collect();
    assert_eq!(listed, ["s-1", "s-2"]);
    let redis = Redis::with(&alive);
    assert_eq!(end_in(store, &redis, "1", one("s-1")).await, Ended(1));
    assert_eq!(
        end_in(store, &redis, "2", SessionSelector::AllExcept(session("s-2"))).await,
        Ended(1)
    );
    assert_eq!(end_in(store, &redis, "3", SessionSelector::All).await, Ended(1));
    for name in ["s-1", "s-2", "lost here"] {
        assert!(is_ended(open(store, name, MUCH_LATER).await), "{name}");
    }
    assert_eq!(relayed(store, &user("GEN-001")).await.len(), 3);
}

async fn end_counts_live_sessions(store: &dyn Store) {
    idle(store, "idle").await;
    open(store, "s-1", 0).await;
    for (job, which, count) in [
        ("1", one("idle"), 0),
        ("2", one("nobody's"), 0),
        ("3", SessionSelector::All, 1),
    ] {
        assert_eq!(end(store, job, which).await, Ok(count));
    }
    assert_eq!(audited(store).await, ["session_ended s-1"]);
}

async fn unannounced_session_does_not_end(store: &dyn Store) {
    open(store, "s-1", 0).await;
    let away = Redis {
        is_unavailable: true,
        ..Redis::with(&[])
    };
    let ended = end_in(store, &away, "1", SessionSelector::All).await;
    assert_eq!(ended, EndSessionsOutcome::Unannounced(AnnounceError));
    assert!(left(open(store, "s-1", 0).await).is_some());
    assert!(left(open(store, "s-2", 0).await).is_some());
    assert_eq!(
        store.unconfirmed_ends(&user("GEN-001")).await.unwrap(),
        CommittedEnds::default()
    );
    assert_eq!(
        end(store, "1", SessionSelector::All).await,
        Ok(2),
        "the job was not done"
    );
}

async fn ends_are_announced_before_the_commit(store: &dyn Store) {
    for name in ["s-1", "s-2"] {
        open(store, name, 0).await;
    }
    let redis = Redis::with(&[session("s-1")]);
    assert_eq!(end_in(store, &redis, "1", SessionSelector::All).await, Ended(2));
    let mut announced = redis.announced.lock().unwrap().clone();
    announced.sort();
    assert_eq!(announced, ["s-1", "s-2"].map(session));
}

async fn ends_are_unconfirmed_until_confirmed(store: &dyn Store) {
    let gen_1 = user("GEN-001");
    for name in ["s-1", "s-2"] {
        open(store, name, 0).await;
    }
    assert!(store.users_with_unconfirmed_ends(9).await.unwrap().is_empty());
    end(store, "1", one("s-1")).await.unwrap();
    let first = store.unconfirmed_ends(&gen_1).await.unwrap();
    assert_eq!(
        (first.sessions.len(), &first.sessions[0].0, &first.all),
        (1, &session("s-1"), &None)
    );
    end(store, "2", SessionSelector::AllExcept(session("s-2")))
        .await
        .unwrap();
    let all = store.unconfirmed_ends(&gen_1).await.unwrap().all.unwrap();
    assert_eq!(all.except, Some(session("s-2")));
    assert_eq!(
        store.users_with_unconfirmed_ends(9).await.unwrap(),
        std::slice::from_ref(&gen_1)
    );
    store.confirm_ends(&gen_1, &first).await.unwrap();
    let rest = store.unconfirmed_ends(&gen_1).await.unwrap();
    assert_eq!((rest.sessions.len(), rest.all.is_some()), (0, true));
    store.confirm_ends(&gen_1, &rest).await.unwrap();
    assert_eq!(store.unconfirmed_ends(&gen_1).await.unwrap(), CommittedEnds::default());
    assert!(store.users_with_unconfirmed_ends(9).await.unwrap().is_empty());
}

async fn earlier_confirmation_does_not_confirm_a_later_end(store: &dyn Store) {
    let gen_1 = user("GEN-001");
    open(store, SessionId::DEFAULT, 0).await;
    end(store, "1", SessionSelector::All).await.unwrap();
    let earlier = store.unconfirmed_ends(&gen_1).await.unwrap();
    open(store, SessionId::DEFAULT, MUCH_LATER).await;
    assert!(
        store.unconfirmed_ends(&gen_1).await.unwrap().sessions.is_empty(),
        "it goes on"
    );
    end(store, "2", SessionSelector::All).await.unwrap();
    store.confirm_ends(&gen_1, &earlier).await.unwrap();
    let later = store.unconfirmed_ends(&gen_1).await.unwrap();
    assert_eq!((later.sessions.len(), later.all.is_some()), (1, true));
}

async fn end_of_all_sessions_outdates_older_tokens_and_sessions(store: &dyn Store) {
    idle(store, "idle").await;
    end(store, "1", SessionSelector::All).await.unwrap();
    for name in ["never opened", SessionId::DEFAULT] {
        assert_eq!(open(store, name, 0).await, SessionOpenOutcome::Outdated, "{name}");
        let silent = SessionOpenRequest {
            issued_at: None,
            ..opening(name, 0)
        };
        assert_eq!(
            store.open_session(&silent, None).await.unwrap(),
            SessionOpenOutcome::Outdated,
            "{name}"
        );
        assert!(left(open(store, name, MUCH_LATER).await).is_some(), "{name}");
    }
    let gen_1 = user("GEN-001");
    for issued_in in [0, MUCH_LATER] {
        assert!(
            is_ended(open(store, "idle", issued_in).await),
            "nobody could name it, and it has ended"
        );
    }
    assert!(store.is_session_ended(&gen_1, &session("idle")).await.unwrap());
    assert!(!store.is_session_ended(&gen_1, &session("never opened")).await.unwrap());
}

async fn end_of_all_but_one_keeps_that_session(store: &dyn Store) {
    idle(store, "mine").await;
    idle(store, "theirs").await;
    end(store, "1", SessionSelector::AllExcept(session("mine")))
        .await
        .unwrap();
    assert!(
        !store
            .is_session_ended(&user("GEN-001"), &session("mine"))
            .await
            .unwrap()
    );
    assert_eq!(open(store, "mine", 0).await, SessionOpenOutcome::IdledOut);
    assert!(is_ended(open(store, "theirs", 0).await));
}

async fn token_presented_before_the_end_does_not_reopen_the_session(store: &dyn Store) {
    let redis = Redis {
        newest: Some(opening(SessionId::DEFAULT, MUCH_LATER).issued_at.unwrap()),
        ..Redis::with(&[session(SessionId::DEFAULT)])
    };
    open(store, SessionId::DEFAULT, 0).await;
    assert_eq!(end_in(store, &redis, "1", one(SessionId::DEFAULT)).await, Ended(1));
    assert!(is_ended(open(store, SessionId::DEFAULT, MUCH_LATER).await));
    assert!(left(open(store, SessionId::DEFAULT, MUCH_LATER + 1).await).is_some());
}

async fn without_a_known_token_the_leeway_after_the_end_applies(store: &dyn Store) {
    let redis = Redis {
        newest: None,
        ..Redis::with(&[])
    };
    open(store, SessionId::DEFAULT, 0).await;
    assert_eq!(end_in(store, &redis, "1", one(SessionId::DEFAULT)).await, Ended(1));
    let ended_at = store.unconfirmed_ends(&user("GEN-001")).await.unwrap().sessions[0].1;
    let issued = |after| SessionOpenRequest {
        issued_at: Some(ended_at.plus(Duration::from_secs(after))),
        ..opening(SessionId::DEFAULT, 0)
    };
    assert!(is_ended(store.open_session(&issued(60), None).await.unwrap()));
    assert!(left(store.open_session(&issued(61), None).await.unwrap()).is_some());
}

async fn reopened_session_starts_after_its_end(store: &dyn Store) {
    open(store, SessionId::DEFAULT, 0).await;
    end(store, "1", one(SessionId::DEFAULT)).await.unwrap();
    let ended_at = store.unconfirmed_ends(&user("GEN-001")).await.unwrap().sessions[0].1;
    let SessionOpenOutcome::Open(life) = open(store, SessionId::DEFAULT, MUCH_LATER).await else {
        panic!("it begins again");
    };
    assert!(life.opened_at > ended_at);
    let SessionOpenOutcome::Open(again) = open(store, SessionId::DEFAULT, MUCH_LATER).await else {
        panic!("it goes on");
    };
    assert_eq!(again.opened_at, life.opened_at);
}

/// No matter how long ago deadlines were last saved.
async fn sessions_are_live_until_deadlines_are_saved(store: &dyn Store) {
    idle(store, "s-1").await;
    let live = async || store.live_sessions(None, 9).await.unwrap().len();
    let long_after_its_end = [((user("GEN-001"), session("s-1")), deadline(Duration::ZERO, None))];
    store
        .reset_deadlines(&user("GEN-001"), &[(session("s-1"), Duration::ZERO)])
        .await
        .unwrap();
    assert_eq!(live().await, 1);
    store.mark_deadlines_saved(Duration::from_hours(1)).await.unwrap();
    assert_eq!(live().await, 1);
    store.save_deadlines(&long_after_its_end).await.unwrap();
    store.mark_deadlines_saved(Duration::ZERO).await.unwrap();
    store.mark_deadlines_saved(Duration::from_hours(2)).await.unwrap();
    assert_eq!(live().await, 1, "its deadline may lag by two minutes");
}

pub(super) fn deadline(left: Duration, latest_expiry: Option<Timestamp>) -> SessionDeadline {
    SessionDeadline { left, latest_expiry }
}

/// Opens a session that has expired by its stored deadline.
async fn idle(store: &dyn Store, name: &str) {
    let short = SessionOpenRequest {
        timeout: Duration::from_millis(20),
        ..opening(name, 0)
    };
    store.open_session(&short, None).await.unwrap();
    wait::until_true("the session to be over", wait::deadline(), async || {
        store.open_session(&short, None).await.unwrap() == SessionOpenOutcome::IdledOut
    })
    .await;
}

/// Shared state that reports the same facts for all announced sessions.
pub(super) struct Redis {
    alive: Vec<SessionId>,
    newest: Option<Timestamp>,
    is_unavailable: bool,
    announced: Mutex<Vec<SessionId>>,
}

impl Redis {
    pub(super) fn with(alive: &[SessionId]) -> Self {
        Self {
            alive: alive.to_vec(),
            newest: Some(Timestamp::from_millis(1)),
            is_unavailable: false,
            announced: Mutex::default(),
        }
    }
}

#[async_trait]
impl EndAnnouncer for Redis {
    async fn announce(&self, _user: &UserId, sessions: &[SessionId]) -> Result<Vec<AnnouncedEnd>, AnnounceError> {
        if self.is_unavailable {
            return Err(AnnounceError);
        }
        self.announced.lock().unwrap().extend(sessions.iter().cloned());
        let end = |session| AnnouncedEnd {
            was_alive: self.alive.contains(session),
            newest_token: self.newest,
            latest_expiry: None,
        };
        Ok(sessions.iter().map(end).collect())
    }
}

fn is_ended(opened: SessionOpenOutcome) -> bool {
    matches!(opened, SessionOpenOutcome::Ended(_))
}

/// Remaining time of an open session.
fn left(opened: SessionOpenOutcome) -> Option<Duration> {
    match opened {
        SessionOpenOutcome::Open(life) => Some(life.left),
        SessionOpenOutcome::Ended(_) | SessionOpenOutcome::Outdated | SessionOpenOutcome::IdledOut => None,
    }
}

/// Opens a session of GEN-001 with a token whose time of issue is `issued_in` seconds from `LONG_AGO`.
pub(super) async fn open(store: &dyn Store, name: &str, issued_in: u64) -> SessionOpenOutcome {
    store.open_session(&opening(name, issued_in), None).await.unwrap()
}

/// Seconds since 1970, before every test.
pub(super) const LONG_AGO: u64 = 1_700_000_000;

/// Seconds after `LONG_AGO`, later than every test.
const MUCH_LATER: u64 = 2_000_000_000;

/// Time so many seconds from `LONG_AGO`.
pub(super) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(i64::try_from((LONG_AGO + seconds) * 1_000).unwrap())
}

pub(crate) fn opening(name: &str, issued_in: u64) -> SessionOpenRequest {
    SessionOpenRequest {
        user: user("GEN-001"),
        session: session(name),
        issued_at: Some(at(issued_in)),
        expires_at: None,
        latest_expiry: None,
        timeout: TIMEOUT,
        origin: Origin {
            address: "192.0.2.1".to_owned(),
            device_id: Some("phone".to_owned()),
            device_name: None,
            user_agent: Some("Test/1.0".to_owned()),
        },
    }
}

/// Ends sessions of which Redis knows only old tokens. Returns their number, or the previous answer.
pub(crate) async fn end(
    store: &dyn Store,
    job: &str,
    which: SessionSelector,
) -> Result<usize, store::vault::Ciphertext> {
    match end_in(store, &Redis::with(&[]), job, which).await {
        Ended(count) => Ok(count),
        EndSessionsOutcome::Repeated(answer) => Err(answer),
        EndSessionsOutcome::Unannounced(error) => panic!("{error}"),
    }
}

async fn end_in(store: &dyn Store, redis: &Redis, job: &str, which: SessionSelector) -> EndSessionsOutcome {
    let ending = EndSessionsRequest {
        user: user("GEN-001"),
        which,
        alive: &redis.alive,
        announcer: redis,
        notice: &|session| event(&format!("end of {session}")),
    };
    store.end_sessions(&ending, &|_| receipt(job)).await.unwrap()
}

pub(super) fn one(name: &str) -> SessionSelector {
    SessionSelector::One(session(name))
}

pub(super) fn session(name: &str) -> SessionId {
    SessionId::new(name).unwrap()
}
