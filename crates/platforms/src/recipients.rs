//! Recipients of a message: the users whom it answers or mentions.

use protocol::notification::NotificationType;

use crate::platform::{AddressedNotification, PlatformNotification};

/// Notifications of one message, at most one per user: a reply for the user whom it answers, a mention for each user whom it
/// mentions, nothing for its author. `notification` builds the notification of a kind; the rest is the same for all.
pub(crate) fn of_message<Id: PartialEq + ToString>(
    author: &Id,
    replied_to: Option<Id>,
    mentioned: impl IntoIterator<Item = Id>,
    notification: impl Fn(NotificationType) -> PlatformNotification,
) -> Vec<AddressedNotification> {
    let replied_to = replied_to.map(|user| (user, NotificationType::Reply));
    let mentioned = mentioned.into_iter().map(|user| (user, NotificationType::Mention));
    let mut recipients: Vec<(Id, NotificationType)> = Vec::new();
    for (user, kind) in replied_to.into_iter().chain(mentioned) {
        if user != *author && recipients.iter().all(|(known, _)| *known != user) {
            recipients.push((user, kind));
        }
    }
    let addressed = recipients.into_iter().map(|(user, kind)| AddressedNotification {
        platform_user_id: user.to_string(),
        notification: notification(kind),
    });
    addressed.collect()
}
