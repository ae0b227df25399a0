//! User channels: subscriptions in the bus, and the events that each socket of a user receives.

mod sequences;

use std::task::{Context, Poll};

use bus::{ResumeTokenKey, SessionKey};
use futures_util::FutureExt;
use futures_util::task::noop_waker_ref;
use lifecycle::Tasks;
use protocol::cluster::envelope::{Audience, Envelope};
use protocol::cluster::offset::Epoch;
use protocol::event::DeliveryClass;
use protocol::id::{ConnectionId, EventId, ResumeTokenId, SessionId};
use protocol::json::Json;
use protocol::wire::{Dialect, Message};
use telemetry::metrics::Metrics as Registry;
use tokio::sync::mpsc;

use super::channels::{ChannelId, ChannelStart, HubQuery};
use super::*;
use crate::socket::{ClientEncoding, CloseReason, CloseRequest, OutboundQueue, OutgoingMessage};

fn metrics() -> Metrics {
    Metrics::new(&Registry::new("test").meter(), &Tasks::new())
}

fn user() -> UserId {
    UserId::new("u").unwrap()
}

fn at(seq: u64) -> Offset {
    Offset {
        epoch: Epoch::new("a").unwrap(),
        seq,
    }
}

fn event(seq: u64, audience: Audience) -> Arc<Envelope> {
    Arc::new(Envelope {
        v: Envelope::VERSION,
        id: EventId::new(seq.to_string()).unwrap(),
        audience,
        class: DeliveryClass::State,
        event: "account:status_changed".to_owned(),
        data: Json::of(&seq),
        traceparent: None,
        published_at: None,
    })
}

/// Socket of the user.
struct TestSocket {
    outbound: Arc<OutboundQueue>,
    close_request: Arc<CloseRequest>,
    session_hints: mpsc::Receiver<SessionKey>,
    id: SubscriberId,
}

impl TestSocket {
    fn join(
        channels: &mut UserChannels,
        connection: &str,
        session: &str,
        dialect: Dialect,
    ) -> (Self, SubscriberId, ChannelStart) {
        let (outbound, close_request) = (Arc::new(OutboundQueue::default()), Arc::new(CloseRequest::default()));
        let (hints, session_hints) = mpsc::channel(1);
        let socket = SubscribedSocket {
            connection: ConnectionId::new(connection).unwrap(),
            session: SessionId::new(session).unwrap(),
            encoding: ClientEncoding::new(dialect, true),
            outbound: Arc::clone(&outbound),
            session_hints: hints,
            close_request: Arc::clone(&close_request),
        };
        let (id, start) = channels.subscribe(&user(), socket);
        let socket = Self {
            outbound,
            close_request,
            session_hints,
            id,
        };
        (socket, id, start)
    }

    /// Reason of its close request, if any.
    fn close_reason(&self) -> Option<CloseReason> {
        self.close_request.requested().now_or_never()
    }

    /// Number of messages in its queue.
    fn queue_len(&self) -> usize {
        self.queued().len()
    }

    fn queued(&self) -> Vec<Message> {
        let mut cx = Context::from_waker(noop_waker_ref());
        std::iter::from_fn(|| match self.outbound.poll_pop(&mut cx) {
            Poll::Ready(Ok(queued)) => match queued.message {
                OutgoingMessage::Plain(message) => Some(message),
                _ => None,
            },
            Poll::Ready(Err(_)) | Poll::Pending => None,
        })
        .collect()
    }
}

/// Channels of one user, open at seq 0, with these sockets.
fn open<const N: usize>(sockets: [(&str, &str, Dialect); N]) -> (UserChannels, [TestSocket; N]) {
    let mut channels = UserChannels::default();
    let sockets =
        sockets.map(|(connection, session, dialect)| TestSocket::join(&mut channels, connection, session, dialect).0);
    let Some(HubQuery::Subscribe(user, channel)) = channels.next_query() else {
        panic!("no subscription query for the first socket")
    };
    channels.subscribed(&user, channel);
    channels.opened(&user, at(0), &metrics());
    for socket in &sockets {
        assert_eq!(channels.go_live(&user, socket.id, &at(0)), ReplayProgress::CaughtUp);
    }
    (channels, sockets)
}

#[test]
fn channel_is_subscribed_from_the_first_socket_to_the_last() {
    let mut channels = UserChannels::default();
    let (_first, first, _) = TestSocket::join(&mut channels, "c1", "s", Dialect::NativeJson);
    let (_second, second, _) = TestSocket::join(&mut channels, "c2", "s", Dialect::NativeJson);
    assert!(matches!(channels.next_query(), Some(HubQuery::Subscribe(..))));
    assert_eq!(channels.next_query(), None, "the second socket needs no query");
    assert!(!channels.unsubscribe(&user(), first));
    assert!(
        channels.unsubscribe(&user(), second),
        "the last socket ends the subscription"
    );
    assert!(!channels.unsubscribe(&user(), second), "only once");
}

