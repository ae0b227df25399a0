//! Platforms of the simulator, requested through the product's own clients.

use std::sync::Arc;
use std::time::Duration;

use platforms::{Discord, Github, Http, Platform, Settings, Timeouts, XTwitter};
use protocol::command::CommandKind;
use protocol::secret::Secret;
use serde_json::{Value, json};
use simulator::{CLIENT_ID, CLIENT_SECRET, Handle, Platform as At, Simulator};
use tokio::task::JoinSet;

use crate::client::{Client, assert_success};
use crate::env::TestEnv;

/// Simulator that stops when the returned set is dropped.
pub(crate) async fn simulator() -> (Handle, JoinSet<()>) {
    let simulator = Simulator::bind(([127, 0, 0, 1], 0).into(), 7).await.unwrap();
    let handle = simulator.handle();
    let mut serving = JoinSet::new();
    serving.spawn(simulator.serve(std::future::pending()));
    (handle, serving)
}

/// Client of a platform of the simulator with this URL.
pub(crate) fn platform(base: &str, at: At) -> Arc<dyn Platform> {
    let settings = |authorize: &str, token: &str, api: &str| {
        let url = |path: &str| format!("{base}/{path}").parse().unwrap();
        Settings {
            client_id: CLIENT_ID.to_owned(),
            client_secret: Secret::new(CLIENT_SECRET),
            authorize_url: url(authorize),
            token_url: url(token),
            api_url: url(api),
            revoke_url: None,
        }
    };
    match at {
        At::Github => {
            let settings = settings(
                "github/login/oauth/authorize",
                "github/login/oauth/access_token",
                "github/api",
            );
            Arc::new(Github::new(settings, http()).unwrap())
        }
        At::Discord => {
            let settings = settings(
                "discord/oauth2/authorize",
                "discord/api/oauth2/token",
                "discord/api/v10",
            );
            Arc::new(Discord::new(settings, http()).unwrap())
        }
        At::XTwitter => {
            let settings = settings(
                "x_twitter/i/oauth2/authorize",
                "x_twitter/2/oauth2/token",
                "x_twitter/2",
            );
            Arc::new(XTwitter::new(settings, http()).unwrap())
        }
        At::Telegram => panic!("telegram has no OAuth client here"),
    }
}

/// Client that has linked the account of this login.
pub(crate) async fn linked(env: &TestEnv, at: At, login: &str) -> Client {
    let mut client = env.client(login, "s").await;
    assert_success(&client.ask(CommandKind::Connect, code(at, login)).await);
    client
}

/// Payload of `account:connect` for this login.
pub(crate) fn code(at: At, login: &str) -> Value {
    json!({
        "accountType": at,
        "oauthCode": format!("test_code_{login}"),
        "redirectUri": "http://localhost:3000/callback",
    })
}

/// Requests a sync.
pub(crate) async fn sync(client: &mut Client, at: At) -> Value {
    client.ask(CommandKind::Sync, json!({ "accountType": at })).await
}

/// HTTP client with timeouts for a busy machine.
pub(crate) fn http() -> Http {
    let timeouts = Timeouts {
        connect: Duration::from_secs(20),
        total: Duration::from_secs(30),
    };
    Http::new(timeouts).unwrap()
}
