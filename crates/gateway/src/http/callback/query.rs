//! What a browser brings: the platform's answer in the URL, the page's in a form. Each parameter once (RFC 6749 section 3.1), none
//! longer than any platform writes it.

use protocol::answer::Failure;
use protocol::cluster::callback::AuthorizationResponse;
use protocol::code::ErrorCode;
use protocol::secret::Secret;
use url::form_urlencoded;

/// The platform's answer (RFC 6749 section 4.1.2, RFC 9207).
pub(super) struct Query {
    pub(super) state: Secret,
    pub(super) issuer: Option<String>,
    pub(super) response: AuthorizationResponse,
}

impl Query {
    /// Reads the query of the URL.
    pub(super) fn read(query: &str) -> Result<Self, Failure> {
        let parameters = [("state", 128), ("iss", 256), ("code", 4096), ("error", 128)];
        let [state, issuer, code, error] = once(query.as_bytes(), parameters)?;
        let response = match (code, error.as_deref()) {
            (Some(code), None) => AuthorizationResponse::Code(Secret::new(code)),
            (None, Some("access_denied")) => AuthorizationResponse::Denied,
            (None, Some(_)) => AuthorizationResponse::Failed,
            (Some(_), Some(_)) | (None, None) => return Err(unreadable()),
        };
        Ok(Self {
            state: Secret::new(state.ok_or_else(unreadable)?),
            issuer,
            response,
        })
    }
}

/// The token of the page's button.
pub(super) fn token(form: &[u8]) -> Result<Secret, Failure> {
    let [token] = once(form, [(TOKEN, 128)])?;
    token.map(Secret::new).ok_or_else(unreadable)
}

/// The name of the page's one field.
pub(super) const TOKEN: &str = "token";

/// Says nothing of what was there.
pub(super) fn unreadable() -> Failure {
    Failure::with_message(
        ErrorCode::BadRequest,
        "This is no answer of a platform; start again in the application.",
    )
}

/// The values of these parameters, each at most so many bytes. Others are passed over.
fn once<const N: usize>(text: &[u8], names: [(&str, usize); N]) -> Result<[Option<String>; N], Failure> {
    let mut values = [const { None }; N];
    for (name, value) in form_urlencoded::parse(text) {
        let known = names.iter().zip(&mut values).find(|((known, _), _)| *known == name);
        let Some(((_, longest), place)) = known else {
            continue;
        };
        if place.is_some() || value.is_empty() || value.len() > *longest {
            return Err(unreadable());
        }
        *place = Some(value.into_owned());
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_a_platform_is_read() {
        let query = Query::read("code=a%2Bb&state=s&iss=https%3A%2F%2Fgithub.com&more=1&more=2").unwrap();
        let AuthorizationResponse::Code(code) = query.response else {
            panic!("it is a code");
        };
        assert_eq!((code.expose(), query.state.expose()), ("a+b", "s"));
        assert_eq!(query.issuer.as_deref(), Some("https://github.com"));
    }

    #[test]
    fn a_no_is_told_from_a_failure() {
        let response = |query| Query::read(query).unwrap().response;
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
    fn what_no_platform_writes_is_refused() {
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
            assert!(Query::read(query).is_err(), "{query}");
        }
        assert!(token(b"token=a&token=b").is_err());
        assert!(token(b"").is_err());
    }
}
