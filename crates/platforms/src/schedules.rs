//! Schedules of all platforms, without a client of one.

use protocol::account::AccountType;

use crate::platform::SyncSchedule;
use crate::{discord, github, telegram, x_twitter};

/// Schedule of a platform's accounts.
#[must_use]
pub fn sync_schedule(account_type: AccountType) -> SyncSchedule {
    match account_type {
        AccountType::Github => github::PACE,
        AccountType::Discord => discord::PACE,
        AccountType::XTwitter => x_twitter::PACE,
        AccountType::Telegram => telegram::PACE,
    }
}
