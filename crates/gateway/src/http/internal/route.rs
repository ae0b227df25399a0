//! Routes of the internal API. They are matched without a router, whose layers and boxed futures took a tenth of the CPU of a publish.

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode_str;

use super::error::ApiError;
use super::{batch, publish, sessions};
use crate::trace::HttpRoute;

/// Route of a request, with the user of its path, decoded and unchecked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// [`publish::publish`].
    Publish(Cow<'a, str>),
    /// [`batch::publish`].
    PublishBatch,
    /// [`sessions::connections`].
    Connections(Cow<'a, str>),
    /// [`sessions::end`].
    EndSessions(Cow<'a, str>),
}

impl<'a> Route<'a> {
    /// Finds the route of a method and a path as it was sent.
    pub(super) fn find(method: &Method, path: &'a str) -> Result<Self, ApiError> {
        if path == batch::ROUTE.path {
            return allowed(&batch::ROUTE, method).map(|()| Self::PublishBatch);
        }
        let of_user = path.strip_prefix(USERS).and_then(|rest| rest.split_once('/'));
        let (user, operation) = of_user.filter(|(user, _)| !user.is_empty()).ok_or(ApiError::NoRoute)?;
        let (route, with_user): (_, fn(Cow<'a, str>) -> Self) = match operation {
            "events" => (publish::ROUTE, Self::Publish),
            "connections" => (sessions::LIST, Self::Connections),
            "sessions" => (sessions::END, Self::EndSessions),
            _ => return Err(ApiError::NoRoute),
        };
        allowed(&route, method)?;
        let user = percent_decode_str(user).decode_utf8();
        user.map(with_user).map_err(|_not_utf8| ApiError::UnreadablePath)
    }
}

/// Checks the method of a request. HEAD is served as GET; the server leaves out the body.
fn allowed(route: &HttpRoute, method: &Method) -> Result<(), ApiError> {
    match (route.method, method.as_str()) {
        ("GET", "GET" | "HEAD") => Ok(()),
        ("GET", _) => Err(ApiError::WrongMethod("GET,HEAD")),
        (expected, method) if expected == method => Ok(()),
        (expected, _) => Err(ApiError::WrongMethod(expected)),
    }
}

/// Start of the paths of a user.
const USERS: &str = "/v1/users/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn method_and_path_find_their_route_alone() {
        let found = |method: Method, path| Route::find(&method, path).ok();
        let user = || "a/b c".into();
        for (method, path, route) in [
            (Method::POST, "/v1/users/a%2Fb%20c/events", Route::Publish(user())),
            (
                Method::GET,
                "/v1/users/a%2Fb%20c/connections",
                Route::Connections(user()),
            ),
            (
                Method::HEAD,
                "/v1/users/a%2Fb%20c/connections",
                Route::Connections(user()),
            ),
            (
                Method::DELETE,
                "/v1/users/a%2Fb%20c/sessions",
                Route::EndSessions(user()),
            ),
            (Method::POST, "/v1/events", Route::PublishBatch),
        ] {
            assert_eq!(found(method, path), Some(route), "{path}");
        }
        for path in [
            "/v1/users//events",
            "/v1/users/events",
            "/v1/users/u/events/",
            "/v1/users/u/v/events",
            "/v1/events/",
            "/v1/Users/u/events",
            "//v1/users/u/events",
        ] {
            assert_eq!(found(Method::POST, path), None, "{path}");
        }
    }
}
