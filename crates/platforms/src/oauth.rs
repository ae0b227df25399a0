//! Authorization code flow (RFC 6749 section 4.1, with PKCE), the same for every platform except for its [`Dialect`].

use std::pin::Pin;
use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderValue, Request, Response, StatusCode, header};
use oauth2::basic::{
    BasicClient, BasicErrorResponse, BasicErrorResponseType, BasicRevocationErrorResponse,
    BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AsyncHttpClient, AuthType, AuthUrl, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken, EndpointNotSet,
    EndpointSet, ExtraTokenFields, HttpRequest, HttpResponse, PkceCodeVerifier, RefreshToken, RequestTokenError,
    StandardRevocableToken, StandardTokenResponse, TokenResponse, TokenUrl,
};
use protocol::account::AccountType;
use protocol::secret::Secret;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use url::Url;
use url::form_urlencoded::Serializer;

use crate::http::{CallError, Http, basic};
use crate::platform::{
    AuthorizeRequest, ExchangeError, ExchangeRequest, Grant, RefreshError, RevokeError, RevokeOutcome, Tokens,
};
use crate::rate_limit::{self, Throttle};
use crate::route::Route;
use crate::settings::Settings;
use crate::untrusted;

/// Deviations of a platform's flow, as data.
#[derive(Debug)]
pub(crate) struct Dialect {
    /// Platform.
    pub(crate) account: AccountType,
    /// Path of the token endpoint, as the platform documents it.
    pub(crate) token_path: &'static str,
    /// Scopes to request.
    pub(crate) scopes: &'static [&'static str],
    /// Separator of granted scopes.
    pub(crate) scope_separator: char,
    /// Part of the request that carries the application's credentials.
    pub(crate) credentials: AuthType,
    /// Error codes of the token endpoint beyond those of RFC 6749 section 5.2.
    pub(crate) errors: &'static [&'static str],
    /// True if the token endpoint answers errors with 200.
    pub(crate) errors_are_ok: bool,
    /// Error codes that refuse a refresh token, besides `invalid_grant` (RFC 6749 section 5.2).
    pub(crate) refusals: &'static [&'static str],
    /// Status for the revocation of an unknown token, if that is not 200 (RFC 7009 section 2.2).
    pub(crate) unknown_token: Option<StatusCode>,
    /// User agent, if the platform requires one in a format of its own.
    pub(crate) user_agent: Option<&'static str>,
}

impl Dialect {
    /// Route of this platform with this path.
    pub(crate) const fn route(&self, template: &'static str) -> Route {
        Route::new(self.account, template)
    }
}

/// Authorize page to which the user is sent.
pub(crate) fn authorization_url(dialect: &Dialect, settings: &Settings, request: &AuthorizeRequest) -> Url {
    let client = BasicClient::new(ClientId::new(settings.client_id.clone()))
        .set_auth_uri(AuthUrl::from_url(settings.authorize_url.clone()));
    let (url, _) = client
        .authorize_url(|| CsrfToken::new(request.state.expose().to_owned()))
        // As plain parameters: the typed ways would parse the URI anew, and panic at an unusual length of the verifier.
        .add_extra_param("redirect_uri", &request.redirect_uri)
        .add_extra_param("code_challenge", s256(&request.verifier))
        .add_extra_param("code_challenge_method", "S256")
        .add_scopes(dialect.scopes.iter().map(|&scope| oauth2::Scope::new(scope.to_owned())))
        .url();
    url
}

/// Challenge of a verifier (RFC 7636 section 4.2).
fn s256(verifier: &Secret) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose()))
}

/// Tokens that were issued for a code.
#[derive(Debug)]
pub(crate) struct IssuedTokens {
    pub(crate) grant: Grant,
    /// ID token, if the platform supports OpenID Connect. Its signature and claims are unverified.
    pub(crate) id_token: Option<Secret>,
}

/// Optional fields beside the tokens.
#[derive(Debug, Deserialize, Serialize)]
struct ExtraFields {
    id_token: Option<Secret>,
}

impl ExtraTokenFields for ExtraFields {}

type TokenAnswer = StandardTokenResponse<ExtraFields, BasicTokenType>;

/// OAuth client with a token endpoint and no other.
type OauthClient = Client<
    BasicErrorResponse,
    TokenAnswer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

fn oauth_client(dialect: &Dialect, settings: &Settings) -> OauthClient {
    Client::new(ClientId::new(settings.client_id.clone()))
        .set_client_secret(ClientSecret::new(settings.client_secret.expose().to_owned()))
        .set_token_uri(TokenUrl::from_url(settings.token_url.clone()))
        .set_auth_type(dialect.credentials.clone())
}

