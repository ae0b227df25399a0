//! Allowed browser origins.

mod pattern;
#[cfg(test)]
mod tests;

use url::{Host, Url};

use self::pattern::{Pattern, serialized};

/// Allowed browser origins. A client without an `Origin` header is not a browser and always allowed: the header protects the users of
/// browsers from foreign pages (cross-site WebSocket hijacking), it authenticates nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    listed: Vec<Pattern>,
    loopback: bool,
}

/// Error for an entry that is neither an origin nor a pattern of origins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an origin such as https://app.example.com, https://*.example.com (subdomains), capacitor://localhost or null"
)]
pub struct InvalidOrigin(pub String);

impl Origins {
    /// Allows no browser origin.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Parses a list such as `https://app.example.com, https://*.example.com:8443, capacitor://localhost, null`.
    ///
    /// # Errors
    /// [`InvalidOrigin`] for an entry that is not exactly scheme, host and port, or has a wildcard that is not the whole first label
    /// of the host.
    pub fn parse(list: &str) -> Result<Self, InvalidOrigin> {
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let listed = entries.map(Pattern::parse).collect::<Result<_, _>>()?;
        Ok(Self {
            listed,
            loopback: false,
        })
    }

    /// Allows loopback origins as well, for development.
    #[must_use]
    pub fn with_loopback(self) -> Self {
        Self { loopback: true, ..self }
    }

    /// Reports whether this `Origin` header is allowed. Browsers send the serialization of RFC 6454, section 6.2, in lower case, and
    /// only that matches.
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
