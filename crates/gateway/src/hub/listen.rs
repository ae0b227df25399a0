//! The hub's task: it hears the bus, delivers, and asks where it did not hear enough.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bus::{BusError, ChannelMessage, LogRead};
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use protocol::cluster::offset::Offset;
use protocol::fault::chain;
use protocol::id::UserId;
use tokio::sync::{Notify, mpsc};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Hub;
use super::gap::PAGE;
use super::seats::{RoomId, Rooms, Round, Work};

/// What the bus answered.
enum Answer {
    Opened(UserId, RoomId, Offset),
    Read(UserId, RoomId, LogRead),
    Checked(Vec<(UserId, Offset)>, Round),
    /// Not enough yet: the work is to be done again.
    Later(Work),
    /// It did not: the work is to be done again.
    Failed(Work, BusError),
}

impl Hub {
    /// Delivers until the node is done; all `missed` are notified whenever messages of the bus may have been missed.
    pub(crate) async fn run(
        self: Arc<Self>,
        mut heard: mpsc::Receiver<ChannelMessage>,
        missed: [Arc<Notify>; 2],
        soft: CancellationToken,
    ) {
        let mut asked: FuturesUnordered<BoxFuture<'static, Answer>> = FuturesUnordered::new();
        let mut failed = Vec::new();
        let mut retry = interval(RETRY);
        let mut check = interval(CHECK);
        for ticks in [&mut retry, &mut check] {
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        loop {
            tokio::select! {
                biased;
                () = soft.cancelled() => return,
                heard = heard.recv() => match heard {
                    Some(ChannelMessage::Event { user, offset, envelope }) => {
                        self.rooms().heard(&user, offset, envelope, &self.metrics);
                    }
                    Some(ChannelMessage::Redeemed { user, token, redemption }) => {
                        self.rooms().redeemed(&user, &token, redemption);
                    }
                    Some(ChannelMessage::Missed) => {
                        missed.iter().for_each(|missed| missed.notify_one());
                        self.rooms().check_all();
                    }
                    // The ear is closed for good: the node cannot go on.
                    None => return,
                },
                Some(answer) = asked.next() => match answer {
                    Answer::Later(work) => failed.push(work),
                    Answer::Failed(work, error) => {
                        if failed.is_empty() {
                            tracing::warn!(error = chain(&error), "the bus did not answer the hub, which will ask again");
                        }
                        if let Work::Check(_, round) = work {
                            self.rooms().check_done(round);
                        }
                        failed.push(work);
                    }
                    answer => self.take(answer),
                },
                () = self.work.notified() => {}
                _ = retry.tick() => failed.drain(..).for_each(|work| self.again(work)),
                _ = check.tick() => self.rooms().check_all(),
            }
            while asked.len() < AT_ONCE {
                let Some(work) = self.rooms().next_work() else { break };
                asked.push(Arc::clone(&self).ask(work).boxed());
            }
        }
    }

    async fn ask(self: Arc<Self>, work: Work) -> Answer {
        let answer = match &work {
            Work::Open(user, room) => self
                .open(user)
                .await
                .map(|offset| Answer::Opened(user.clone(), *room, offset)),
            Work::Read(user, room, after) => {
                let past = self.past(user, after, PAGE).await;
                past.map(|past| match past {
                    Some(past) => Answer::Read(user.clone(), *room, past),
                    None => Answer::Later(work.clone()),
                })
            }
            Work::Check(users, round) => {
                let offsets = self.bus.offsets(users).await;
                offsets.map(|offsets| Answer::Checked(users.iter().cloned().zip(offsets).collect(), *round))
            }
        };
        answer.unwrap_or_else(|error| Answer::Failed(work, error))
    }

    /// First the channel, then the position: whatever comes between is heard, and is beyond it.
    async fn open(&self, user: &UserId) -> Result<Offset, BusError> {
        self.feed.subscribe(user).await?;
        let offsets = self.bus.offsets(std::slice::from_ref(user)).await?;
        offsets.into_iter().next().ok_or(BusError::Unreadable {
            step: "a user's position",
            source: "the answer is empty".into(),
        })
    }

    fn take(&self, answer: Answer) {
        let mut rooms = self.rooms();
        match answer {
            Answer::Opened(user, room, offset) => {
                rooms.opened(&user, room, offset, &self.metrics);
                self.stop_listening_in_vain(&rooms, &user);
            }
            Answer::Read(user, room, past) => rooms.read(&user, room, past, &self.metrics),
            Answer::Checked(offsets, round) => {
                rooms.check_done(round);
                for (user, offset) in offsets {
                    rooms.checked(&user, offset, &self.metrics);
                }
            }
            Answer::Later(_) | Answer::Failed(..) => {}
        }
    }

    fn again(&self, work: Work) {
        let mut rooms = self.rooms();
        if let Work::Open(user, _) = &work {
            self.stop_listening_in_vain(&rooms, user);
        }
        rooms.again(work);
    }

    /// The last socket may have left while its room was still being opened, and unsubscribed before there was a subscription.
    fn stop_listening_in_vain(&self, rooms: &Rooms, user: &UserId) {
        if !rooms.has(user) {
            self.feed.unsubscribe(user);
        }
    }
}

/// How many questions are under way at once.
const AT_ONCE: usize = 128;
/// How long after a failure the bus is asked again.
const RETRY: Duration = Duration::from_secs(1);
/// How often all positions are compared: the loss of a user's last event leaves no hole to be seen.
const CHECK: Duration = Duration::from_secs(30);
