//! Detection of "too many requests" in a platform's answer, and the time to wait.

mod github;

use std::time::Duration;

use http::{HeaderMap, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::Value;
use time::UtcDateTime;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;

use crate::platform::PauseScope;
use crate::untrusted;

/// Pause that a platform asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Throttle {
    /// Time to wait before the next call.
    pub(crate) wait: Duration,
    /// Scope of the pause: the application if the answer says so (a global limit, an allowance of the application), else the
    /// account.
    pub(crate) pause: PauseScope,
}

/// Pause that the answer asks for; `None` if it is no "too many requests".
///
/// The first row that applies determines the wait:
///
/// | value | source | platform |
/// | --- | --- | --- |
/// | one day: the paid allowance is used up | `type` of the body, `.../usage-capped` | `x_twitter` |
/// | seconds | `parameters.retry_after` of the body | telegram |
/// | seconds with a fraction, rounded up | `retry_after` of the body | discord |
/// | seconds, or an HTTP date | `Retry-After` | github, discord |
/// | latest end of the exhausted windows, in epoch seconds | `...-remaining`, `...-reset` | github, `x_twitter` |
/// | 60 s, which callers increase by backoff | none of these | any |
///
/// Never less than 1 s nor more than a day: neither a wrong clock nor a wrong header may stop a link for good.
pub(crate) fn of_answer(answer: &Response<Vec<u8>>) -> Option<Throttle> {
    if !is_throttled(answer) {
        return None;
    }
    let (headers, body) = (answer.headers(), Body::read(answer.body()));
    let wait = body
        .wait()
        .or_else(|| retry_after(headers))
        .or_else(|| last_reset(headers))
        .unwrap_or(DEFAULT_WAIT);
    let whole_app =
        body.global || body.is_capped() || headers.contains_key("x-ratelimit-global") || is_spent(headers, APP_DAY);
    Some(Throttle {
        wait: wait.clamp(MIN_WAIT, MAX_WAIT),
        pause: if whole_app {
            PauseScope::App
        } else {
            PauseScope::Account
        },
    })
}

/// Fields of JSON bodies.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body {
    parameters: Parameters,
    retry_after: Value,
    global: bool,
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Parameters {
    retry_after: Value,
}

impl Body {
    fn read(body: &[u8]) -> Self {
        untrusted::read(body).unwrap_or_default()
    }

    fn wait(&self) -> Option<Duration> {
        if self.is_capped() {
            return Some(MAX_WAIT);
        }
        let value = [&self.parameters.retry_after, &self.retry_after];
        let seconds = value.into_iter().find_map(untrusted::seconds)?;
        Some(Duration::try_from_secs_f64(seconds.ceil()).unwrap_or(MAX_WAIT))
    }

    fn is_capped(&self) -> bool {
        self.kind.as_deref().is_some_and(|kind| kind.ends_with("/usage-capped"))
    }
}

const DEFAULT_WAIT: Duration = Duration::from_secs(60);
const MIN_WAIT: Duration = Duration::from_secs(1);
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

fn is_throttled(answer: &Response<Vec<u8>>) -> bool {
    answer.status() == StatusCode::TOO_MANY_REQUESTS || github::is_rate_limited(answer)
}

/// Wait that `Retry-After` asks for: seconds, or an HTTP date, which is read by the server's clock.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = text(headers, header::RETRY_AFTER.as_str())?;
    match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_not_a_number) => Some(between(date(headers)?, UtcDateTime::parse(value, HTTP_DATE).ok()?)),
    }
}

/// End of the last exhausted window.
fn last_reset(headers: &HeaderMap) -> Option<Duration> {
    let now = date(headers)?;
    let resets = WINDOWS
        .into_iter()
        .filter(|window| is_spent(headers, window))
        .filter_map(|window| {
            let reset = text(headers, &format!("{window}-reset"))?.parse().ok()?;
            Some(between(now, UtcDateTime::from_unix_timestamp(reset).ok()?))
        });
    resets.max()
}

