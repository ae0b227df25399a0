//! What holds of everything that decoders let through, whoever wrote it.

use std::time::Duration;

use platforms::{AddressedNotification, PlatformNotification, Profile, SyncPage};

/// What goes into Postgres, which takes no NUL in a text.
fn check_text(text: &str) {
    assert!(!text.contains('\0'), "a NUL is left in {text:?}");
}

/// A page as it is stored.
pub(crate) fn check_page(page: &SyncPage) {
    check_profile(&page.profile);
    page.notifications.iter().for_each(check_notification);
    // Postgres counts no further than some 292,000 years, and no link is to wait that long.
    assert!(
        page.next_sync.is_none_or(|wait| wait <= LONGEST_WAIT),
        "{:?}",
        page.next_sync
    );
}

/// A profile as it is stored.
pub(crate) fn check_profile(profile: &Profile) {
    check_text(&profile.platform_user_id);
    check_text(&profile.username);
    profile.display_name.iter().for_each(|text| check_text(text));
    profile.avatar_url.iter().for_each(|text| check_text(text));
}

/// News as they are stored.
pub(crate) fn check_notification(notification: &PlatformNotification) {
    check_text(&notification.id);
    check_text(&notification.content);
    check_text(&notification.sender);
}

/// News for someone, as they are stored.
pub(crate) fn check_addressed(addressed: &AddressedNotification) {
    check_text(&addressed.platform_user_id);
    check_notification(&addressed.notification);
}

/// What no platform may ask for more of.
const LONGEST_WAIT: Duration = Duration::from_hours(24);
