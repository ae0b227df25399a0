//! Consent page of the authorize endpoints: the user chooses an account or refuses. Its form is accepted with the browser's cookie
//! and the token of this browser and request.

use std::convert::Infallible;

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header, request::Parts};
use serde::Deserialize;
use url::Url;

use crate::{
    account::{Account, OFFERED_LOGINS},
    html::{HtmlPage, escaped},
    middleware::Denied,
    platform::Platform,
    world::World,
};

/// Request to an authorize endpoint.
#[derive(Debug)]
pub(crate) struct AuthorizeCall {
    pub(crate) world: World,
    pub(crate) uri: Uri,
    headers: HeaderMap,
    /// True if a fault refuses in the user's name.
    pub(crate) is_denied: bool,
}

impl FromRequestParts<World> for AuthorizeCall {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, world: &World) -> Result<Self, Infallible> {
        Ok(Self {
            world: world.clone(),
            uri: parts.uri.clone(),
            headers: parts.headers.clone(),
            is_denied: parts.extensions.get::<Denied>().is_some(),
        })
    }
}

/// Request of an application, as the page shows it.
#[derive(Debug)]
pub(crate) struct Application<'a> {
    pub(crate) platform: Platform,
    pub(crate) name: &'a str,
    pub(crate) scopes: Vec<String>,
    pub(crate) redirect: &'a Url,
}

/// Form of the page.
#[derive(Debug, Deserialize)]
pub(crate) struct ConsentSubmission {
    #[serde(default)]
    token: String,
    login: Option<String>,
    deny: Option<String>,
}

/// Decision of the user.
#[derive(Debug)]
pub(crate) enum Decision {
    /// Consent with the account of this login.
    Login(String),
    /// Refusal.
    Deny,
}

impl AuthorizeCall {
    /// Consent page.
    pub(crate) fn page(&self, application: &Application<'_>) -> Response {
        let (browser, token) = {
            let tokens = &mut self.world.lock().consent_tokens;
            let browser = browser(&self.headers).map_or_else(|| tokens.new_browser(), str::to_owned);
            let token = tokens.issue(&browser, application.platform, self.query());
            (browser, token)
        };
        let title = format!("Simulated {}", application.platform.title());
        let heading = format!("Authorize {}", application.name);
        let page = HtmlPage::new(StatusCode::OK, title, heading, body(application, &token));
        let mut response = page.allowing_redirect_to(application.redirect).into_response();
        // `Lax`, so that it is there when another site leads here; forms of other sites come without it.
        let cookie = format!("{COOKIE}={browser}; Path=/; HttpOnly; SameSite=Lax");
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        response
    }

    /// Decision of a form, or the page that refuses it.
    pub(crate) fn decision(&self, platform: Platform, form: ConsentSubmission) -> Result<Decision, HtmlPage> {
        let is_from_page = browser(&self.headers).is_some_and(|browser| {
            let tokens = &self.world.lock().consent_tokens;
            tokens.accepts(&form.token, browser, platform, self.query())
        });
        if !is_from_page {
            let sentence = "This form was not opened in this browser for this request; start again in the application.";
            return Err(HtmlPage::error(StatusCode::FORBIDDEN, sentence));
        }
        if self.is_denied || form.deny.is_some() {
            return Ok(Decision::Deny);
        }
        match form.login.as_deref().map(str::trim) {
            Some(login) if !login.is_empty() => Ok(Decision::Login(login.to_owned())),
            _ => Err(HtmlPage::error(
                StatusCode::BAD_REQUEST,
                "Name a login, or go back and choose one.",
            )),
        }
    }

    fn query(&self) -> &str {
        self.uri.query().unwrap_or_default()
    }
}

fn body(application: &Application<'_>, token: &str) -> String {
    let platform = application.platform;
    let scopes: String = application
        .scopes
        .iter()
        .map(|scope| format!("<code>{}</code> ", escaped(scope)))
        .collect();
    let scopes = if scopes.is_empty() { "none" } else { &scopes };
    let logins: String = OFFERED_LOGINS.iter().map(|login| offer(platform, login)).collect();
    format!(
        "<p>This is {title} as Postern's simulator plays it: no real account is used.</p>\
         <dl><dt>Application</dt><dd><bdi>{name}</bdi></dd><dt>Scopes</dt><dd>{scopes}</dd>\
         <dt>Redirects to</dt><dd><bdi>{host}</bdi></dd></dl>\
         <form method=\"post\"><input type=\"hidden\" name=\"token\" value=\"{token}\">\
         <h2 id=\"accounts\">Choose an account</h2><ul class=\"logins\" aria-labelledby=\"accounts\">{logins}</ul></form>\
         <form method=\"post\"><input type=\"hidden\" name=\"token\" value=\"{token}\">\
         <label for=\"other\">Another login</label>\
         <p><input id=\"other\" name=\"login\" required autocomplete=\"off\" autocapitalize=\"none\" spellcheck=\"false\"></p>\
         <p><button class=\"plain\">Continue with this login</button></p></form>\
         <h2>Or refuse</h2>\
         <form method=\"post\"><input type=\"hidden\" name=\"token\" value=\"{token}\">\
         <p><button class=\"plain\" name=\"deny\" value=\"1\">Deny</button></p></form>",
        title = platform.title(),
        name = escaped(application.name),
        host = escaped(&target(application.redirect)),
        token = escaped(token),
    )
}

/// Row of an account.
fn offer(platform: Platform, login: &str) -> String {
    let account = Account::named(login);
    let (name, id, avatar) = (
        escaped(&account.name),
        account.id_at(platform),
        account.avatar_path(platform),
    );
    let login = escaped(login);
    format!(
        "<li><img src=\"{avatar}\" alt=\"\" width=\"48\" height=\"48\">\
         <span class=\"who\" id=\"who-{login}\"><bdi>{name}</bdi><span class=\"id\">id {id}</span></span>\
         <button name=\"login\" value=\"{login}\" aria-describedby=\"who-{login}\">Continue as {login}</button></li>"
    )
}

/// Host and port of a redirect URI.
fn target(redirect: &Url) -> String {
    let host = redirect.host_str().unwrap_or(redirect.scheme());
    match redirect.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Id of the browser, from its cookie.
fn browser(headers: &HeaderMap) -> Option<&str> {
    let lines = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok());
    let mut pairs = lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let (_, id) = pairs.find(|(name, _)| *name == COOKIE)?;
    let is_id = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then_some(id)
}

const COOKIE: &str = "postern-simulator";
