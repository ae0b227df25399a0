//! Groups of the key exchange of TLS (RFC 8446, section 4.2.7).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};

/// Groups that a gateway accepts, the preferred one first; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsGroups(Vec<TlsGroup>);

/// Group of the key exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TlsGroup {
    /// Hybrid of X25519 and ML-KEM-768: recorded traffic stays secret from a quantum computer.
    X25519MlKem768,
    X25519,
    Secp256r1,
    Secp384r1,
}

impl TlsGroup {
    const ALL: [Self; 4] = [Self::X25519MlKem768, Self::X25519, Self::Secp256r1, Self::Secp384r1];

    /// Name in IANA's registry of TLS groups.
    fn name(self) -> &'static str {
        match self {
            Self::X25519MlKem768 => "X25519MLKEM768",
            Self::X25519 => "x25519",
            Self::Secp256r1 => "secp256r1",
            Self::Secp384r1 => "secp384r1",
        }
    }

    fn key_exchange(self) -> &'static dyn SupportedKxGroup {
        match self {
            Self::X25519MlKem768 => kx_group::X25519MLKEM768,
            Self::X25519 => kx_group::X25519,
            Self::Secp256r1 => kx_group::SECP256R1,
            Self::Secp384r1 => kx_group::SECP384R1,
        }
    }
}

/// Error of a list of groups.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTlsGroups {
    /// An entry names no supported group.
    #[error("`{0}` is none of the groups X25519MLKEM768, x25519, secp256r1 and secp384r1")]
    Unknown(String),
    /// An entry occurs twice.
    #[error("`{0}` is listed twice")]
    Repeated(String),
    /// The list has no entry.
    #[error("at least one group is needed, such as X25519MLKEM768")]
    Empty,
}

impl TlsGroups {
    /// Provider of cryptography that has these groups alone.
    pub(crate) fn provider(&self) -> Arc<CryptoProvider> {
        Arc::new(CryptoProvider {
            kx_groups: self.0.iter().map(|group| group.key_exchange()).collect(),
            ..default_provider()
        })
    }
}

impl Default for TlsGroups {
    fn default() -> Self {
        Self(TlsGroup::ALL.to_vec())
    }
}

/// Reads names of IANA's registry in any case, separated by commas.
impl FromStr for TlsGroups {
    type Err = InvalidTlsGroups;

    fn from_str(list: &str) -> Result<Self, InvalidTlsGroups> {
        let mut groups = Vec::new();
        for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let mut all = TlsGroup::ALL.into_iter();
            let group = all
                .find(|group| group.name().eq_ignore_ascii_case(entry))
                .ok_or_else(|| InvalidTlsGroups::Unknown(entry.to_owned()))?;
            if groups.contains(&group) {
                return Err(InvalidTlsGroups::Repeated(entry.to_owned()));
            }
            groups.push(group);
        }
        if groups.is_empty() {
            return Err(InvalidTlsGroups::Empty);
        }
        Ok(Self(groups))
    }
}

impl fmt::Display for TlsGroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|group| group.name()).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_is_read_in_sequence_and_in_any_case() {
        let groups: TlsGroups = "X25519, secp256R1,x25519mlkem768,".parse().unwrap();
        assert_eq!(groups.to_string(), "x25519,secp256r1,X25519MLKEM768");
        let names: Vec<_> = groups.provider().kx_groups.iter().map(|group| group.name()).collect();
        assert_eq!(
            names,
            [
                rustls::NamedGroup::X25519,
                rustls::NamedGroup::secp256r1,
                rustls::NamedGroup::X25519MLKEM768
            ]
        );
    }

    #[test]
    fn default_prefers_the_hybrid_group() {
        let default = TlsGroups::default();
        assert_eq!(default.to_string(), "X25519MLKEM768,x25519,secp256r1,secp384r1");
        assert_eq!(default.to_string().parse::<TlsGroups>(), Ok(default));
    }

    #[test]
    fn unknown_repeated_and_missing_groups_are_refused() {
        let refused = |list: &str| list.parse::<TlsGroups>().unwrap_err();
        // Not one of the list alone: a misspelt first entry must not move the preference to the second.
        assert_eq!(
            refused("X25519MLKEM768,x448"),
            InvalidTlsGroups::Unknown("x448".to_owned())
        );
        assert_eq!(
            refused("x25519,X25519"),
            InvalidTlsGroups::Repeated("X25519".to_owned())
        );
        assert_eq!(refused(" , "), InvalidTlsGroups::Empty);
    }
}
