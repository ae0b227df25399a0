//! Rooms: who is listened for, and what each socket of a user gets.

mod moments;

use std::task::{Context, Poll};

use bus::ResumeTokenKey;
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

use super::seats::{RoomId, Start, Work};
use super::*;
use crate::connection::outbound::Outbound;
use crate::connection::outgoing::Outgoing;
use crate::connection::{Dismissal, Ending};
use crate::form::Form;

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
    })
}

/// A socket of the user.
struct Socket {
    outbound: Arc<Outbound>,
    dismissal: Arc<Dismissal>,
    seat: SeatId,
}

impl Socket {
    fn join(rooms: &mut Rooms, connection: &str, session: &str, dialect: Dialect) -> (Self, SeatId, Start) {
        let (outbound, dismissal) = (Arc::new(Outbound::default()), Arc::new(Dismissal::default()));
        let subscriber = Subscriber {
            connection: ConnectionId::new(connection).unwrap(),
            session: SessionId::new(session).unwrap(),
            form: Form::new(dialect, true),
            outbound: Arc::clone(&outbound),
            moved: tokio::sync::mpsc::channel(1).0,
            dismissal: Arc::clone(&dismissal),
        };
        let (seat, start) = rooms.take_seat(&user(), subscriber);
        let socket = Self {
            outbound,
            dismissal,
            seat,
        };
        (socket, seat, start)
    }

    /// Why it is to end, if it is.
    fn ending(&self) -> Option<Ending> {
        self.dismissal.said().now_or_never()
    }

    /// How many messages are queued for it.
    fn heard(&self) -> usize {
        self.queued().len()
    }

    fn queued(&self) -> Vec<Message> {
        let mut cx = Context::from_waker(noop_waker_ref());
        std::iter::from_fn(|| match self.outbound.poll_pop(&mut cx) {
            Poll::Ready(Ok(Outgoing::Plain(message))) => Some(message),
            Poll::Ready(_) | Poll::Pending => None,
        })
        .collect()
    }
}

/// Rooms in which the user's has just been opened at seq 0, with one socket for each of these.
fn open<const N: usize>(sockets: [(&str, &str, Dialect); N]) -> (Rooms, [Socket; N]) {
    let mut rooms = Rooms::default();
    let sockets =
        sockets.map(|(connection, session, dialect)| Socket::join(&mut rooms, connection, session, dialect).0);
    let Some(Work::Open(user, room)) = rooms.next_work() else {
        panic!("the first socket opens the room")
    };
    rooms.opened(&user, room, at(0), &metrics());
    for socket in &sockets {
        assert_eq!(rooms.go_live(&user, socket.seat, &at(0)), Progress::Live);
    }
    (rooms, sockets)
}

#[test]
fn a_user_is_listened_for_from_the_first_socket_to_the_last() {
    let mut rooms = Rooms::default();
    let (_first, first, _) = Socket::join(&mut rooms, "c1", "s", Dialect::NativeJson);
    let (_second, second, _) = Socket::join(&mut rooms, "c2", "s", Dialect::NativeJson);
    assert!(matches!(rooms.next_work(), Some(Work::Open(..))));
    assert_eq!(rooms.next_work(), None, "the second socket asks for nothing");
    assert!(!rooms.leave(&user(), first));
    assert!(rooms.leave(&user(), second), "the last to leave ends it");
    assert!(!rooms.leave(&user(), second), "and nobody after it");
}

#[test]
fn a_room_that_was_left_before_it_was_opened_is_not_opened() {
    let mut rooms = Rooms::default();
    let (_gone, gone, _) = Socket::join(&mut rooms, "c1", "s", Dialect::NativeJson);
    let Some(work @ Work::Open(..)) = rooms.next_work() else {
        panic!("the first socket opens the room")
    };
    rooms.leave(&user(), gone);
    let (_back, _, mut start) = Socket::join(&mut rooms, "c2", "s", Dialect::NativeJson);
    let Work::Open(user, old_room) = work.clone() else {
        return;
    };
    rooms.opened(&user, old_room, at(7), &metrics());
    let Start::Later(told) = &mut start else {
        panic!("the new room is not open yet")
    };
    assert!(told.try_recv().is_err(), "the old room's position is not the new one's");
    rooms.again(work);
    assert!(matches!(rooms.next_work(), Some(Work::Open(_, room)) if room != old_room));
    assert_eq!(rooms.next_work(), None);
}

