//! What the simulator was asked: the counters by which a test proves that something happened once, or not at all.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    grant::Rotation,
    platform::{Platform, Route},
};

/// Everything that was asked since the start. Requests that a fault answered are counted too.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Ledger {
    requests: BTreeMap<Platform, BTreeMap<Route, u64>>,
    exchanges: BTreeMap<Platform, BTreeMap<String, u64>>,
    /// The revocations that reached the platform, in order.
    pub revocations: Vec<Revocation>,
    /// The refresh tokens that reached the platform, in order.
    pub refreshes: Vec<Refresh>,
}

/// One use of a refresh token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refresh {
    /// Which platform.
    pub platform: Platform,
    /// Whose it is; `None` if nothing of its family was left.
    pub login: Option<String>,
    /// The token that was presented.
    pub refresh_token: String,
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// What became of it.
    pub rotation: Rotation,
}

/// One revocation that reached the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Revocation {
    /// Which platform.
    pub platform: Platform,
    /// How much was to end.
    pub extent: Extent,
    /// The token that was given back.
    pub access_token: String,
    /// Whose it was; `None` if it was no live token.
    pub login: Option<String>,
}

/// How much a revocation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// One token.
    Token,
    /// Every token the application has of that account.
    Grant,
}

impl Ledger {
    /// How many requests came for this.
    pub fn requests(&self, platform: Platform, route: Route) -> u64 {
        self.requests
            .get(&platform)
            .and_then(|routes| routes.get(&route))
            .copied()
            .unwrap_or(0)
    }

    /// How often this code was presented for a token, accepted or not.
    pub fn exchanges(&self, platform: Platform, code: &str) -> u64 {
        self.exchanges
            .get(&platform)
            .and_then(|codes| codes.get(code))
            .copied()
            .unwrap_or(0)
    }

    pub(crate) fn count_request(&mut self, platform: Platform, route: Route) {
        *self.requests.entry(platform).or_default().entry(route).or_default() += 1;
    }

    pub(crate) fn count_exchange(&mut self, platform: Platform, code: &str) {
        *self
            .exchanges
            .entry(platform)
            .or_default()
            .entry(code.to_owned())
            .or_default() += 1;
    }
}
