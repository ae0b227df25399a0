//! The application's credentials at the platforms.

use clap::Args;
use platforms::{Github, InsecureUrl, Settings};
use protocol::secret::Secret;
use url::Url;

use super::{Problems, secret};

/// GitHub: an OAuth App. Without a client id the platform is not offered.
#[derive(Debug, Clone, Args)]
pub struct GithubArgs {
    /// The OAuth App's client id.
    #[arg(long, env = "POSTERN_GITHUB_CLIENT_ID")]
    pub github_client_id: Option<String>,
    /// The OAuth App's client secret.
    #[arg(long, env = "POSTERN_GITHUB_CLIENT_SECRET", hide_env_values = true, value_parser = secret)]
    pub github_client_secret: Option<Secret>,
    /// Where users let the application in.
    #[arg(long, env = "POSTERN_GITHUB_AUTH_URL", default_value = Github::AUTHORIZE_URL)]
    pub github_auth_url: String,
    /// Where codes become tokens.
    #[arg(long, env = "POSTERN_GITHUB_TOKEN_URL", default_value = Github::TOKEN_URL)]
    pub github_token_url: String,
    /// Where the API is.
    #[arg(long, env = "POSTERN_GITHUB_API_URL", default_value = Github::API_URL)]
    pub github_api_url: String,
    /// Where grants are given back, the whole URL; default: `/applications/<client id>/grant` of the API.
    #[arg(long, env = "POSTERN_GITHUB_REVOKE_URL")]
    pub github_revoke_url: Option<String>,
}

impl GithubArgs {
    /// Checks the section; none when the platform is off.
    pub(super) fn check(&self, problems: &mut Problems) -> Option<Settings> {
        let client_id = self.github_client_id.clone()?;
        let client_secret = self.github_client_secret.clone();
        let mut url = |variable, text: &str| {
            problems.take(
                variable,
                Url::parse(text).map_err(|error| format!("is no URL: {error}")),
            )
        };
        let authorize_url = url("POSTERN_GITHUB_AUTH_URL", &self.github_auth_url);
        let token_url = url("POSTERN_GITHUB_TOKEN_URL", &self.github_token_url);
        let api_url = url("POSTERN_GITHUB_API_URL", &self.github_api_url);
        let revoke_url = self
            .github_revoke_url
            .as_deref()
            .map(|text| url("POSTERN_GITHUB_REVOKE_URL", text));
        let client_secret = problems.require("POSTERN_GITHUB_CLIENT_SECRET", client_secret, "the client id is set");
        let settings = Settings {
            client_id,
            client_secret: client_secret?,
            authorize_url: authorize_url?,
            token_url: token_url?,
            api_url: api_url?,
            revoke_url: revoke_url.flatten(),
        };
        if let Err(insecure) = settings.check() {
            problems.note(variable_of(insecure), "must be https, or http to a loopback address");
            return None;
        }
        Some(settings)
    }
}

fn variable_of(InsecureUrl(name): InsecureUrl) -> &'static str {
    match name {
        "authorize" => "POSTERN_GITHUB_AUTH_URL",
        "token" => "POSTERN_GITHUB_TOKEN_URL",
        "revoke" => "POSTERN_GITHUB_REVOKE_URL",
        _ => "POSTERN_GITHUB_API_URL",
    }
}
