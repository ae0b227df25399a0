//! Which pages may open a socket from a browser.

mod pattern;
#[cfg(test)]
mod tests;

use url::{Host, Url};

use self::pattern::{Pattern, serialized};

/// The browser origins that are let in. A client without an `Origin` header is no browser and is let in always: the header
/// protects a browser's user from other pages (cross-site WebSocket hijacking), it proves nothing about anyone else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    listed: Vec<Pattern>,
    loopback: bool,
}

/// A text that is no origin, nor a pattern of origins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no origin such as https://app.example.com, https://*.example.com (subdomains), capacitor://localhost or null"
)]
pub struct InvalidOrigin(pub String);

impl Origins {
    /// No browser origin is let in.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Takes a list such as `https://app.example.com, https://*.example.com:8443, capacitor://localhost, null`.
    ///
    /// # Errors
    /// [`InvalidOrigin`] for an entry that is more or less than scheme, host and port, or has a wildcard that is not all of the
    /// host's first label.
    pub fn parse(list: &str) -> Result<Self, InvalidOrigin> {
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let listed = entries.map(Pattern::parse).collect::<Result<_, _>>()?;
        Ok(Self {
            listed,
            loopback: false,
        })
    }

    /// Lets in every page of this machine as well: for development.
    #[must_use]
    pub fn with_loopback(self) -> Self {
        Self { loopback: true, ..self }
    }

    /// Whether this `Origin` header is let in. Browsers send the serialization of RFC 6454, section 6.2, in lower case; nothing
    /// else is taken for equal.
    #[must_use]
    pub fn allows(&self, header: &str) -> bool {
        self.listed.iter().any(|listed| listed.matches(header)) || (self.loopback && is_loopback(header))
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
    local && serialized(header).is_some_and(|written| written == header)
}