/// Exchanges the code, once.
pub(crate) async fn exchange(
    dialect: &Dialect,
    settings: &Settings,
    http: &Http,
    request: &ExchangeRequest,
) -> Result<IssuedTokens, ExchangeError> {
    let client = oauth_client(dialect, settings);
    let mut call = client
        .exchange_code(AuthorizationCode::new(request.code.expose().to_owned()))
        .add_extra_param("redirect_uri", &request.redirect_uri);
    if let Some(verifier) = &request.verifier {
        call = call.set_pkce_verifier(PkceCodeVerifier::new(verifier.expose().to_owned()));
    }
    match call.request_async(&TokenEndpoint { dialect, http }).await {
        Ok(answer) => Ok(granted(dialect, &answer)),
        Err(error) => Err(exchange_error(dialect, error)),
    }
}

/// Exchanges a refresh token, once.
pub(crate) async fn refresh(
    dialect: &Dialect,
    settings: &Settings,
    http: &Http,
    refresh: &Secret,
) -> Result<Grant, RefreshError> {
    let client = oauth_client(dialect, settings);
    let token = RefreshToken::new(refresh.expose().to_owned());
    let endpoint = TokenEndpoint { dialect, http };
    match client.exchange_refresh_token(&token).request_async(&endpoint).await {
        Ok(answer) => Ok(granted(dialect, &answer).grant),
        Err(error) => Err(refresh_error(dialect, error)),
    }
}

/// Meaning of a failed refresh. Tokens are issued with a 200 only (RFC 6749 section 5.1), so any other 4xx concerns the
/// application's credentials or a firewall, and the refresh token is still valid.
fn refresh_error(dialect: &Dialect, error: RequestTokenError<TokenCallError, BasicErrorResponse>) -> RefreshError {
    let account = dialect.account;
    let not_sent = |error: CallError| RefreshError::NotSent(account, error.into());
    match error {
        RequestTokenError::ServerResponse(answer) if refuses(dialect, answer.error()) => RefreshError::Refused(account),
        RequestTokenError::ServerResponse(_) => not_sent(CallError::Status(StatusCode::BAD_REQUEST)),
        RequestTokenError::Request(TokenCallError::Throttled(Throttle { wait, pause })) => {
            RefreshError::Throttled { account, wait, pause }
        }
        RequestTokenError::Request(TokenCallError::Call(error @ CallError::NotSent(_))) => not_sent(error),
        RequestTokenError::Request(TokenCallError::Call(CallError::Status(status))) if status.is_client_error() => {
            not_sent(CallError::Status(status))
        }
        RequestTokenError::Request(TokenCallError::Call(error)) => RefreshError::Unknown(account, error.into()),
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            RefreshError::Unknown(account, CallError::Unreadable.into())
        }
    }
}

fn refuses(dialect: &Dialect, error: &BasicErrorResponseType) -> bool {
    *error == BasicErrorResponseType::InvalidGrant || dialect.refusals.contains(&error.as_ref())
}

