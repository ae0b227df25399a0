//! The authorization code flow (RFC 6749 section 4.1, with PKCE), the same for every platform but for a few quirks,
//! which are data: [`Dialect`].

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

use crate::foreign;
use crate::http::{CallError, Http, basic};
use crate::platform::{
    AuthorizeRequest, ExchangeError, ExchangeRequest, Grant, RefreshError, RevokeError, RevokeOutcome, Tokens,
};
use crate::settings::Settings;
use crate::throttle::{self, Throttle};

/// In what a platform's flow differs from the others'.
#[derive(Debug)]
pub(crate) struct Dialect {
    /// Whose it is.
    pub(crate) account: AccountType,
    /// What is asked for.
    pub(crate) scopes: &'static [&'static str],
    /// What stands between granted scopes.
    pub(crate) scope_separator: char,
    /// Where the application's credentials go.
    pub(crate) credentials: AuthType,
    /// Its error codes at the token endpoint, beyond those of RFC 6749 section 5.2.
    pub(crate) errors: &'static [&'static str],
    /// Whether the token endpoint answers errors with 200.
    pub(crate) errors_are_ok: bool,
    /// By which codes it refuses a refresh token, beside `invalid_grant` (RFC 6749 section 5.2).
    pub(crate) refusals: &'static [&'static str],
    /// How it answers the revocation of a token that it does not know, where that is not 200 (RFC 7009 section 2.2).
    pub(crate) unknown_token: Option<StatusCode>,
    /// What calls name themselves, where the platform asks for a form of its own.
    pub(crate) user_agent: Option<&'static str>,
}

/// The page to send the user to.
pub(crate) fn authorization_url(dialect: &Dialect, settings: &Settings, request: &AuthorizeRequest) -> Url {
    let client = BasicClient::new(ClientId::new(settings.client_id.clone()))
        .set_auth_uri(AuthUrl::from_url(settings.authorize_url.clone()));
    let (url, _) = client
        .authorize_url(|| CsrfToken::new(request.state.expose().to_owned()))
        // As plain parameters: the typed ways would parse the one anew and panic over an odd length of the other.
        .add_extra_param("redirect_uri", &request.redirect_uri)
        .add_extra_param("code_challenge", s256(&request.verifier))
        .add_extra_param("code_challenge_method", "S256")
        .add_scopes(dialect.scopes.iter().map(|&scope| oauth2::Scope::new(scope.to_owned())))
        .url();
    url
}

/// The challenge of a verifier (RFC 7636 section 4.2).
fn s256(verifier: &Secret) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose()))
}

/// What a code has become.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) grant: Grant,
    /// Who granted it, where the platform speaks OpenID Connect. Nothing of it has been checked.
    pub(crate) id_token: Option<Secret>,
}

/// What may stand beside the tokens.
#[derive(Debug, Deserialize, Serialize)]
struct Beside {
    id_token: Option<Secret>,
}

impl ExtraTokenFields for Beside {}

type Answer = StandardTokenResponse<Beside, BasicTokenType>;

/// A client that knows its token endpoint, and needs no other.
type Exchanger = Client<
    BasicErrorResponse,
    Answer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

fn exchanger(dialect: &Dialect, settings: &Settings) -> Exchanger {
    Client::new(ClientId::new(settings.client_id.clone()))
        .set_client_secret(ClientSecret::new(settings.client_secret.expose().to_owned()))
        .set_token_uri(TokenUrl::from_url(settings.token_url.clone()))
        .set_auth_type(dialect.credentials.clone())
}

/// Presents the code, once.
pub(crate) async fn exchange(
    dialect: &Dialect,
    settings: &Settings,
    http: &Http,
    request: &ExchangeRequest,
) -> Result<Issued, ExchangeError> {
    let client = exchanger(dialect, settings);
    let mut call = client
        .exchange_code(AuthorizationCode::new(request.code.expose().to_owned()))
        .add_extra_param("redirect_uri", &request.redirect_uri);
    if let Some(verifier) = &request.verifier {
        call = call.set_pkce_verifier(PkceCodeVerifier::new(verifier.expose().to_owned()));
    }
    match call.request_async(&TokenEndpoint { dialect, http }).await {
        Ok(answer) => Ok(granted(dialect, &answer)),
        Err(error) => Err(failed(dialect, error)),
    }
}