#[test]
fn sockets_of_one_form_share_their_bytes() {
    let native = |name| (name, "s", Dialect::NativeJson);
    let (mut rooms, sockets) = open([native("c1"), native("c2")]);
    rooms.heard(&user(), at(1), event(1, Audience::User), &metrics());
    let pointers = sockets.each_ref().map(|socket| match socket.queued().as_slice() {
        [Message::Text(bytes)] => bytes.as_ptr(),
        other => panic!("{other:?}"),
    });
    assert_eq!(pointers[0], pointers[1]);
}

#[test]
fn an_event_for_one_session_or_socket_reaches_no_other_and_has_no_offset() {
    let seat = |name, session| (name, session, Dialect::NativeJson);
    let (mut rooms, [one, two, other]) = open([seat("c1", "s1"), seat("c2", "s1"), seat("c3", "s2")]);
    let session = Audience::Session(SessionId::new("s1").unwrap());
    rooms.heard(&user(), at(1), event(1, session), &metrics());
    let socket = Audience::Socket(ConnectionId::new("c3").unwrap());
    rooms.heard(&user(), at(2), event(2, socket), &metrics());

    let frame = |seq: u64| {
        let text = format!(r#"{{"event":"account:status_changed","data":{seq},"offset":null}}"#);
        vec![Message::Text(text.into())]
    };
    assert_eq!(one.queued(), frame(1));
    assert_eq!(two.queued(), frame(1));
    assert_eq!(other.queued(), frame(2));
}

#[test]
fn a_socket_hears_nothing_before_it_has_read_as_far_as_its_room() {
    let (mut rooms, [_early]) = open([("c1", "s", Dialect::NativeJson)]);
    rooms.heard(&user(), at(1), event(1, Audience::User), &metrics());
    let (late, seat, start) = Socket::join(&mut rooms, "c2", "s", Dialect::NativeJson);
    assert!(matches!(start, Start::At(offset) if offset == at(1)));
    assert_eq!(rooms.go_live(&user(), seat, &at(0)), Progress::Behind);
    rooms.heard(&user(), at(2), event(2, Audience::User), &metrics());
    assert_eq!(
        rooms.go_live(&user(), seat, &at(1)),
        Progress::Behind,
        "the room went on"
    );
    assert_eq!(late.heard(), 0);
    assert_eq!(rooms.go_live(&user(), seat, &at(2)), Progress::Live);
    rooms.heard(&user(), at(3), event(3, Audience::User), &metrics());
    assert_eq!(late.heard(), 1);
}

#[test]
fn what_a_socket_has_read_ahead_of_its_room_it_does_not_hear_again() {
    let (mut rooms, [early]) = open([("c1", "s", Dialect::NativeJson)]);
    let (late, seat, _) = Socket::join(&mut rooms, "c2", "s", Dialect::NativeJson);
    assert_eq!(rooms.go_live(&user(), seat, &at(2)), Progress::Live);
    for seq in 1..=3 {
        rooms.heard(&user(), at(seq), event(seq, Audience::User), &metrics());
    }
    assert_eq!((early.heard(), late.heard()), (3, 1));
}

#[test]
fn a_loss_is_told_to_plain_websockets_and_sends_socketio_away() {
    let (mut rooms, [native, socketio]) = open([("c1", "s", Dialect::NativeJson), ("c2", "s", Dialect::SocketIo)]);
    let (ahead, seat, _) = Socket::join(&mut rooms, "c3", "s", Dialect::SocketIo);
    assert_eq!(rooms.go_live(&user(), seat, &at(9)), Progress::Live);
    let (reading, _, _) = Socket::join(&mut rooms, "c4", "s", Dialect::SocketIo);
    lose(&mut rooms, 9);

    let resync = Message::Text(r#"{"event":"resync","data":{},"offset":null}"#.into());
    assert_eq!(native.queued(), [resync]);
    assert_eq!(native.ending(), None);
    assert_eq!(socketio.ending(), Some(Ending::Resync));
    assert_eq!(ahead.ending(), None, "it has read all of it");
    assert_eq!(reading.ending(), None, "the log will tell it by itself");

    rooms.heard(&user(), at(10), event(10, Audience::User), &metrics());
    assert_eq!((native.heard(), ahead.heard()), (1, 1));
    assert_eq!(socketio.heard(), 0, "nothing comes after a hole");
}

#[test]
fn a_socketio_socket_whose_log_is_lost_is_sent_away_and_reads_no_more_of_it() {
    let (mut rooms, [_socket]) = open([("c1", "s", Dialect::NativeJson)]);
    let (native, native_seat, _) = Socket::join(&mut rooms, "c2", "s", Dialect::NativeJson);
    let (socketio, socketio_seat, _) = Socket::join(&mut rooms, "c3", "s", Dialect::SocketIo);
    for seat in [native_seat, socketio_seat] {
        let place = rooms.place(&user(), seat).unwrap();
        place.lose();
        let envelope = event(9, Audience::User);
        place.replay(&envelope, &mut Encoded::new(&at(9), &envelope));
        place.go_live(at(9));
    }
    assert_eq!(native.heard(), 2, "`resync` and the event that was read");
    assert_eq!((socketio.heard(), socketio.ending()), (0, Some(Ending::Resync)));
}

#[test]
fn a_room_that_follows_another_epoch_looks_again() {
    let (mut rooms, [_socket]) = open([("c1", "s", Dialect::NativeJson)]);
    let (_late, seat, _) = Socket::join(&mut rooms, "c2", "s", Dialect::NativeJson);
    let newer = Offset {
        epoch: Epoch::new("b").unwrap(),
        seq: 0,
    };
    assert_eq!(rooms.go_live(&user(), seat, &newer), Progress::Apart);
    assert!(matches!(rooms.next_work(), Some(Work::Check(users, _)) if users == [user()]));
}

#[test]
fn a_ticket_that_is_redeemed_elsewhere_ends_its_earlier_holder() {
    let (mut rooms, sockets) = open(["c1", "c2", "c3"].map(|name| (name, "s", Dialect::SocketIo)));
    let hold = |id: &str, redemption| ResumeLease {
        key: ResumeTokenKey {
            user: user(),
            id: ResumeTokenId::new(id).unwrap(),
        },
        redemption,
    };
    let holds = [hold("t-1", 3), hold("t-1", 4), hold("t-2", 0)];
    for (socket, hold) in sockets.iter().zip(holds) {
        rooms.place(&user(), socket.seat).unwrap().hold(hold);
    }
    rooms.redeemed(&user(), &ResumeTokenId::new("t-1").unwrap(), 4);
    assert_eq!(
        sockets.map(|socket| socket.ending()),
        [Some(Ending::Replaced), None, None]
    );
}

/// The room misses what came up to `seq`, and the log does not say what it was.
fn lose(rooms: &mut Rooms, seq: u64) {
    rooms.heard(&user(), at(seq), event(seq, Audience::User), &metrics());
    let Some(Work::Read(user, room, after)) = rooms.next_work() else {
        panic!("a hole makes the log read")
    };
    assert_eq!(after, at(0));
    rooms.read(&user, room, LogRead::Gap(at(seq)), &metrics());
}

#[test]
fn positions_are_compared_batch_by_batch() {
    let mut rooms = Rooms::default();
    for number in 0..1_001 {
        let user = UserId::new(format!("u{number}")).unwrap();
        let subscriber = Subscriber {
            connection: ConnectionId::new("c").unwrap(),
            session: SessionId::new("s").unwrap(),
            form: Form::new(Dialect::SocketIo, true),
            outbound: Arc::default(),
            dismissal: Arc::default(),
            moved: tokio::sync::mpsc::channel(1).0,
        };
        rooms.take_seat(&user, subscriber);
        let Some(Work::Open(user, room)) = rooms.next_work() else {
            panic!("the first socket opens the room")
        };
        rooms.opened(&user, room, at(0), &metrics());
    }
    rooms.check_all();
    for size in [500, 500, 1] {
        let Some(Work::Check(users, round)) = rooms.next_work() else {
            panic!("positions are compared")
        };
        assert_eq!(users.len(), size);
        assert_eq!(rooms.next_work(), None, "one batch at a time");
        rooms.check_done(round);
    }
    assert_eq!(rooms.next_work(), None);
}

#[test]
fn a_comparison_that_is_stuck_does_not_hold_up_a_newer_one() {
    let (mut rooms, _) = open([("c1", "s", Dialect::NativeJson)]);
    rooms.check_all();
    let Some(Work::Check(_, stuck)) = rooms.next_work() else {
        panic!("positions are compared")
    };
    rooms.check_all();
    assert!(matches!(rooms.next_work(), Some(Work::Check(..))));
    rooms.check_done(stuck);
    assert_eq!(rooms.next_work(), None, "the newer one is still under way");
}
