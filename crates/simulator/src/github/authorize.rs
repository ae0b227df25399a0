//! `/login/oauth/authorize`: a user authorizes the application.

use http::StatusCode;

use crate::authorize::AuthorizeEndpoint;

use super::token::{TERMS, normalised};

/// GitHub falls back to the one registered callback where a request has none; this application has registered every safe one
/// instead.
pub(super) const ENDPOINT: AuthorizeEndpoint = AuthorizeEndpoint {
    terms: &TERMS,
    max_state_length: usize::MAX,
    requires_challenge: false,
    unknown_client: StatusCode::NOT_FOUND,
    granted: |scopes| normalised(scopes.split([' ', ','])),
    denied: &[
        ("error", "access_denied"),
        ("error_description", "The user has denied your application access."),
    ],
    // RFC 7636 section 4.4.1; GitHub documents no error of its own, only that it accepts S256 alone.
    invalid_challenge: &[
        ("error", "invalid_request"),
        ("error_description", "code_challenge_method must be S256"),
    ],
    issuer: Some("/github/login/oauth"),
};
