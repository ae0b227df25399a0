//! Pages about the simulator itself: the index page, and the callback of an application that shows what a platform sends it.

use axum::{
    Router,
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
    routing::get,
};
use http::StatusCode;
use serde::Serialize;
use url::form_urlencoded;

use crate::{
    account::{Account, OFFERED_LOGINS},
    chat::BOT_TOKEN,
    clock,
    control::{CONTROLS, Control},
    grant::CLIENT_ID,
    html::{HtmlPage, escaped, table},
    platform::Platform,
    response_format::ResponseFormat,
    world::World,
};

pub(crate) fn routes() -> Router<World> {
    Router::new()
        .route("/", get(index))
        .route("/callback", get(callback))
        .fallback(async || HtmlPage::error(StatusCode::NOT_FOUND, "There is nothing here."))
}

async fn index(State(world): State<World>) -> HtmlPage {
    let controls = table(
        "Controls",
        ["request", "body, for example", "effect"],
        CONTROLS.map(control_row),
    );
    let body = format!(
        "<p>GitHub, Discord, X and Telegram, played by one program on this machine, so that Postern can be tried and tested \
         without an account of any of them. Nothing here reaches a real platform. All state is in memory.</p>\
         <h2>Try it</h2><p>Each link is an application's authorization request; it leads back to a page here that shows what \
         the application gets.</p>{}\
         <h2>Accounts</h2><p>Every login is an account of its own at each platform, with the same id at every start. \
         The code <code>test_code_ada</code> stands for a consent of the login <code>ada</code>, without a page; so does \
         <code>&amp;login=ada</code> at the end of an authorization URL.</p>{}\
         <h2>State</h2>{}{}\
         <h2>Controls</h2><p>JSON below <code>{}/_control</code>, with <code>content-type: application/json</code>. \
         They are described in docs/platforms.md.</p>{controls}",
        try_it(&world),
        accounts(),
        platforms(&world),
        state(&world),
        world.base(),
    );
    HtmlPage::new(StatusCode::OK, "Postern's simulator", "Simulated platforms", body)
}

async fn callback(RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let rows = form_urlencoded::parse(query.as_bytes());
    let rows = rows.map(|(name, value)| [&name, &value].map(|text| format!("<code>{}</code>", escaped(text))));
    let body = format!(
        "<p>A platform sends the user back to the application with these parameters.</p>{}\
         <p><a href=\"/\">Simulated platforms</a></p>",
        table("Parameters", ["parameter", "value"], rows)
    );
    HtmlPage::new(
        StatusCode::OK,
        "Postern's simulator",
        "Callback of an application",
        body,
    )
    .into_response()
}

/// Links to the authorize endpoints.
fn try_it(world: &World) -> String {
    let callback = format!("{}/callback", world.base());
    let challenge = [
        ("client_id", CLIENT_ID),
        ("redirect_uri", callback.as_str()),
        ("response_type", "code"),
        ("state", "example-state"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let links =
        ENDPOINTS.map(|(title, path, scope)| link(title, path, challenge.into_iter().chain([("scope", scope)])));
    let bot_id = BOT_TOKEN.split(':').next().unwrap_or_default();
    let widget = [
        ("bot_id", bot_id),
        ("origin", world.base()),
        ("return_to", callback.as_str()),
        ("request_access", "write"),
    ];
    let widget = link("Telegram's Login Widget", "/telegram/auth", widget);
    format!("<ul>{}{widget}</ul>", links.concat())
}

fn link<'a>(title: &str, path: &str, query: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(query)
        .finish();
    format!(
        "<li><a href=\"{}\">{}</a></li>",
        escaped(&format!("{path}?{query}")),
        escaped(title)
    )
}

fn accounts() -> String {
    let rows = OFFERED_LOGINS.map(|login| {
        let account = Account::named(login);
        let at = |platform| {
            let avatar = account.avatar_path(platform);
            let id = account.id_at(platform);
            format!("<img src=\"{avatar}\" alt=\"\" width=\"48\" height=\"48\"><span class=\"id\">{id}</span>")
        };
        let [github, discord, x_twitter, telegram] = Platform::ALL.map(at);
        [escaped(login), github, discord, x_twitter, telegram]
    });
    table("Accounts", ["login", "GitHub", "Discord", "X", "Telegram"], rows)
}

fn platforms(world: &World) -> String {
    let now = clock::now();
    let state = world.lock();
    let live = state.grants.live(now);
    let rows = Platform::ALL.map(|platform| {
        let logins = live.iter().filter(|grant| grant.platform == platform);
        let logins: Vec<_> = logins
            .map(|grant| format!("<bdi>{}</bdi>", escaped(&grant.login)))
            .collect();
        let lifetime = state.grants.changed_lifetime(platform);
        let format = state.response_formats.get(&platform).copied().unwrap_or_default();
        [
            platform.title().to_owned(),
            state.ledger.requests_to(platform).to_string(),
            or_none(logins.join(", ")),
            lifetime.map_or_else(
                || "as documented".to_owned(),
                |lifetime| format!("{} s", lifetime.whole_seconds()),
            ),
            match format == ResponseFormat::default() {
                true => "as documented".to_owned(),
                false => json(&format),
            },
        ]
    });
    let heads = [
        "platform",
        "requests",
        "accounts that gave access",
        "lifetime of access tokens",
        "response format",
    ];
    table("Platforms", heads, rows)
}

fn state(world: &World) -> String {
    let state = world.lock();
    let faults: String = state.plan.faults().iter().map(|fault| json(fault) + " ").collect();
    let test_codes = match state.grants.test_codes_are_single_use() {
        true => "used once",
        false => "used any number of times",
    };
    let github = match state.github.expiring_tokens {
        true => "of a GitHub App: they expire",
        false => "of an OAuth App: they do not expire",
    };
    let rows = [
        ["waiting faults".to_owned(), or_none(faults)],
        ["blocked requests".to_owned(), state.blocked.list().len().to_string()],
        [
            "codes <code>test_code_*</code> can be".to_owned(),
            test_codes.to_owned(),
        ],
        ["tokens of GitHub".to_owned(), github.to_owned()],
    ];
    table("State", ["", "now"], rows)
}

fn control_row(control: Control) -> [String; 3] {
    let Control { request, body, effect } = control;
    let body = match body {
        "" => String::new(),
        body => format!("<code>{}</code>", escaped(body)),
    };
    [format!("<code>{}</code>", escaped(request)), body, escaped(effect)]
}

fn json(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).unwrap_or_default();
    format!("<code>{}</code>", escaped(&text))
}

fn or_none(html: String) -> String {
    if html.is_empty() { "none".to_owned() } else { html }
}

/// Authorize endpoints, with the scopes that Postern requests.
const ENDPOINTS: [(&str, &str, &str); 4] = [
    ("GitHub", "/github/login/oauth/authorize", "read:user notifications"),
    ("Discord", "/discord/oauth2/authorize", "identify"),
    (
        "X",
        "/x_twitter/i/oauth2/authorize",
        "tweet.read users.read dm.read offline.access",
    ),
    ("Telegram", "/telegram/auth", "openid profile"),
];

/// Challenge of RFC 7636, appendix B.
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