#[test]
fn channel_closed_before_it_was_open_stays_closed() {
    let mut channels = UserChannels::default();
    let (_gone, gone, _) = TestSocket::join(&mut channels, "c1", "s", Dialect::NativeJson);
    let Some(work @ HubQuery::Subscribe(..)) = channels.next_query() else {
        panic!("no subscription query for the first socket")
    };
    channels.unsubscribe(&user(), gone);
    let (_back, _, mut start) = TestSocket::join(&mut channels, "c2", "s", Dialect::NativeJson);
    let HubQuery::Subscribe(user, old_channel) = work.clone() else {
        return;
    };
    channels.subscribed(&user, old_channel);
    let ChannelStart::Pending(subscribed) = &mut start else {
        panic!("the new channel is open already")
    };
    assert!(subscribed.try_recv().is_err(), "the subscription is of the old channel");
    assert!(
        !channels.opened(&user, at(7), &metrics()),
        "the new channel has no offset yet"
    );
    channels.retry(work);
    assert!(matches!(channels.next_query(), Some(HubQuery::Subscribe(_, channel)) if channel != old_channel));
    assert_eq!(channels.next_query(), None);
}

#[test]
fn messages_missed_before_the_first_offset_have_the_channel_compared() {
    let mut channels = UserChannels::default();
    let (_socket, id, _) = TestSocket::join(&mut channels, "c1", "s", Dialect::NativeJson);
    let Some(HubQuery::Subscribe(user, channel)) = channels.next_query() else {
        panic!("no subscription query for the first socket")
    };
    channels.subscribed(&user, channel);
    channels.missed();
    assert_eq!(channels.next_query(), None, "there is no offset to compare");
    assert!(
        channels.opened(&user, at(3), &metrics()),
        "the channel is to be compared"
    );
    assert!(matches!(channels.next_query(), Some(HubQuery::Compare(users, _)) if users == [user.clone()]));
    assert_eq!(channels.go_live(&user, id, &at(3)), ReplayProgress::CaughtUp);
    assert!(!channels.opened(&user, at(9), &metrics()), "the first offset counts");
    assert_eq!(channels.go_live(&user, id, &at(3)), ReplayProgress::CaughtUp);
}

#[test]
fn messages_missed_of_one_user_have_that_channel_compared_alone() {
    let (mut channels, [_socket]) = open([("c1", "s", Dialect::NativeJson)]);
    let unknown = UserId::new("without a socket").unwrap();
    channels.missed_of(std::slice::from_ref(&unknown));
    assert_eq!(channels.next_query(), None, "there is no channel to compare");
    channels.missed_of(&[unknown, user()]);
    let Some(HubQuery::Compare(users, round)) = channels.next_query() else {
        panic!("no comparison")
    };
    assert_eq!(users, [user()]);
    channels.missed_of(&[user()]);
    assert_eq!(channels.next_query(), None, "one comparison at a time");
    channels.batch_done(round);
    assert!(
        matches!(channels.next_query(), Some(HubQuery::Compare(users, same)) if users == [user()] && same == round)
    );
}

#[test]
fn messages_of_one_user_missed_before_the_first_offset_have_the_channel_compared() {
    let mut channels = UserChannels::default();
    let _joined = TestSocket::join(&mut channels, "c1", "s", Dialect::NativeJson);
    let Some(HubQuery::Subscribe(user, channel)) = channels.next_query() else {
        panic!("no subscription query for the first socket")
    };
    channels.subscribed(&user, channel);
    channels.missed_of(std::slice::from_ref(&user));
    assert_eq!(channels.next_query(), None, "there is no offset to compare");
    channels.opened(&user, at(3), &metrics());
    let Some(HubQuery::Compare(users, _)) = channels.next_query() else {
        panic!("no comparison")
    };
    assert_eq!(users, [user]);
}

#[test]
fn sockets_of_one_encoding_share_their_bytes() {
    let native = |name| (name, "s", Dialect::NativeJson);
    let (mut channels, sockets) = open([native("c1"), native("c2")]);
    channels.received(&user(), at(1), event(1, Audience::User), &metrics());
    let pointers = sockets.each_ref().map(|socket| match socket.queued().as_slice() {
        [Message::Text(bytes)] => bytes.as_ptr(),
        other => panic!("{other:?}"),
    });
    assert_eq!(pointers[0], pointers[1]);
}

