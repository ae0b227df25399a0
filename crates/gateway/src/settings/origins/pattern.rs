//! Pattern of one entry of the list of origins.

use url::{Host, Origin, Url};

use super::InvalidOrigin;

/// Origins matched by one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    /// Serialized origin.
    Exact(String),
    /// Subdomains of a domain at any depth, without the domain itself.
    Subdomains {
        /// `https://`
        scheme: String,
        /// `.example.com`, with a port other than the default one.
        parent: String,
    },
}

impl Pattern {
    pub(super) fn parse(entry: &str) -> Result<Self, InvalidOrigin> {
        let pattern = match entry.split_once("://") {
            None => (entry == OPAQUE).then(|| Self::Exact(OPAQUE.to_owned())),
            Some((scheme, rest)) if is_web(scheme) => match rest.strip_prefix("*.") {
                Some(domain) => subdomains(scheme, domain),
                None => serialized(entry).map(Self::Exact),
            },
            Some((scheme, rest)) => app_origin(scheme, rest).map(Self::Exact),
        };
        pattern.ok_or_else(|| InvalidOrigin(entry.to_owned()))
    }

    pub(super) fn matches(&self, header: &str) -> bool {
        match self {
            Self::Exact(origin) => origin == header,
            Self::Subdomains { scheme, parent } => header
                .strip_prefix(scheme.as_str())
                .and_then(|host| host.strip_suffix(parent.as_str()))
                .is_some_and(|labels| labels.split('.').all(is_label)),
        }
    }
}

/// Opaque origin of sandboxed frames, local files and other pages without a host (RFC 6454, section 6.2).
const OPAQUE: &str = "null";

/// Reports whether origins of this scheme are tuples of scheme, host and port (URL standard, section 4.7).
fn is_web(scheme: &str) -> bool {
    ["https", "http", "wss", "ws"]
        .iter()
        .any(|web| scheme.eq_ignore_ascii_case(web))
}

/// Serializes a web origin as browsers do, without the default port.
pub(super) fn serialized(entry: &str) -> Option<String> {
    let url = Url::parse(entry).ok()?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    match url.origin() {
        origin @ Origin::Tuple(..) if bare && !entry.contains('*') => Some(origin.ascii_serialization()),
        _ => None,
    }
}

/// Parses a wildcard below a domain of several labels, or below `localhost`. A wildcard below a top-level domain is rejected as a
/// mistake.
fn subdomains(scheme: &str, domain: &str) -> Option<Pattern> {
    let origin = format!("{scheme}://{domain}");
    let Some(Host::Domain(name)) = Url::parse(&origin).ok()?.host().map(|host| host.to_owned()) else {
        return None;
    };
    let too_wide = !name.trim_matches('.').contains('.') && name != "localhost";
    let origin = serialized(&origin).filter(|_| !too_wide)?;
    let (scheme, host) = origin.split_once("://")?;
    Some(Pattern::Subdomains {
        scheme: format!("{scheme}://"),
        parent: format!(".{host}"),
    })
}

/// Serializes the origin of an app: a web view (`capacitor://localhost`, `file://`) or an extension (`chrome-extension://abc`).
fn app_origin(scheme: &str, rest: &str) -> Option<String> {
    let scheme = scheme.to_ascii_lowercase();
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let host = rest.strip_suffix('/').unwrap_or(rest);
    let is_host = host
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"/*?#@\\".contains(&byte));
    let complete = !host.is_empty() || scheme == "file";
    (is_scheme && is_host && complete).then(|| format!("{scheme}://{host}"))
}

/// Reports whether a text is one host label as browsers write it.
fn is_label(label: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    !label.is_empty() && label.bytes().all(is_allowed)
}
