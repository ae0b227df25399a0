//! One entry of the list of origins.

use url::{Host, Origin, Url};

use super::InvalidOrigin;

/// What one entry lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    /// This origin, as it is serialized.
    Exact(String),
    /// The origins of all subdomains of a domain, however deep; not the domain's own.
    Subdomains {
        /// `https://`
        scheme: String,
        /// `.example.com`, with the port where it is not the default one.
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

/// The origin of sandboxed frames, local files and other pages without a host of their own (RFC 6454, section 6.2).
const OPAQUE: &str = "null";

/// Whether origins of this scheme are compared as scheme, host and port (URL standard, section 4.7).
fn is_web(scheme: &str) -> bool {
    ["https", "http", "wss", "ws"]
        .iter()
        .any(|web| scheme.eq_ignore_ascii_case(web))
}

/// An origin of the web as browsers write it: the default port left out.
pub(super) fn serialized(entry: &str) -> Option<String> {
    let url = Url::parse(entry).ok()?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    match url.origin() {
        origin @ Origin::Tuple(..) if bare && !entry.contains('*') => Some(origin.ascii_serialization()),
        _ => None,
    }
}

/// All below a domain of several labels, or below `localhost`: nobody means every site of a top-level domain.
fn subdomains(scheme: &str, domain: &str) -> Option<Pattern> {
    let origin = format!("{scheme}://{domain}");
    let Some(Host::Domain(name)) = Url::parse(&origin).ok()?.host().map(|host| host.to_owned()) else {
        return None;
    };
    let wide = !name.trim_matches('.').contains('.') && name != "localhost";
    let origin = serialized(&origin).filter(|_| !wide)?;
    let (scheme, host) = origin.split_once("://")?;
    Some(Pattern::Subdomains {
        scheme: format!("{scheme}://"),
        parent: format!(".{host}"),
    })
}

/// The origin of an app: of a web view (`capacitor://localhost`, `file://`), or of an extension (`chrome-extension://abc`).
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

/// Whether a text is one label of a host as browsers write it.
fn is_label(label: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    !label.is_empty() && label.bytes().all(is_letter)
}
