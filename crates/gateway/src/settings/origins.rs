//! Which pages may open a socket from a browser.

use url::{Host, Origin, Url};

/// The browser origins that are let in. A client without an `Origin` header is no browser and is let in always: the header
/// protects a browser's user from other pages (cross-site WebSocket hijacking), it proves nothing about anyone else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    listed: Vec<String>,
    loopback: bool,
}

/// A text that is no web origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no origin such as https://app.example.com")]
pub struct InvalidOrigin(pub String);

impl Origins {
    /// No browser origin is let in.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Takes a list such as `https://app.example.com, https://admin.example.com:8443`.
    ///
    /// # Errors
    /// [`InvalidOrigin`] for an entry that is more or less than scheme, host and port.
    pub fn parse(list: &str) -> Result<Self, InvalidOrigin> {
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let listed = entries.map(serialized).collect::<Result<_, _>>()?;
        Ok(Self {
            listed,
            loopback: false,
        })
    }

    /// Lets in every page of this machine as well: for development.
    #[must_use]
    pub fn and_loopback(self) -> Self {
        Self { loopback: true, ..self }
    }

    /// Whether this `Origin` header is let in. Browsers send the serialization of RFC 6454, section 6.2, in lower case; nothing
    /// else is taken for equal.
    #[must_use]
    pub fn allows(&self, header: &str) -> bool {
        self.listed.iter().any(|listed| listed == header) || (self.loopback && is_loopback(header))
    }
}

/// An origin as browsers write it: the default port left out.
fn serialized(entry: &str) -> Result<String, InvalidOrigin> {
    let invalid = || InvalidOrigin(entry.to_owned());
    let url = Url::parse(entry).map_err(|_no_url| invalid())?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    match url.origin() {
        origin @ Origin::Tuple(..) if bare => Ok(origin.ascii_serialization()),
        _ => Err(invalid()),
    }
}

fn is_loopback(header: &str) -> bool {
    let Ok(url) = Url::parse(header) else { return false };
    let local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    local && serialized(header).is_ok_and(|written| written == header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_let_in_when_it_is_exactly_one_of_the_list() {
        let origins =
            Origins::parse("https://app.example.com, https://admin.example.com:8443/, https://a.example:443").unwrap();
        for allowed in [
            "https://app.example.com",
            "https://admin.example.com:8443",
            "https://a.example",
        ] {
            assert!(origins.allows(allowed), "{allowed}");
        }
        for foreign in [
            "null",
            "",
            "https://evil.com",
            "http://app.example.com",
            "https://app.example.com:444",
            "https://app.example.com.evil.com",
            "HTTPS://APP.EXAMPLE.COM",
            "https://app.example.com/",
            "http://localhost:3000",
        ] {
            assert!(!origins.allows(foreign), "{foreign}");
        }
    }

    #[test]
    fn loopback_is_let_in_where_it_is_asked_for() {
        let origins = Origins::none().and_loopback();
        for local in ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:8080"] {
            assert!(origins.allows(local), "{local}");
        }
        for foreign in [
            "http://localhost.evil.com",
            "https://example.com",
            "null",
            "http://LOCALHOST",
        ] {
            assert!(!origins.allows(foreign), "{foreign}");
        }
    }

    #[test]
    fn an_entry_that_is_no_origin_is_refused() {
        for bad in [
            "app.example.com",
            "https://",
            "https://a.example/path",
            "null",
            "data:x",
            "https://me@a.example",
        ] {
            assert!(Origins::parse(bad).is_err(), "{bad}");
        }
    }
}
