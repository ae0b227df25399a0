//! Matching of requests with the routes, without a router, whose layers and boxed futures took a tenth of the CPU of a publish.

use http::Method;
use protocol::api::table::{ApiRoute, MAX_PARAMETERS, ROUTES};

use super::error::ApiError;

/// Values of the parameters of a path, in their order in it and as they were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct PathValues<'a>([&'a str; MAX_PARAMETERS]);

impl<'a> PathValues<'a> {
    /// Value of the first parameter.
    pub(super) fn first(&self) -> &'a str {
        let [first, ..] = self.0;
        first
    }

    /// Value of the parameter of this name in a path template.
    pub(super) fn named(&self, template: &str, name: &str) -> Option<&'a str> {
        let parameters = template.split('/').filter_map(parameter_name);
        let found = parameters.zip(self.0).find(|(parameter, _)| *parameter == name);
        found.map(|(_, value)| value)
    }
}

/// Finds the route of a method and a path as it was sent.
pub(super) fn find<'a>(method: &Method, path: &'a str) -> Result<(&'static ApiRoute, PathValues<'a>), ApiError> {
    let mut allowed = String::new();
    for route in ROUTES {
        let Some(values) = values(route.path, path) else {
            continue;
        };
        // The server leaves out the body of a response to HEAD.
        if route.method == method.as_str() || (route.method == "GET" && method == Method::HEAD) {
            return Ok((route, values));
        }
        let separator = if allowed.is_empty() { "" } else { "," };
        let methods = if route.method == "GET" {
            "GET,HEAD"
        } else {
            route.method
        };
        allowed.push_str(separator);
        allowed.push_str(methods);
    }
    if allowed.is_empty() {
        Err(ApiError::NoRoute)
    } else {
        Err(ApiError::WrongMethod(allowed))
    }
}

/// Values of a path that has the form of a template.
fn values<'a>(template: &str, path: &'a str) -> Option<PathValues<'a>> {
    let mut values = PathValues::default();
    let (mut free, mut segments) = (values.0.iter_mut(), path.split('/'));
    for expected in template.split('/') {
        let segment = segments.next()?;
        if parameter_name(expected).is_some() {
            if segment.is_empty() {
                return None;
            }
            *free.next()? = segment;
        } else if segment != expected {
            return None;
        }
    }
    segments.next().is_none().then_some(values)
}

fn parameter_name(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: &Method, path: &'static str) -> Option<(&'static str, &'static str)> {
        let (route, values) = find(method, path).ok()?;
        Some((route.operation_id, values.first()))
    }

    #[test]
    fn method_and_path_find_their_route_alone() {
        for (method, path, route) in [
            (
                Method::POST,
                "/v1/users/a%2Fb%20c/events",
                ("publishEvent", "a%2Fb%20c"),
            ),
            (Method::GET, "/v1/users/u/connections", ("listConnections", "u")),
            (Method::HEAD, "/v1/users/u/connections", ("listConnections", "u")),
            (Method::DELETE, "/v1/users/u/sessions", ("endSessions", "u")),
            (Method::POST, "/v1/events", ("publishEvents", "")),
        ] {
            assert_eq!(found(&method, path), Some(route), "{path}");
        }
        for path in [
            "/v1/users//events",
            "/v1/users/events",
            "/v1/users/u/events/",
            "/v1/users/u/v/events",
            "/v1/events/",
            "/v1/Users/u/events",
            "//v1/users/u/events",
            "v1/users/u/events",
            "/v1/users/u%2Fevents",
            "",
            "*",
        ] {
            assert_eq!(found(&Method::POST, path), None, "{path}");
        }
    }

    #[test]
    fn every_row_is_found_by_its_own_path() {
        for route in ROUTES {
            let method = Method::from_bytes(route.method.as_bytes()).unwrap();
            let (found, values) = find(&method, route.path).unwrap();
            assert_eq!(found.operation_id, route.operation_id);
            for name in route.path.split('/').filter_map(parameter_name) {
                assert_eq!(values.named(route.path, name), Some(format!("{{{name}}}").as_str()));
            }
            assert_eq!(values.named(route.path, "other"), None);
        }
    }

    #[test]
    fn wrong_method_names_those_of_the_path() {
        let Err(ApiError::WrongMethod(allowed)) = find(&Method::PATCH, "/v1/users/u/connections") else {
            panic!("the path has routes");
        };
        assert_eq!(allowed, "GET,HEAD");
    }
}
