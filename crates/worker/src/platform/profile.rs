//! Names and picture of a linked account, as its platform reports them.

use platforms::Profile;
use protocol::account::UserAccount;

use super::text;

/// Account with the names and the picture of this profile.
pub(crate) fn named(account: UserAccount, profile: Profile) -> UserAccount {
    UserAccount {
        username: text::name(&profile.username),
        display_name: profile.display_name.as_deref().map(text::name),
        avatar_url: profile.avatar_url.filter(|url| url.len() <= text::URL),
        ..account
    }
}
