//! Page of the legacy Login Widget (core.telegram.org/widgets/login), `/auth?bot_id=...&return_to=...`: after the user's consent it
//! redirects with the fields of the user, and an HMAC over them under the bot's token.

use std::collections::BTreeMap;

use axum::{
    extract::Query,
    response::{IntoResponse, Response},
};
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use http::{StatusCode, header};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use url::Url;

use crate::{
    account::Account,
    authorize::registered,
    chat::BOT_TOKEN,
    clock,
    consent::{Application, AuthorizeCall, ConsentSubmission, Decision},
    html::HtmlPage,
    platform::Platform,
};

/// Request of the widget.
#[derive(Debug, Deserialize)]
pub(super) struct WidgetRequest {
    bot_id: String,
    #[serde(default)]
    return_to: String,
    /// `write`: the bot may send messages to the user.
    #[serde(default)]
    request_access: String,
    /// Parameter of the simulator, as at the other endpoints.
    login: Option<String>,
}

/// Request of the widget; `None` for one of the OpenID provider.
pub(super) fn request(call: &AuthorizeCall) -> Option<WidgetRequest> {
    let Query(request) = Query::<WidgetRequest>::try_from_uri(&call.uri).ok()?;
    Some(request)
}

impl WidgetRequest {
    pub(super) fn show(&self, call: &AuthorizeCall) -> Response {
        let return_to = match self.check() {
            Ok(return_to) => return_to,
            Err(page) => return page.into_response(),
        };
        if call.is_denied {
            return refused().into_response();
        }
        match &self.login {
            Some(login) => signed_in(call, return_to, StatusCode::FOUND, login),
            None => call.page(&Application {
                platform: Platform::Telegram,
                name: &format!("bot {}", self.bot_id),
                scopes: Some(self.request_access.clone())
                    .filter(|access| !access.is_empty())
                    .into_iter()
                    .collect(),
                redirect: &return_to,
            }),
        }
    }

    pub(super) fn decide(&self, call: &AuthorizeCall, form: ConsentSubmission) -> Response {
        let decided = self
            .check()
            .and_then(|return_to| Ok((return_to, call.decision(Platform::Telegram, form)?)));
        match decided {
            Err(page) => page.into_response(),
            Ok((_, Decision::Deny)) => refused().into_response(),
            Ok((return_to, Decision::Login(login))) => signed_in(call, return_to, StatusCode::SEE_OTHER, &login),
        }
    }

    fn check(&self) -> Result<Url, HtmlPage> {
        let refuse = |sentence| HtmlPage::error(StatusCode::BAD_REQUEST, sentence);
        if BOT_TOKEN.split(':').next() != Some(self.bot_id.as_str()) {
            return Err(refuse("There is no such bot."));
        }
        registered(&self.return_to).ok_or_else(|| refuse("The return_to must be https, or http to a loopback address."))
    }
}

/// Page after a refusal: Telegram documents no redirect for it.
fn refused() -> HtmlPage {
    let body = "<p>The application is not informed. You can close this page.</p>".to_owned();
    HtmlPage::new(StatusCode::OK, "Simulated Telegram", "Nothing was sent", body)
}

/// Redirect with the signed fields of this login.
fn signed_in(call: &AuthorizeCall, mut return_to: Url, status: StatusCode, login: &str) -> Response {
    let account = Account::named(login);
    let avatar = account.avatar_path(Platform::Telegram);
    let fields = BTreeMap::from([
        ("auth_date", clock::now().unix_timestamp().to_string()),
        ("first_name", account.name),
        ("id", account.id.to_string()),
        ("photo_url", format!("{}{avatar}", call.world.base())),
        ("username", account.login),
    ]);
    let hash = hash(&fields);
    return_to
        .query_pairs_mut()
        .extend_pairs(&fields)
        .append_pair("hash", &hash);
    (status, [(header::LOCATION, return_to.as_str())]).into_response()
}

/// HMAC of the `data_check_string`: the fields as lines, sorted by name.
#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
fn hash(fields: &BTreeMap<&str, String>) -> String {
    let lines = fields.iter().map(|(name, value)| format!("{name}={value}"));
    let lines = lines.collect::<Vec<_>>().join("\n");
    let key = Sha256::digest(BOT_TOKEN);
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes a key of any length");
    mac.update(lines.as_bytes());
    HEXLOWER.encode(&mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with Python's `hmac`.
    #[test]
    fn hash_is_the_hmac_of_the_sorted_lines_under_the_digest_of_the_bot_token() {
        let fields = BTreeMap::from([("id", "42".to_owned()), ("auth_date", "1".to_owned())]);
        assert_eq!(
            hash(&fields),
            "d8c47202ec6b14dae3e0b688148e9bdf9e23db55e341b5aaa10e5d0425f8f61e"
        );
    }
}
