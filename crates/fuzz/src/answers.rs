//! Answers of platforms: tokens, profiles, pages of notifications, the inboxes of bots.
//!
//! An input is a sequence of answers, one for each call, with a line `---` between them; the last one answers all further calls.
//! Each is a status line, header lines, an empty line and a body; an answer without an empty line is the body of a 200.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use lifecycle::ManualClock;
use platforms::{
    BotInbox, BotSettings, Discord, DiscordBot, ExchangeRequest, Github, Http, Platform, RevocationScope, Settings,
    Telegram, TelegramBot, TelegramSettings, Tokens, XTwitter,
};
use protocol::secret::Secret;
use url::Url;

use crate::guarantees::{check_addressed, check_page, check_profile};
use crate::headed::{Headed, split};
use crate::tokens::now;

pub(crate) fn github(bytes: &[u8]) -> bool {
    let platform = Github::new(settings(), answering(bytes)).expect("the URLs are loopback ones");
    link(&platform)
}

pub(crate) fn x_twitter(bytes: &[u8]) -> bool {
    let platform = XTwitter::new(settings(), answering(bytes)).expect("the URLs are loopback ones");
    link(&platform)
}

pub(crate) fn discord(bytes: &[u8]) -> bool {
    let platform = Discord::new(settings(), answering(bytes)).expect("the URLs are loopback ones");
    let bot = DiscordBot::new(bot_settings(), answering(bytes)).expect("the URLs are loopback ones");
    let is_linked = link(&platform);
    inbox(&bot) || is_linked
}

pub(crate) fn telegram(bytes: &[u8]) -> bool {
    let clock = Arc::new(ManualClock::new(now()));
    let bot = TelegramBot::new(bot_settings(), answering(bytes), clock).expect("the URLs are loopback ones");
    let is_linked = link(&telegram_with(answering(bytes)));
    inbox(&bot) || is_linked
}

/// True if Telegram's login accepts this code, with these answers of Telegram.
pub(crate) fn telegram_login(code: &str, answers: &[u8]) -> bool {
    let platform = telegram_with(answering(answers));
    let Ok(grant) = at_once(platform.exchange(&exchange_request(code))) else {
        return false;
    };
    check_profile(&grant.owner.expect("Telegram names the owner of a code"));
    true
}

fn telegram_with(http: Http) -> Telegram {
    let settings = TelegramSettings {
        oauth: settings(),
        issuer: "https://issuer.example".to_owned(),
        jwks_url: url(),
        bot_token: Some(Secret::new(BOT_TOKEN)),
    };
    Telegram::new(settings, http, Arc::new(ManualClock::new(now()))).expect("the URLs are loopback ones")
}

/// Calls of a link, from its code to its revocation.
fn link(platform: &dyn Platform) -> bool {
    let granted = at_once(platform.exchange(&exchange_request("code")));
    let mut is_read = granted.is_ok();
    if let Some(owner) = granted.as_ref().ok().and_then(|grant| grant.owner.as_ref()) {
        check_profile(owner);
    }
    let tokens = granted.ok().and_then(|grant| grant.tokens).unwrap_or_else(|| Tokens {
        access: Secret::new("access"),
        refresh: Some(Secret::new("refresh")),
        expires_in: None,
    });
    if let Ok(profile) = at_once(platform.profile(&tokens)) {
        is_read = true;
        check_profile(&profile);
    }
    let mut cursor = None;
    for _ in 0..SYNCS {
        let Ok(page) = at_once(platform.sync(&tokens, cursor.as_ref())) else {
            continue;
        };
        is_read = true;
        check_page(&page);
        cursor = page.cursor.or(cursor);
    }
    is_read |= at_once(platform.refresh(&Secret::new("refresh"))).is_ok();
    for scope in [RevocationScope::Token, RevocationScope::Grant] {
        // Telegram has no revocation endpoint: every revocation succeeds.
        drop(at_once(platform.revoke(&Secret::new("access"), scope)));
    }
    is_read
}

fn inbox(inbox: &dyn BotInbox) -> bool {
    let mut cursor = None;
    let mut is_read = false;
    for _ in 0..SYNCS {
        let Ok(page) = at_once(inbox.read(cursor.as_ref())) else {
            continue;
        };
        is_read = true;
        page.notifications.iter().for_each(check_addressed);
        cursor = page.cursor.or(cursor);
    }
    is_read
}

/// HTTP client that receives these answers.
fn answering(bytes: &[u8]) -> Http {
    let answers = Mutex::new((answers(bytes), 0));
    Http::answering(move |_request| {
        let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, next) = &mut *answers;
        let answer = all.get(*next).or(all.last()).cloned().unwrap_or_default();
        *next += 1;
        answer
    })
}

fn answers(mut bytes: &[u8]) -> Vec<Response<Vec<u8>>> {
    let mut answers = Vec::new();
    while let Some((first, rest)) = split(bytes, b"\n---\n") {
        answers.push(answer(first));
        bytes = rest;
    }
    answers.push(answer(bytes));
    answers
}

fn answer(bytes: &[u8]) -> Response<Vec<u8>> {
    let headed = Headed::read(bytes);
    let mut answer = Response::new(headed.body.to_vec());
    for (name, value) in headed.headers() {
        if name == "status" {
            *answer.status_mut() = value.parse().unwrap_or(StatusCode::OK);
        } else if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            answer.headers_mut().append(name, value);
        }
    }
    answer
}

/// Result of a call, which does not wait: each request is answered at once.
fn at_once<T>(call: impl Future<Output = T>) -> T {
    call.now_or_never().expect("the call does not wait")
}

fn exchange_request(code: &str) -> ExchangeRequest {
    ExchangeRequest {
        code: Secret::new(code),
        redirect_uri: "https://app.example/callback".to_owned(),
        verifier: Some(Secret::new("v".repeat(43))),
    }
}

fn settings() -> Settings {
    Settings {
        client_id: "app".to_owned(),
        client_secret: Secret::new("secret"),
        authorize_url: url(),
        token_url: url(),
        api_url: url(),
        revoke_url: None,
    }
}

fn bot_settings() -> BotSettings {
    BotSettings {
        token: Secret::new(BOT_TOKEN),
        api_url: url(),
    }
}

fn url() -> Url {
    Url::parse("http://127.0.0.1/api").expect("it is a URL")
}

pub(crate) const BOT_TOKEN: &str = "42:bot";

/// Syncs of one input: enough for each kind of cursor to be used again.
const SYNCS: usize = 3;
