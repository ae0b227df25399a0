//! Requests that the simulator received: counters by which a test proves that something happened once, or not at all.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    grant::Rotation,
    platform::{Platform, Route},
};

/// Requests since the start, including those answered by a fault.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Ledger {
    requests: BTreeMap<Platform, BTreeMap<Route, u64>>,
    exchanges: BTreeMap<Platform, BTreeMap<String, u64>>,
    /// Revocations that reached the platform, in order.
    pub revocations: Vec<Revocation>,
    /// Refresh tokens that reached the platform, in order.
    pub refreshes: Vec<Refresh>,
}

/// Use of a refresh token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refresh {
    /// Platform.
    pub platform: Platform,
    /// Login of the owner; `None` if nothing of its family was left.
    pub login: Option<String>,
    /// Refresh token in the request.
    pub refresh_token: String,
    /// Time, in milliseconds since 1970.
    pub at: i64,
    /// Outcome.
    pub rotation: Rotation,
}

/// Revocation that reached the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Revocation {
    /// Platform.
    pub platform: Platform,
    /// Extent of the revocation.
    pub extent: Extent,
    /// Revoked token.
    pub access_token: String,
    /// Login of the owner; `None` if the token was invalid.
    pub login: Option<String>,
}

/// Extent of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// One token.
    Token,
    /// Every token of the application for that account.
    Grant,
}

impl Ledger {
    /// Number of requests to this route.
    pub fn requests(&self, platform: Platform, route: Route) -> u64 {
        self.requests
            .get(&platform)
            .and_then(|routes| routes.get(&route))
            .copied()
            .unwrap_or(0)
    }

    /// Number of requests to this platform.
    pub(crate) fn requests_to(&self, platform: Platform) -> u64 {
        self.requests.get(&platform).map_or(0, |routes| routes.values().sum())
    }

    /// Number of exchanges of this code, accepted or not.
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
