//! Update of a platform, as the event `notification:incoming`.

use platforms::PlatformNotification;
use protocol::account::AccountType;
use protocol::cluster::envelope::Envelope;
use protocol::event::Event;
use protocol::id::UserId;
use protocol::notification::Notification;

use super::text::{self, cut};
use crate::call::{digest, event_id};

/// Event of one update. Its id is derived from the update, so that two syncs that read the same update publish it once.
pub(crate) fn notification(user: &UserId, account: AccountType, update: PlatformNotification) -> Envelope {
    let subject = [user.as_str(), account.as_str(), &update.id].map(str::as_bytes);
    let [user_id, platform, thing] = subject;
    let id = event_id(&digest([b"news", user_id, platform, thing]));
    Envelope::of(
        id,
        &Event::Notification(Notification {
            user_id: user.clone(),
            platform: account,
            kind: update.kind,
            content: cut(update.content, text::CONTENT),
            sender: text::name(&update.sender),
            timestamp: update.at,
        }),
    )
}
