//! Lead of the expiry warning: how long before the end of a session its user is warned.

use std::time::Duration;

use crate::settings::SessionTimes;

impl SessionTimes {
    /// Lead of the warning of a session with this timeout: half of the timeout where that is no longer than the configured lead.
    pub(crate) fn lead(self, timeout: Duration) -> Duration {
        if timeout > self.warning {
            self.warning
        } else {
            timeout / 2
        }
    }
}