/// Presents a refresh token, once.
pub(crate) async fn refresh(
    dialect: &Dialect,
    settings: &Settings,
    http: &Http,
    refresh: &Secret,
) -> Result<Grant, RefreshError> {
    let client = exchanger(dialect, settings);
    let token = RefreshToken::new(refresh.expose().to_owned());
    let endpoint = TokenEndpoint { dialect, http };
    match client.exchange_refresh_token(&token).request_async(&endpoint).await {
        Ok(answer) => Ok(granted(dialect, &answer).grant),
        Err(error) => Err(not_refreshed(dialect, error)),
    }
}

/// What a failed refresh means. Tokens are issued with a 200 only (RFC 6749 section 5.1), so whatever else a 4xx is about, the
/// application's credentials or a firewall, the refresh token is as good as before.
fn not_refreshed(dialect: &Dialect, error: RequestTokenError<Interrupted, BasicErrorResponse>) -> RefreshError {
    let account = dialect.account;
    let still_good = |error: CallError| RefreshError::NotSent(account, error.into());
    match error {
        RequestTokenError::ServerResponse(answer) if refuses(dialect, answer.error()) => RefreshError::Refused(account),
        RequestTokenError::ServerResponse(_) => still_good(CallError::Status(StatusCode::BAD_REQUEST)),
        RequestTokenError::Request(Interrupted::Throttled(Throttle { wait, pause })) => {
            RefreshError::Throttled { account, wait, pause }
        }
        RequestTokenError::Request(Interrupted::Call(error @ CallError::NotSent(_))) => still_good(error),
        RequestTokenError::Request(Interrupted::Call(CallError::Status(status))) if status.is_client_error() => {
            still_good(CallError::Status(status))
        }
        RequestTokenError::Request(Interrupted::Call(error)) => RefreshError::Unknown(account, error.into()),
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            RefreshError::Unknown(account, CallError::Unreadable.into())
        }
    }
}

fn refuses(dialect: &Dialect, error: &BasicErrorResponseType) -> bool {
    *error == BasicErrorResponseType::InvalidGrant || dialect.refusals.contains(&error.as_ref())
}

/// Gives a token back (RFC 7009).
pub(crate) async fn revoke(
    dialect: &Dialect,
    settings: &Settings,
    http: &Http,
    (url, token): (&Url, &Secret),
) -> Result<RevokeOutcome, RevokeError> {
    let account = dialect.account;
    let unavailable = |error: CallError| RevokeError::Unavailable(account, error.into());
    let request = revocation(dialect, settings, url, token);
    let request = request.map_err(|error| unavailable(CallError::NotSent(error.into())))?;
    let answer = http.send(request).await.map_err(unavailable)?;
    if let Some(Throttle { wait, pause }) = throttle::asked(&answer) {
        return Err(RevokeError::Throttled { account, wait, pause });
    }
    match answer.status() {
        // RFC 7009 section 2.2: also for a token that it does not know.
        StatusCode::OK => Ok(RevokeOutcome::Ended),
        status if dialect.unknown_token == Some(status) => Ok(RevokeOutcome::UnknownToken),
        status => Err(unavailable(CallError::Status(status))),
    }
}

fn revocation(dialect: &Dialect, settings: &Settings, url: &Url, token: &Secret) -> http::Result<Request<Vec<u8>>> {
    let mut form = Serializer::new(String::new());
    form.append_pair("token", token.expose());
    let mut request = Request::post(url.as_str()).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    if let AuthType::BasicAuth = dialect.credentials {
        request = request.header(
            header::AUTHORIZATION,
            basic(&settings.client_id, &settings.client_secret),
        );
    } else {
        form.append_pair("client_id", &settings.client_id)
            .append_pair("client_secret", settings.client_secret.expose());
    }
    if let Some(name) = dialect.user_agent {
        request = request.header(header::USER_AGENT, name);
    }
    request.body(form.finish().into_bytes())
}

