//! When a platform says "too many requests", and how long it wants to be left alone.

use std::time::Duration;

use http::{HeaderMap, Response, StatusCode, header};
use time::UtcDateTime;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;

/// How long to wait before the next call; `None` if this answer does not ask for it.
///
/// The first row that applies decides:
///
/// | says | where | who |
/// | --- | --- | --- |
/// | seconds, or an HTTP date | `Retry-After` | github |
/// | the end of the window, in epoch seconds, once nothing remains of it | `x-ratelimit-remaining`, `x-ratelimit-reset` | github |
/// | nothing | | 60 s; whoever tries again and again makes them grow |
///
/// Never less than 1 s nor more than a day: neither a clock that is wrong nor a typo may stop a link for good.
pub(crate) fn wait(answer: &Response<Vec<u8>>) -> Option<Duration> {
    if !is_throttled(answer) {
        return None;
    }
    let rows = [retry_after, window_reset];
    let wait = rows.iter().find_map(|row| row(answer.headers())).unwrap_or(UNSAID);
    Some(wait.clamp(SHORTEST, LONGEST))
}

const UNSAID: Duration = Duration::from_secs(60);
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// 429 always is; 403 is where GitHub says so, because a missing scope is 403 as well.
fn is_throttled(answer: &Response<Vec<u8>>) -> bool {
    let headers = answer.headers();
    match answer.status() {
        StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::FORBIDDEN => {
            headers.contains_key(header::RETRY_AFTER)
                || nothing_remains(headers)
                || String::from_utf8_lossy(answer.body()).contains("rate limit")
        }
        _ => false,
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let said = text(headers, header::RETRY_AFTER.as_str())?;
    match said.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_not_a_number) => Some(between(date(headers)?, UtcDateTime::parse(said, HTTP_DATE).ok()?)),
    }
}

fn window_reset(headers: &HeaderMap) -> Option<Duration> {
    if !nothing_remains(headers) {
        return None;
    }
    let reset = text(headers, "x-ratelimit-reset")?.parse().ok()?;
    Some(between(date(headers)?, UtcDateTime::from_unix_timestamp(reset).ok()?))
}

fn nothing_remains(headers: &HeaderMap) -> bool {
    text(headers, "x-ratelimit-remaining") == Some("0")
}

/// The platform's own time: its deadlines are read by its clock, not by ours.
fn date(headers: &HeaderMap) -> Option<UtcDateTime> {
    UtcDateTime::parse(text(headers, header::DATE.as_str())?, HTTP_DATE).ok()
}

fn between(from: UtcDateTime, to: UtcDateTime) -> Duration {
    Duration::try_from(to - from).unwrap_or(Duration::ZERO)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The one date format of HTTP that is still made (RFC 9110 section 5.6.7).
const HTTP_DATE: StaticFormatDescription =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Option<Duration> {
        let mut answer = Response::builder()
            .status(status)
            .header("date", "Mon, 23 Nov 2026 16:31:00 GMT");
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        wait(&answer.body(body.into()).unwrap())
    }

    const fn seconds(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    #[test]
    fn the_first_row_that_applies_decides() {
        let spent = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795451490")];
        assert_eq!(answer(403, &spent, ""), seconds(30));
        assert_eq!(answer(403, &[spent[0], spent[1], ("retry-after", "7")], ""), seconds(7));
        assert_eq!(
            answer(429, &[("retry-after", "Mon, 23 Nov 2026 16:32:00 GMT")], ""),
            seconds(60)
        );
        assert_eq!(
            answer(429, &[("x-ratelimit-remaining", "9"), spent[1]], ""),
            seconds(60),
            "not this window"
        );
        assert_eq!(answer(429, &[("retry-after", "soon")], ""), seconds(60));
        assert_eq!(
            answer(403, &[], "You have exceeded a secondary rate limit."),
            seconds(60)
        );
    }

    #[test]
    fn a_403_without_a_sign_and_any_other_status_ask_for_no_wait() {
        assert_eq!(
            answer(
                403,
                &[("x-ratelimit-remaining", "4999")],
                "Missing the 'notifications' scope."
            ),
            None
        );
        assert_eq!(answer(401, &[("x-ratelimit-remaining", "0")], ""), None);
        assert_eq!(answer(503, &[("retry-after", "7")], ""), None);
    }

    #[test]
    fn a_wait_lies_between_a_second_and_a_day() {
        assert_eq!(answer(429, &[("retry-after", "0")], ""), seconds(1));
        assert_eq!(answer(429, &[("retry-after", "9999999999")], ""), seconds(86_400));
        let past = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "5")];
        assert_eq!(answer(403, &past, ""), seconds(1));
    }
}
