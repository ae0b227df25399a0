//! Settings of the platforms at the simulator.

use platforms::{BotSettings, TelegramSettings};
use protocol::secret::Secret;
use url::{ParseError, Url};

/// Settings of the simulated Telegram.
pub(super) fn telegram(base: &str) -> Result<TelegramSettings, ParseError> {
    let issuer = format!("{base}/telegram");
    Ok(TelegramSettings {
        oauth: application(&issuer, ["auth", "token", ""])?,
        jwks_url: Url::parse(&format!("{issuer}/.well-known/jwks.json"))?,
        issuer,
        bot_token: Some(Secret::new(simulator::BOT_TOKEN)),
    })
}

/// Settings of the simulator's bot, which has the same token on all platforms.
pub(super) fn bot(api: &str) -> Result<BotSettings, ParseError> {
    Ok(BotSettings {
        token: Secret::new(simulator::BOT_TOKEN),
        api_url: Url::parse(api)?,
    })
}

/// Settings of the simulated GitHub.
pub(super) fn github(base: &str) -> Result<platforms::Settings, ParseError> {
    let paths = ["login/oauth/authorize", "login/oauth/access_token", "api"];
    application(&format!("{base}/github"), paths)
}

/// Settings of the simulated Discord.
pub(super) fn discord(base: &str) -> Result<platforms::Settings, ParseError> {
    let paths = ["oauth2/authorize", "api/oauth2/token", "api/v10"];
    application(&format!("{base}/discord"), paths)
}

/// Settings of the simulated X.
pub(super) fn x_twitter(base: &str) -> Result<platforms::Settings, ParseError> {
    let paths = ["i/oauth2/authorize", "2/oauth2/token", "2"];
    application(&format!("{base}/x_twitter"), paths)
}

/// Settings of the simulator's application, with these paths for authorization, tokens and API.
fn application(base: &str, [authorize, token, api]: [&str; 3]) -> Result<platforms::Settings, ParseError> {
    let url = |path: &str| Url::parse(&format!("{base}/{path}"));
    Ok(platforms::Settings {
        client_id: simulator::CLIENT_ID.to_owned(),
        client_secret: Secret::new(simulator::CLIENT_SECRET),
        authorize_url: url(authorize)?,
        token_url: url(token)?,
        api_url: url(api)?,
        revoke_url: None,
    })
}