fn is_spent(headers: &HeaderMap, window: &str) -> bool {
    text(headers, &format!("{window}-remaining")) == Some("0")
}

/// Header prefixes of the windows: GitHub's hour, X's quarter of an hour, and X's days.
const WINDOWS: [&str; 4] = [github::WINDOW, "x-rate-limit", "x-user-limit-24hour", APP_DAY];
const APP_DAY: &str = "x-app-limit-24hour";

/// Time of the platform's clock, by which its deadlines are read.
fn date(headers: &HeaderMap) -> Option<UtcDateTime> {
    UtcDateTime::parse(text(headers, header::DATE.as_str())?, HTTP_DATE).ok()
}

fn between(from: UtcDateTime, to: UtcDateTime) -> Duration {
    Duration::try_from(to - from).unwrap_or(Duration::ZERO)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The date format that HTTP servers send (RFC 9110 section 5.6.7).
const HTTP_DATE: StaticFormatDescription =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Option<Duration> {
        throttle(status, headers, body).map(|throttle| throttle.wait)
    }

    fn throttle(status: u16, headers: &[(&str, &str)], body: &str) -> Option<Throttle> {
        let mut answer = Response::builder()
            .status(status)
            .header("date", "Mon, 23 Nov 2026 16:31:00 GMT");
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        of_answer(&answer.body(body.into()).unwrap())
    }

    const fn seconds(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    #[test]
    fn first_applicable_row_determines_the_wait() {
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
    fn throttles_of_all_platforms_are_decoded() {
        let of_answer = |headers: &[(&str, &str)], body| {
            let throttle = throttle(429, headers, body).unwrap();
            (throttle.wait.as_secs(), throttle.pause)
        };
        let (account, app) = (PauseScope::Account, PauseScope::App);
        let telegram = r#"{"ok":false,"error_code":429,"parameters":{"retry_after":11}}"#;
        assert_eq!(of_answer(&[], telegram), (11, account));
        let discord = r#"{"message":"slow","retry_after":1.336,"global":false}"#;
        assert_eq!(
            of_answer(&[("retry-after", "9")], discord),
            (2, account),
            "the body is nearer the truth"
        );
        assert_eq!(of_answer(&[("x-ratelimit-global", "true")], discord), (2, app));
        assert_eq!(
            of_answer(&[], r#"{"message":"\ud83d","retry_after":"11.2"}"#),
            (12, account)
        );
        assert_eq!(of_answer(&[], r#"{"retry_after":64.57,"global":true}"#), (65, app));
        // 2026-11-23T16:31:30Z and :40.
        let quarter = [("x-rate-limit-remaining", "0"), ("x-rate-limit-reset", "1795451490")];
        assert_eq!(of_answer(&quarter, ""), (30, account));
        let user_day = [
            ("x-user-limit-24hour-remaining", "0"),
            ("x-user-limit-24hour-reset", "1795451500"),
        ];
        assert_eq!(
            of_answer(&[quarter[0], quarter[1], user_day[0], user_day[1]], ""),
            (40, account)
        );
        let app_day = [
            ("x-app-limit-24hour-remaining", "0"),
            ("x-app-limit-24hour-reset", "1795451500"),
        ];
        assert_eq!(
            of_answer(&[("x-rate-limit-remaining", "9"), app_day[0], app_day[1]], ""),
            (40, app)
        );
        let capped = r#"{"type":"https://api.twitter.com/2/problems/usage-capped","title":"UsageCapExceeded"}"#;
        assert_eq!(of_answer(&quarter, capped), (86_400, app));
    }

    #[test]
    fn plain_403_and_other_statuses_are_no_throttle() {
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
    fn wait_is_between_one_second_and_one_day() {
        assert_eq!(answer(429, &[("retry-after", "0")], ""), seconds(1));
        assert_eq!(answer(429, &[("retry-after", "9999999999")], ""), seconds(86_400));
        let past = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "5")];
        assert_eq!(answer(403, &past, ""), seconds(1));
    }
}
