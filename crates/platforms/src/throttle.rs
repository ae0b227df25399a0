//! When a platform says "too many requests", and how long it wants to be left alone.

use std::time::Duration;

use http::{HeaderMap, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::Value;
use time::UtcDateTime;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;

use crate::foreign;
use crate::platform::PauseScope;

/// What an answer asks for that says "too many requests".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Throttle {
    /// How long to wait before the next call.
    pub(crate) wait: Duration,
    /// Who is to wait: the application where the answer says so (a global limit, an allowance of the application), else the account.
    pub(crate) pause: PauseScope,
}

/// How long to wait before the next call, and who is to; `None` if this answer does not ask for it.
///
/// The first row that applies decides:
///
/// | says | where | who |
/// | --- | --- | --- |
/// | that a paid allowance is used up | `type` of the body, `.../usage-capped` | `x_twitter`: a day |
/// | seconds | `parameters.retry_after` of the body | telegram |
/// | seconds with a fraction, rounded up | `retry_after` of the body | discord |
/// | seconds, or an HTTP date | `Retry-After` | github, discord |
/// | the end of each window of which nothing remains, in epoch seconds; the last one counts | `...-remaining`, `...-reset` | github, `x_twitter` |
/// | nothing | | 60 s; whoever tries again and again makes them grow |
///
/// Never less than 1 s nor more than a day: neither a clock that is wrong nor a typo may stop a link for good.
pub(crate) fn asked(answer: &Response<Vec<u8>>) -> Option<Throttle> {
    if !is_throttled(answer) {
        return None;
    }
    let (headers, body) = (answer.headers(), Body::read(answer.body()));
    let wait = body
        .wait()
        .or_else(|| retry_after(headers))
        .or_else(|| last_reset(headers))
        .unwrap_or(UNSAID);
    let everyone =
        body.global || body.is_capped() || headers.contains_key("x-ratelimit-global") || is_spent(headers, APP_DAY);
    Some(Throttle {
        wait: wait.clamp(SHORTEST, LONGEST),
        pause: if everyone { PauseScope::App } else { PauseScope::Account },
    })
}

/// What bodies say, where they are JSON.
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
        foreign::read(body).unwrap_or_default()
    }

    fn wait(&self) -> Option<Duration> {
        if self.is_capped() {
            return Some(LONGEST);
        }
        let said = [&self.parameters.retry_after, &self.retry_after];
        let seconds = said.into_iter().find_map(foreign::seconds)?;
        Some(Duration::try_from_secs_f64(seconds.ceil()).unwrap_or(LONGEST))
    }

    fn is_capped(&self) -> bool {
        self.kind.as_deref().is_some_and(|kind| kind.ends_with("/usage-capped"))
    }
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
                || is_spent(headers, GITHUB)
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

/// When the last of the exhausted windows ends.
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

/// How the headers of a window begin: GitHub's hour, X's quarter of an hour, and X's days.
const WINDOWS: [&str; 4] = [GITHUB, "x-rate-limit", "x-user-limit-24hour", APP_DAY];
const GITHUB: &str = "x-ratelimit";
const APP_DAY: &str = "x-app-limit-24hour";

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
        throttle(status, headers, body).map(|throttle| throttle.wait)
    }

    fn throttle(status: u16, headers: &[(&str, &str)], body: &str) -> Option<Throttle> {
        let mut answer = Response::builder()
            .status(status)
            .header("date", "Mon, 23 Nov 2026 16:31:00 GMT");
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        asked(&answer.body(body.into()).unwrap())
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
    fn each_platform_is_understood() {
        let asked = |headers: &[(&str, &str)], body| {
            let throttle = throttle(429, headers, body).unwrap();
            (throttle.wait.as_secs(), throttle.pause)
        };
        let (account, app) = (PauseScope::Account, PauseScope::App);
        let telegram = r#"{"ok":false,"error_code":429,"parameters":{"retry_after":11}}"#;
        assert_eq!(asked(&[], telegram), (11, account));
        let discord = r#"{"message":"slow","retry_after":1.336,"global":false}"#;
        assert_eq!(
            asked(&[("retry-after", "9")], discord),
            (2, account),
            "the body is nearer the truth"
        );
        assert_eq!(asked(&[("x-ratelimit-global", "true")], discord), (2, app));
        assert_eq!(
            asked(&[], r#"{"message":"\ud83d","retry_after":"11.2"}"#),
            (12, account)
        );
        assert_eq!(asked(&[], r#"{"retry_after":64.57,"global":true}"#), (65, app));
        // 2026-11-23T16:31:30Z and :40.
        let quarter = [("x-rate-limit-remaining", "0"), ("x-rate-limit-reset", "1795451490")];
        assert_eq!(asked(&quarter, ""), (30, account));
        let user_day = [
            ("x-user-limit-24hour-remaining", "0"),
            ("x-user-limit-24hour-reset", "1795451500"),
        ];
        assert_eq!(
            asked(&[quarter[0], quarter[1], user_day[0], user_day[1]], ""),
            (40, account)
        );
        let app_day = [
            ("x-app-limit-24hour-remaining", "0"),
            ("x-app-limit-24hour-reset", "1795451500"),
        ];
        assert_eq!(
            asked(&[("x-rate-limit-remaining", "9"), app_day[0], app_day[1]], ""),
            (40, app)
        );
        let capped = r#"{"type":"https://api.twitter.com/2/problems/usage-capped","title":"UsageCapExceeded"}"#;
        assert_eq!(asked(&quarter, capped), (86_400, app));
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
