//! Parameters of the callback: the authorization response in the URL, the token in the confirmation form. A parameter may occur once
//! (RFC 6749 section 3.1), with a maximum length.

use protocol::answer::Failure;
use protocol::cluster::callback::AuthorizationResponse;
use protocol::code::ErrorCode;
use protocol::secret::Secret;
use url::form_urlencoded;

/// Query of a callback: the authorization response (RFC 6749 section 4.1.2, RFC 9207).
pub(super) struct CallbackQuery {
    pub(super) state: Secret,
    pub(super) issuer: Option<String>,
    pub(super) response: AuthorizationResponse,
}

impl CallbackQuery {
    /// Parses the query of the URL.
    pub(super) fn read(query: &str) -> Result<Self, Failure> {
        let parameters = [("state", 128), ("iss", 256), ("code", 4096), ("error", 128)];
        let [state, issuer, code, error] = parse_once(query.as_bytes(), parameters)?;
        let response = match (code, error.as_deref()) {
            (Some(code), None) => AuthorizationResponse::Code(Secret::new(code)),
            (None, Some("access_denied")) => AuthorizationResponse::Denied,
            (None, Some(_)) => AuthorizationResponse::Failed,
            (Some(_), Some(_)) | (None, None) => return Err(malformed()),
        };
        Ok(Self {
            state: Secret::new(state.ok_or_else(malformed)?),
            issuer,
            response,
        })
    }
}

/// Parses the token of the confirmation form.
pub(super) fn token(body: &[u8]) -> Result<Secret, Failure> {
    let [token] = parse_once(body, [(TOKEN, 128)])?;
    token.map(Secret::new).ok_or_else(malformed)
}

/// Name of the form's one field.
pub(super) const TOKEN: &str = "token";

/// Returns the failure of a malformed request. It does not quote the request.
pub(super) fn malformed() -> Failure {
    Failure::with_message(
        ErrorCode::BadRequest,
        "This is not an authorization response; start again in the application.",
    )
}

/// Parses these parameters, each with its maximum length in bytes. Unknown parameters are ignored.
fn parse_once<const N: usize>(text: &[u8], names: [(&str, usize); N]) -> Result<[Option<String>; N], Failure> {
    let mut values = [const { None }; N];
    for (name, value) in form_urlencoded::parse(text) {
        let known = names.iter().zip(&mut values).find(|((known, _), _)| *known == name);
        let Some(((_, max_len), slot)) = known else {
            continue;
        };
        if slot.is_some() || value.is_empty() || value.len() > *max_len {
            return Err(malformed());
        }
        *slot = Some(value.into_owned());
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorization_response_is_parsed() {
        let query = CallbackQuery::read("code=a%2Bb&state=s&iss=https%3A%2F%2Fgithub.com&more=1&more=2").unwrap();
        let AuthorizationResponse::Code(code) = query.response else {
            panic!("expected a code");
        };
        assert_eq!((code.expose(), query.state.expose()), ("a+b", "s"));
        assert_eq!(query.issuer.as_deref(), Some("https://github.com"));
    }

    #[test]
    fn denial_is_distinguished_from_failure() {
        let response = |query| CallbackQuery::read(query).unwrap().response;
        assert!(matches!(
            response("state=s&error=access_denied"),
            AuthorizationResponse::Denied
        ));
        assert!(matches!(
            response("state=s&error=server_error"),
            AuthorizationResponse::Failed
        ));
    }

    #[test]
    fn malformed_authorization_response_is_refused() {
        let long = format!("code=c&state={}", "s".repeat(129));
        for query in [
            "",
            "code=c",
            "state=s",
            "code=&state=s",
            "code=c&state=s&state=s",
            "code=c&code=c&state=s",
            "code=c&error=access_denied&state=s",
            long.as_str(),
        ] {
            assert!(CallbackQuery::read(query).is_err(), "{query}");
        }
        assert!(token(b"token=a&token=b").is_err());
        assert!(token(b"").is_err());
    }
}
