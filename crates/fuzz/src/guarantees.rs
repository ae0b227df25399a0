//! Guarantees of everything that decoders accept.

use std::time::Duration;

use platforms::{AddressedNotification, PlatformNotification, Profile, SyncPage};

/// Checks a text for Postgres, which refuses NUL in a text.
fn check_text(text: &str) {
    assert!(!text.contains('\0'), "a NUL is left in {text:?}");
}

/// Checks a page as it is stored.
pub(crate) fn check_page(page: &SyncPage) {
    check_profile(&page.profile);
    page.notifications.iter().for_each(check_notification);
    // A timestamp of Postgres ends after some 292,000 years, and no link may wait that long.
    assert!(
        page.next_sync.is_none_or(|wait| wait <= LONGEST_WAIT),
        "{:?}",
        page.next_sync
    );
}

/// Checks a profile as it is stored.
pub(crate) fn check_profile(profile: &Profile) {
    check_text(&profile.platform_user_id);
    check_text(&profile.username);
    profile.display_name.iter().for_each(|text| check_text(text));
    profile.avatar_url.iter().for_each(|text| check_text(text));
}

/// Checks a notification as it is stored.
pub(crate) fn check_notification(notification: &PlatformNotification) {
    check_text(&notification.id);
    check_text(&notification.content);
    check_text(&notification.sender);
}

/// Checks an addressed notification as it is stored.
pub(crate) fn check_addressed(addressed: &AddressedNotification) {
    check_text(&addressed.platform_user_id);
    check_notification(&addressed.notification);
}

/// Longest wait that a platform may ask for.
const LONGEST_WAIT: Duration = Duration::from_hours(24);