/// Revokes a token (RFC 7009).
pub(crate) async fn revoke(
    dialect: &Dialect,
    settings: &Settings,
    http: &Http,
    ((template, url), token): ((&'static str, &Url), &Secret),
) -> Result<RevokeOutcome, RevokeError> {
    let account = dialect.account;
    let unavailable = |error: CallError| RevokeError::Unavailable(account, error.into());
    let request = revocation(dialect, settings, url, token);
    let request = request.map_err(|error| unavailable(CallError::NotSent(error.into())))?;
    let answer = http.send(dialect.route(template), request).await.map_err(unavailable)?;
    if let Some(Throttle { wait, pause }) = rate_limit::of_answer(&answer) {
        return Err(RevokeError::Throttled { account, wait, pause });
    }
    match answer.status() {
        // RFC 7009 section 2.2: also for an unknown token.
        StatusCode::OK => Ok(RevokeOutcome::Ended),
        status if dialect.unknown_token == Some(status) => Ok(RevokeOutcome::UnknownToken),
        status => Err(unavailable(CallError::Status(status))),
    }
}

fn revocation(dialect: &Dialect, settings: &Settings, url: &Url, token: &Secret) -> http::Result<Request<Vec<u8>>> {
    let mut encoded = Serializer::new(String::new());
    encoded.append_pair("token", token.expose());
    let mut request = Request::post(url.as_str()).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    if let AuthType::BasicAuth = dialect.credentials {
        request = request.header(
            header::AUTHORIZATION,
            basic(&settings.client_id, &settings.client_secret),
        );
    } else {
        encoded
            .append_pair("client_id", &settings.client_id)
            .append_pair("client_secret", settings.client_secret.expose());
    }
    if let Some(name) = dialect.user_agent {
        request = request.header(header::USER_AGENT, name);
    }
    request.body(encoded.finish().into_bytes())
}

fn granted(dialect: &Dialect, answer: &TokenAnswer) -> IssuedTokens {
    // oauth2 has split at spaces, as the RFC writes scopes.
    let mut scopes: Vec<String> = match answer.scopes() {
        Some(scopes) => scopes
            .iter()
            .flat_map(|scope| scope.split(dialect.scope_separator))
            .map(str::to_owned)
            .collect(),
        // RFC 6749 section 5.1: left out if they are the requested ones.
        None => dialect.scopes.iter().map(ToString::to_string).collect(),
    };
    scopes.retain(|scope| !scope.is_empty());
    scopes.sort();
    let tokens = Tokens {
        access: Secret::new(answer.access_token().secret()),
        refresh: answer.refresh_token().map(|token| Secret::new(token.secret())),
        expires_in: answer.expires_in(),
    };
    IssuedTokens {
        grant: Grant {
            tokens: Some(tokens),
            scopes,
            owner: None,
        },
        id_token: answer.extra_fields().id_token.clone(),
    }
}

/// Meaning of a failed exchange. The causes from oauth2 are dropped: they contain the answer's body.
fn exchange_error(dialect: &Dialect, error: RequestTokenError<TokenCallError, BasicErrorResponse>) -> ExchangeError {
    let account = dialect.account;
    match error {
        RequestTokenError::ServerResponse(answer) => {
            ExchangeError::Refused(account, documented(dialect, answer.error()))
        }
        RequestTokenError::Request(TokenCallError::Throttled(Throttle { wait, pause })) => {
            ExchangeError::Throttled { account, wait, pause }
        }
        RequestTokenError::Request(TokenCallError::Call(error @ CallError::NotSent(_))) => {
            ExchangeError::NotSent(account, error.into())
        }
        RequestTokenError::Request(TokenCallError::Call(error)) => ExchangeError::Unknown(account, error.into()),
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            ExchangeError::Unknown(account, CallError::Unreadable.into())
        }
    }
}

/// Error code of the platform, if it is a documented one: an unknown text could be anything, a secret included.
fn documented(dialect: &Dialect, error: &BasicErrorResponseType) -> String {
    match error {
        BasicErrorResponseType::Extension(code) if !dialect.errors.contains(&code.as_str()) => "an undocumented error",
        known => known.as_ref(),
    }
    .to_owned()
}

/// Token endpoint as oauth2 expects it: errors are 4xx.
struct TokenEndpoint<'a> {
    dialect: &'a Dialect,
    http: &'a Http,
}

/// Cause of an exchange without an answer for oauth2.
#[derive(Debug, thiserror::Error)]
enum TokenCallError {
    #[error("the call failed")]
    Call(#[from] CallError),
    #[error("the platform asks to wait {:?}", .0.wait)]
    Throttled(Throttle),
}

impl TokenEndpoint<'_> {
    async fn post(&self, mut request: HttpRequest) -> Result<HttpResponse, TokenCallError> {
        if let Some(name) = self.dialect.user_agent {
            request
                .headers_mut()
                .insert(header::USER_AGENT, HeaderValue::from_static(name));
        }
        let route = self.dialect.route(self.dialect.token_path);
        let mut answer = self.http.send(route, request).await?;
        if let Some(throttle) = rate_limit::of_answer(&answer) {
            return Err(TokenCallError::Throttled(throttle));
        }
        let status = answer.status();
        let parameters = untrusted::parameters(&answer);
        let is_error = parameters.as_ref().is_some_and(has_error);
        if self.dialect.errors_are_ok && status.is_success() && is_error {
            *answer.status_mut() = StatusCode::BAD_REQUEST;
        }
        // A redirect is not followed, and a server that failed may have issued tokens first. An error that is no OAuth error
        // comes from a proxy or firewall before the server.
        let is_refusal = status.is_client_error() && is_error;
        if !status.is_success() && !is_refusal {
            return Err(CallError::Status(status).into());
        }
        if let Some(parameters) = parameters {
            write_as_documented(&mut answer, parameters);
        }
        Ok(answer)
    }
}

impl<'c> AsyncHttpClient<'c> for TokenEndpoint<'_> {
    type Error = TokenCallError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, TokenCallError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.post(request))
    }
}

fn has_error(parameters: &Map<String, Value>) -> bool {
    parameters.get("error").is_some_and(Value::is_string)
}

/// Rewrites the answer to the JSON of RFC 6749 section 5.1, the only one that oauth2 accepts: `expires_in` in whole seconds, or
/// left out; `bearer` if the type is missing.
fn write_as_documented(answer: &mut Response<Vec<u8>>, mut parameters: Map<String, Value>) {
    let lifetime = parameters.remove("expires_in");
    let lifetime = lifetime.as_ref().and_then(untrusted::seconds);
    if let Some(lifetime) = lifetime.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        parameters.insert("expires_in".to_owned(), lifetime.as_secs().into());
    }
    parameters.entry("token_type").or_insert_with(|| "bearer".into());
    *answer.body_mut() = Value::Object(parameters).to_string().into_bytes();
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test vector of RFC 7636 appendix B.
    #[test]
    fn challenge_matches_the_rfc_vector() {
        let verifier = Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(s256(&verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
