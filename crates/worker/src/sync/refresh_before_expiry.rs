//! Refresh of tokens before their access token expires.

use platforms::Platform;
use store::Credentials;

use super::Syncer;

impl Syncer {
    /// Reports whether the access token is to be refreshed: it expires within a random part, at least half, of the platform's margin,
    /// so that accounts linked together are not refreshed together.
    pub(super) fn is_refresh_due(&self, platform: &dyn Platform, found: &Credentials) -> bool {
        let refreshable = found.tokens.as_ref().filter(|tokens| tokens.refresh.is_some());
        let Some(end) = refreshable.and_then(|tokens| tokens.expires_at) else {
            return false;
        };
        let margin = platform.sync_schedule().refresh_margin;
        end.since(self.now()) <= self.between(margin / 2, margin)
    }
}