fn granted(dialect: &Dialect, answer: &Answer) -> Issued {
    // oauth2 has split at spaces, as the RFC writes scopes.
    let mut scopes: Vec<String> = match answer.scopes() {
        Some(scopes) => scopes
            .iter()
            .flat_map(|scope| scope.split(dialect.scope_separator))
            .map(str::to_owned)
            .collect(),
        // RFC 6749 section 5.1: left out when it is what was asked for.
        None => dialect.scopes.iter().map(ToString::to_string).collect(),
    };
    scopes.retain(|scope| !scope.is_empty());
    scopes.sort();
    let tokens = Tokens {
        access: Secret::new(answer.access_token().secret()),
        refresh: answer.refresh_token().map(|token| Secret::new(token.secret())),
        expires_in: answer.expires_in(),
    };
    Issued {
        grant: Grant {
            tokens: Some(tokens),
            scopes,
            owner: None,
        },
        id_token: answer.extra_fields().id_token.clone(),
    }
}

/// What a failed exchange means. The causes of oauth2 stay behind: they keep the answer's body.
fn failed(dialect: &Dialect, error: RequestTokenError<Interrupted, BasicErrorResponse>) -> ExchangeError {
    let account = dialect.account;
    match error {
        RequestTokenError::ServerResponse(answer) => {
            ExchangeError::Refused(account, documented(dialect, answer.error()))
        }
        RequestTokenError::Request(Interrupted::Throttled(Throttle { wait, pause })) => {
            ExchangeError::Throttled { account, wait, pause }
        }
        RequestTokenError::Request(Interrupted::Call(error @ CallError::NotSent(_))) => {
            ExchangeError::NotSent(account, error.into())
        }
        RequestTokenError::Request(Interrupted::Call(error)) => ExchangeError::Unknown(account, error.into()),
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            ExchangeError::Unknown(account, CallError::Unreadable.into())
        }
    }
}

/// The platform's error code, if it is one that we know: what stands there instead could be anything, a secret too.
fn documented(dialect: &Dialect, error: &BasicErrorResponseType) -> String {
    match error {
        BasicErrorResponseType::Extension(code) if !dialect.errors.contains(&code.as_str()) => "an undocumented error",
        known => known.as_ref(),
    }
    .to_owned()
}

/// The token endpoint, as oauth2 wants to call it: errors are 4xx.
struct TokenEndpoint<'a> {
    dialect: &'a Dialect,
    http: &'a Http,
}

/// Why oauth2 got no answer to read.
#[derive(Debug, thiserror::Error)]
enum Interrupted {
    #[error("the call failed")]
    Call(#[from] CallError),
    #[error("the platform asks to wait {:?}", .0.wait)]
    Throttled(Throttle),
}

impl TokenEndpoint<'_> {
    async fn post(&self, mut request: HttpRequest) -> Result<HttpResponse, Interrupted> {
        if let Some(name) = self.dialect.user_agent {
            request
                .headers_mut()
                .insert(header::USER_AGENT, HeaderValue::from_static(name));
        }
        let mut answer = self.http.send(request).await?;
        if let Some(throttle) = throttle::asked(&answer) {
            return Err(Interrupted::Throttled(throttle));
        }
        let status = answer.status();
        let parameters = foreign::parameters(&answer);
        let is_error = parameters.as_ref().is_some_and(holds_error);
        if self.dialect.errors_are_ok && status.is_success() && is_error {
            *answer.status_mut() = StatusCode::BAD_REQUEST;
        }
        // A redirect is not followed, and a server that failed may have issued tokens first. An error that is no OAuth error comes
        // from something that stands before the server.
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
    type Error = Interrupted;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Interrupted>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.post(request))
    }
}

fn holds_error(parameters: &Map<String, Value>) -> bool {
    parameters.get("error").is_some_and(Value::is_string)
}

/// The answer as RFC 6749 section 5.1 has it, whose JSON oauth2 takes alone: a life in whole seconds, and left out where it is
/// none; `bearer` where nothing is said.
fn write_as_documented(answer: &mut Response<Vec<u8>>, mut parameters: Map<String, Value>) {
    let life = parameters.remove("expires_in");
    let life = life.as_ref().and_then(foreign::seconds);
    if let Some(life) = life.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        parameters.insert("expires_in".to_owned(), life.as_secs().into());
    }
    parameters.entry("token_type").or_insert_with(|| "bearer".into());
    *answer.body_mut() = Value::Object(parameters).to_string().into_bytes();
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of RFC 7636 appendix B.
    #[test]
    fn the_challenge_is_that_of_the_rfc() {
        let verifier = Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(s256(&verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
