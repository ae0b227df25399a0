//! Routes of the platforms' APIs: a bounded set of names for metrics and spans.

use protocol::account::AccountType;
use url::Url;

/// Route of a platform: its path without host, query, ids and tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) platform: AccountType,
    /// Path below the base URL, as the platform documents it, with variables in braces: `/users/{id}/mentions`.
    pub(crate) template: &'static str,
}

impl Route {
    pub(crate) const fn new(platform: AccountType, template: &'static str) -> Self {
        Self { platform, template }
    }

    /// URL of a route that has no variables.
    pub(crate) fn below(self, base: &Url) -> Url {
        below(base, self.template.split('/').skip(1))
    }
}

/// URL with these segments appended to its path.
pub(crate) fn below<S: AsRef<str>>(url: &Url, segments: impl IntoIterator<Item = S>) -> Url {
    let mut url = url.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}
