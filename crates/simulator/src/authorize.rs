//! Authorize endpoint of a platform (RFC 6749, section 3.1): checks of the request, and the redirect after the user's decision.

use std::collections::BTreeSet;

use axum::{
    Form,
    extract::Query,
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use http::{StatusCode, header};
use url::{Host, Url};

use crate::{
    clock,
    consent::{Application, AuthorizeCall, ConsentSubmission, Decision},
    grant::{CLIENT_ID, Consent, Terms},
    html::HtmlPage,
    oauth::AuthorizeQuery,
    world::World,
};

/// Authorize endpoint of one platform, with its documented limits and errors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AuthorizeEndpoint {
    pub(crate) terms: &'static Terms,
    /// Maximum length of the state.
    pub(crate) max_state_length: usize,
    /// True if PKCE (RFC 7636) is required.
    pub(crate) requires_challenge: bool,
    /// Status for an unknown application.
    pub(crate) unknown_client: StatusCode,
    /// Scopes that are granted for the requested ones.
    pub(crate) granted: fn(&str) -> BTreeSet<String>,
    /// Redirect after the user refused.
    pub(crate) denied: Parameters,
    /// Redirect after a request without a usable challenge.
    pub(crate) invalid_challenge: Parameters,
    /// Path of the issuer in every redirect (RFC 9207).
    pub(crate) issuer: Option<&'static str>,
}

/// Parameters of a redirect.
pub(crate) type Parameters = &'static [(&'static str, &'static str)];

/// Authorization request that may be answered by a redirect.
struct AuthorizationRequest {
    query: AuthorizeQuery,
    redirect: Url,
}

impl AuthorizeEndpoint {
    /// Page and form.
    pub(crate) fn methods(self) -> MethodRouter<World> {
        get(move |call: AuthorizeCall| async move { self.show(&call) }).post(
            move |call: AuthorizeCall, Form(form): Form<ConsentSubmission>| async move { self.decide(&call, form) },
        )
    }

    /// Consent page; the redirect where the request decides itself: by an error, or by the simulator's parameter `login`.
    pub(crate) fn show(&self, call: &AuthorizeCall) -> Response {
        let request = match self.check(call) {
            Ok(request) => request,
            Err(page) => return page.into_response(),
        };
        if call.is_denied {
            return self.redirect(&call.world, &request, StatusCode::FOUND, self.denied);
        }
        if !self.has_usable_challenge(&request.query) {
            return self.redirect(&call.world, &request, StatusCode::FOUND, self.invalid_challenge);
        }
        match &request.query.login {
            Some(login) => self.consent(&call.world, &request, StatusCode::FOUND, login),
            None => call.page(&Application {
                platform: self.terms.platform,
                name: CLIENT_ID,
                scopes: (self.granted)(&request.query.scope).into_iter().collect(),
                redirect: &request.redirect,
            }),
        }
    }

    /// Redirect after the user's decision.
    pub(crate) fn decide(&self, call: &AuthorizeCall, form: ConsentSubmission) -> Response {
        let decided = self
            .check(call)
            .and_then(|request| Ok((request, call.decision(self.terms.platform, form)?)));
        match decided {
            Err(page) => page.into_response(),
            Ok((request, _)) if !self.has_usable_challenge(&request.query) => {
                self.redirect(&call.world, &request, StatusCode::SEE_OTHER, self.invalid_challenge)
            }
            Ok((request, Decision::Deny)) => self.redirect(&call.world, &request, StatusCode::SEE_OTHER, self.denied),
            Ok((request, Decision::Login(login))) => self.consent(&call.world, &request, StatusCode::SEE_OTHER, &login),
        }
    }

    /// Checks what must not be answered by a redirect (RFC 6749, section 4.1.2.1).
    fn check(&self, call: &AuthorizeCall) -> Result<AuthorizationRequest, HtmlPage> {
        let refuse = |status, sentence| Err(HtmlPage::error(status, sentence));
        let Ok(Query(query)) = Query::<AuthorizeQuery>::try_from_uri(&call.uri) else {
            return refuse(StatusCode::BAD_REQUEST, "A parameter is repeated or malformed.");
        };
        if query.client_id.as_deref() != Some(CLIENT_ID) {
            return refuse(self.unknown_client, "There is no such application.");
        }
        let Some(redirect) = query.redirect_uri.as_deref().and_then(registered) else {
            return refuse(
                StatusCode::BAD_REQUEST,
                "The redirect_uri must be https, or http to a loopback address.",
            );
        };
        let state_length = query.state.as_ref().map_or(0, String::len);
        if state_length > self.max_state_length {
            return refuse(StatusCode::BAD_REQUEST, "The state is too long.");
        }
        Ok(AuthorizationRequest { query, redirect })
    }

    fn has_usable_challenge(&self, query: &AuthorizeQuery) -> bool {
        match &query.code_challenge {
            Some(_) => query.code_challenge_method.as_deref() == Some("S256"),
            None => !self.requires_challenge,
        }
    }

    /// Redirect with the code of a new consent.
    fn consent(&self, world: &World, request: &AuthorizationRequest, status: StatusCode, login: &str) -> Response {
        let query = &request.query;
        let consent = Consent {
            platform: self.terms.platform,
            login: login.to_owned(),
            scopes: (self.granted)(&query.scope),
            // As the application wrote it: the exchange compares bytes.
            redirect_uri: query.redirect_uri.clone().unwrap_or_default(),
            challenge: query.code_challenge.clone(),
        };
        let code = world.lock().grants.issue_code(consent, self.terms, clock::now());
        self.redirect(world, request, status, &[("code", &code)])
    }

    fn redirect(
        &self,
        world: &World,
        request: &AuthorizationRequest,
        status: StatusCode,
        parameters: &[(&str, &str)],
    ) -> Response {
        let mut location = request.redirect.clone();
        let state = request.query.state.as_deref().map(|state| ("state", state));
        let issuer = self.issuer.map(|path| format!("{}{path}", world.base()));
        location
            .query_pairs_mut()
            .extend_pairs(parameters)
            .extend_pairs(state)
            .extend_pairs(issuer.map(|issuer| ("iss", issuer)));
        (status, [(header::LOCATION, location.as_str())]).into_response()
    }
}

/// Redirect URI, if this application has registered it: every safe one. An application without its own server may have http to a
/// loopback address (RFC 8252, section 7.3).
pub(crate) fn registered(redirect_uri: &str) -> Option<Url> {
    let url = Url::parse(redirect_uri).ok()?;
    let is_safe = match (url.scheme(), url.host()) {
        ("https", Some(_)) | ("http", Some(Host::Domain("localhost"))) => true,
        ("http", Some(Host::Ipv4(address))) => address.is_loopback(),
        ("http", Some(Host::Ipv6(address))) => address.is_loopback(),
        _ => false,
    };
    is_safe.then_some(url)
}

/// Requested scopes, separated by spaces (RFC 6749, section 3.3).
pub(crate) fn space_separated(scopes: &str) -> BTreeSet<String> {
    scopes.split_whitespace().map(str::to_owned).collect()
}
