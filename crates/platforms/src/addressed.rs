//! Whom a message concerns.

use protocol::notification::NotificationType;

use crate::platform::{AddressedNotification, PlatformNotification};

/// A message as news for each whom it concerns, once: who is answered hears a reply, who is named a mention, and who wrote it nothing.
/// `notifications` is the same for all but for its kind.
pub(crate) fn of_message<Id: PartialEq + ToString>(
    author: &Id,
    answered: Option<Id>,
    named: impl IntoIterator<Item = Id>,
    notifications: impl Fn(NotificationType) -> PlatformNotification,
) -> Vec<AddressedNotification> {
    let answered = answered.map(|user| (user, NotificationType::Reply));
    let named = named.into_iter().map(|user| (user, NotificationType::Mention));
    let mut concerned: Vec<(Id, NotificationType)> = Vec::new();
    for (user, kind) in answered.into_iter().chain(named) {
        if user != *author && concerned.iter().all(|(known, _)| *known != user) {
            concerned.push((user, kind));
        }
    }
    let addressed = concerned.into_iter().map(|(user, kind)| AddressedNotification {
        platform_user_id: user.to_string(),
        notifications: notifications(kind),
    });
    addressed.collect()
}
