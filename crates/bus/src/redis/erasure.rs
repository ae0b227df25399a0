//! Erasure of a user, for the command of an operator.

use protocol::cluster::job::Lane;
use protocol::id::UserId;

use super::RedisBus;
use crate::{BusError, ChallengeKind, EntryId};

impl RedisBus {
    /// Deletes what identifies a user whose sessions have ended: events, resume tokens, sockets, seen devices and networks, challenges, and
    /// the dead letters of the user's jobs. The ends of the sessions stay, and so does the offset, by which the loss of the events is
    /// detected. Messages that are on their way may come in later; they expire with their keys.
    ///
    /// # Errors
    /// [`BusError`]; a repeat is harmless.
    pub async fn forget_user(&self, user: &UserId) -> Result<(), BusError> {
        let names = &self.shared.names;
        let mut keys = vec![
            names.log(user),
            names.event_ids(user),
            names.resume_tokens(user),
            names.sockets(user),
            names.seen(user),
            names.open(user),
        ];
        keys.extend(ChallengeKind::ALL.map(|kind| names.challenges(user, kind)));
        self.shared.commands.delete("forget a user", keys).await?;
        for lane in Lane::ALL {
            for dead_letter in self.dead_letters(lane, None, ALL_DEAD_LETTERS).await? {
                if dead_letter.user.as_ref() == Some(user) {
                    self.discard_dead_letter(lane, &EntryId(dead_letter.id)).await?;
                }
            }
        }
        Ok(())
    }
}

/// More dead letters than a lane keeps.
const ALL_DEAD_LETTERS: u32 = 10_000;