#[test]
fn event_for_one_session_or_socket_reaches_no_other_and_has_no_offset() {
    let of = |name, session| (name, session, Dialect::NativeJson);
    let (mut channels, [one, two, other]) = open([of("c1", "s1"), of("c2", "s1"), of("c3", "s2")]);
    let session = Audience::Session(SessionId::new("s1").unwrap());
    channels.received(&user(), at(1), event(1, session), &metrics());
    let socket = Audience::Socket(ConnectionId::new("c3").unwrap());
    channels.received(&user(), at(2), event(2, socket), &metrics());

    let frame = |seq: u64| {
        let text = format!(r#"{{"event":"account:status_changed","data":{seq},"offset":null}}"#);
        vec![Message::Text(text.into())]
    };
    assert_eq!(one.queued(), frame(1));
    assert_eq!(two.queued(), frame(1));
    assert_eq!(other.queued(), frame(2));
}

/// Each socket has a token of its own, so that no event is right for all.
#[test]
fn announced_extension_has_the_session_of_its_sockets_checked_and_is_no_event() {
    let of = |name, session| (name, session, Dialect::NativeJson);
    let (mut channels, [mut one, mut other]) = open([of("c1", "s1"), of("c2", "s2")]);
    let session = SessionId::new("s1").unwrap();
    let announcement = Envelope {
        event: "security:session_extended".to_owned(),
        ..(*event(1, Audience::Session(session.clone()))).clone()
    };
    channels.received(&user(), at(1), Arc::new(announcement), &metrics());
    let hint = one.session_hints.try_recv().unwrap();
    assert_eq!((hint.user, hint.session), (user(), session));
    assert!(other.session_hints.try_recv().is_err(), "of another session");
    assert_eq!((one.queue_len(), other.queue_len()), (0, 0));
}

#[test]
fn socket_receives_no_event_before_it_has_caught_up() {
    let (mut channels, [_early]) = open([("c1", "s", Dialect::NativeJson)]);
    channels.received(&user(), at(1), event(1, Audience::User), &metrics());
    let (late, subscriber, start) = TestSocket::join(&mut channels, "c2", "s", Dialect::NativeJson);
    assert!(matches!(start, ChannelStart::Subscribed));
    assert_eq!(channels.go_live(&user(), subscriber, &at(0)), ReplayProgress::Behind);
    channels.received(&user(), at(2), event(2, Audience::User), &metrics());
    assert_eq!(
        channels.go_live(&user(), subscriber, &at(1)),
        ReplayProgress::Behind,
        "the channel delivered another event"
    );
    assert_eq!(late.queue_len(), 0);
    assert_eq!(channels.go_live(&user(), subscriber, &at(2)), ReplayProgress::CaughtUp);
    channels.received(&user(), at(3), event(3, Audience::User), &metrics());
    assert_eq!(late.queue_len(), 1);
}

#[test]
fn event_read_ahead_of_the_channel_is_not_delivered_again() {
    let (mut channels, [early]) = open([("c1", "s", Dialect::NativeJson)]);
    let (late, subscriber, _) = TestSocket::join(&mut channels, "c2", "s", Dialect::NativeJson);
    assert_eq!(channels.go_live(&user(), subscriber, &at(2)), ReplayProgress::CaughtUp);
    let metrics = metrics();
    for seq in 1..=3 {
        channels.received(&user(), at(seq), event(seq, Audience::User), &metrics);
    }
    assert_eq!((early.queue_len(), late.queue_len()), (3, 1));
}

#[test]
fn loss_notifies_plain_websockets_and_closes_socketio_sockets() {
    let (mut channels, [native, socketio]) = open([("c1", "s", Dialect::NativeJson), ("c2", "s", Dialect::SocketIo)]);
    let (ahead, subscriber, _) = TestSocket::join(&mut channels, "c3", "s", Dialect::SocketIo);
    assert_eq!(channels.go_live(&user(), subscriber, &at(9)), ReplayProgress::CaughtUp);
    let (reading, _, _) = TestSocket::join(&mut channels, "c4", "s", Dialect::SocketIo);
    lose_events(&mut channels, 9);

    let resync = Message::Text(r#"{"event":"resync","data":{},"offset":null}"#.into());
    assert_eq!(native.queued(), [resync]);
    assert_eq!(native.close_reason(), None);
    assert_eq!(socketio.close_reason(), Some(CloseReason::Resync));
    assert_eq!(ahead.close_reason(), None, "it has read all lost events");
    assert_eq!(reading.close_reason(), None, "its own read of the log reports the loss");

    channels.received(&user(), at(10), event(10, Audience::User), &metrics());
    assert_eq!((native.queue_len(), ahead.queue_len()), (1, 1));
    assert_eq!(socketio.queue_len(), 0, "no event follows a loss");
}

#[test]
fn socketio_socket_is_closed_after_a_loss_and_replays_no_more() {
    let (mut channels, [_socket]) = open([("c1", "s", Dialect::NativeJson)]);
    let (native, native_id, _) = TestSocket::join(&mut channels, "c2", "s", Dialect::NativeJson);
    let (socketio, socketio_id, _) = TestSocket::join(&mut channels, "c3", "s", Dialect::SocketIo);
    for id in [native_id, socketio_id] {
        let subscriber = channels.subscriber(&user(), id).unwrap();
        subscriber.report_loss();
        let envelope = event(9, Audience::User);
        subscriber.replay(&envelope, &mut EncodedEvent::new(&at(9), &envelope));
        subscriber.go_live(at(9));
    }
    assert_eq!(native.queue_len(), 2, "`resync` and the event that was read");
    assert_eq!(
        (socketio.queue_len(), socketio.close_reason()),
        (0, Some(CloseReason::Resync))
    );
}

#[test]
fn channel_of_another_epoch_is_compared_again() {
    let (mut channels, [_socket]) = open([("c1", "s", Dialect::NativeJson)]);
    let (_late, subscriber, _) = TestSocket::join(&mut channels, "c2", "s", Dialect::NativeJson);
    let newer = Offset {
        epoch: Epoch::new("b").unwrap(),
        seq: 0,
    };
    assert_eq!(
        channels.go_live(&user(), subscriber, &newer),
        ReplayProgress::OtherEpoch
    );
    assert!(matches!(channels.next_query(), Some(HubQuery::Compare(users, _)) if users == [user()]));
}

#[test]
fn resume_token_redeemed_elsewhere_closes_the_earlier_socket() {
    let (mut channels, sockets) = open(["c1", "c2", "c3"].map(|name| (name, "s", Dialect::SocketIo)));
    let state = |id: &str, redemption| ResumeLease {
        key: ResumeTokenKey {
            user: user(),
            id: ResumeTokenId::new(id).unwrap(),
        },
        redemption,
    };
    let states = [state("t-1", 3), state("t-1", 4), state("t-2", 0)];
    for (socket, state) in sockets.iter().zip(states) {
        channels.subscriber(&user(), socket.id).unwrap().set_resume_state(state);
    }
    channels.redeemed(&user(), &ResumeTokenId::new("t-1").unwrap(), 4);
    assert_eq!(
        sockets.map(|socket| socket.close_reason()),
        [Some(CloseReason::Replaced), None, None]
    );
}

/// Loses all events up to `seq`, in the channel and in the log.
fn lose_events(channels: &mut UserChannels, seq: u64) {
    channels.received(&user(), at(seq), event(seq, Audience::User), &metrics());
    let Some(HubQuery::Read(user, channel, after)) = channels.next_query() else {
        panic!("no read of the log after a gap")
    };
    assert_eq!(after, at(0));
    channels.read(&user, channel, LogRead::Gap(at(seq)), &metrics());
}

#[test]
fn offsets_are_compared_batch_by_batch() {
    let mut channels = UserChannels::default();
    let metrics = metrics();
    for number in 0..1_001 {
        let user = UserId::new(format!("u{number}")).unwrap();
        let socket = SubscribedSocket {
            connection: ConnectionId::new("c").unwrap(),
            session: SessionId::new("s").unwrap(),
            encoding: ClientEncoding::new(Dialect::SocketIo, true),
            outbound: Arc::default(),
            close_request: Arc::default(),
            session_hints: mpsc::channel(1).0,
        };
        channels.subscribe(&user, socket);
        let Some(HubQuery::Subscribe(user, channel)) = channels.next_query() else {
            panic!("no subscription query for the first socket")
        };
        channels.subscribed(&user, channel);
        channels.opened(&user, at(0), &metrics);
    }
    channels.compare_all();
    for size in [500, 500, 1] {
        let Some(HubQuery::Compare(users, round)) = channels.next_query() else {
            panic!("no comparison")
        };
        assert_eq!(users.len(), size);
        assert_eq!(channels.next_query(), None, "one batch at a time");
        channels.batch_done(round);
    }
    assert_eq!(channels.next_query(), None);
}

#[test]
fn pending_comparison_does_not_delay_a_newer_one() {
    let (mut channels, _) = open([("c1", "s", Dialect::NativeJson)]);
    channels.compare_all();
    let Some(HubQuery::Compare(_, stuck)) = channels.next_query() else {
        panic!("no comparison")
    };
    channels.compare_all();
    assert!(matches!(channels.next_query(), Some(HubQuery::Compare(..))));
    channels.batch_done(stuck);
    assert_eq!(channels.next_query(), None, "the newer one is pending");
}
