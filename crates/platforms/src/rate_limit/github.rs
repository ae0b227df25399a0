//! GitHub's rate limit: 403 as well as 429.

use http::{Response, StatusCode, header};

/// Header prefix of GitHub's hourly window.
pub(super) const WINDOW: &str = "x-ratelimit";

/// Reports whether a 403 means a rate limit: it names a wait, an exhausted window or the limit. A missing scope is 403 as well.
pub(super) fn is_rate_limited(answer: &Response<Vec<u8>>) -> bool {
    answer.status() == StatusCode::FORBIDDEN
        && (answer.headers().contains_key(header::RETRY_AFTER)
            || super::is_spent(answer.headers(), WINDOW)
            || String::from_utf8_lossy(answer.body()).contains("rate limit"))
}
