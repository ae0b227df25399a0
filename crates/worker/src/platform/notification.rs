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
pub(crate) fn notification(user: &UserId, account: AccountType, news: PlatformNotification) -> Envelope {
    let about = [user.as_str(), account.as_str(), &news.id].map(str::as_bytes);
    let [user_id, platform, thing] = about;
    let id = event_id(&digest([b"news", user_id, platform, thing]));
    Envelope::of(
        id,
        &Event::Notification(Notification {
            user_id: user.clone(),
            platform: account,
            kind: news.kind,
            content: cut(news.content, text::CONTENT),
            sender: text::name(&news.sender),
            timestamp: news.at,
        }),
    )
}
