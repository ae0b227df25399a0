//! Fault plan: faults for one platform and route each, used in the order in which they were added.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::platform::{Platform, Route};

/// Fault that waits for its requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Platform of the fault.
    pub platform: Platform,
    /// Route of the fault.
    pub route: Route,
    /// Number of requests that it affects; one if missing.
    #[serde(default)]
    pub times: Times,
    /// Share of the requests that it affects, in a thousandth, chosen by the simulator's seed; all if missing. The other requests
    /// go on to the faults behind it.
    #[serde(default = "all")]
    pub per_mille: u32,
    /// Effect on the request.
    #[serde(flatten)]
    pub kind: Kind,
}

/// Number of requests that a fault affects, or `"forever"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Times {
    /// All requests until the faults are cleared.
    Forever,
    /// Number of requests.
    #[serde(untagged)]
    Count(u32),
}

impl Default for Times {
    fn default() -> Self {
        Self::Count(1)
    }
}

/// Effect of a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// The request is served late.
    Latency {
        /// Delay.
        milliseconds: u64,
    },
    /// The work is done; the answer waits until a test releases it, and is listed meanwhile.
    AwaitRelease,
    /// The work is done; no answer is sent, and the connection stays open.
    Hang,
    /// The work is done; the connection is closed without an answer.
    DropResponse,
    /// No work is done; the answer is this one.
    Status {
        /// HTTP status.
        status: u16,
        /// Headers by name.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// Body.
        #[serde(default)]
        body: String,
    },
    /// No work is done; the caller is redirected with 307, which keeps method and body.
    Redirect {
        /// `Location` header.
        location: String,
    },
    /// No work is done; the answer is a 200 with the media type of JSON and a body that is no text.
    Garbage,
    /// No work is done; the answer is a 200 with a very large JSON text, sent in chunks without a length.
    HugeBody {
        /// Size in bytes.
        bytes: usize,
    },
    /// No work is done; the answer is the platform's "too many requests".
    Throttle {
        /// Limit that was reached.
        limit: Limit,
        /// Seconds until it ends.
        seconds: u32,
    },
    /// The user of the authorize page refuses. On other routes it has no effect.
    Deny,
}

/// Kind of rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Limit per window: nothing remains until the window ends.
    Primary,
    /// Limit against bursts and abuse, with the seconds to wait.
    Secondary,
}

impl Fault {
    /// Fault for the next request of this route.
    pub fn once(platform: Platform, route: Route, kind: Kind) -> Self {
        Self {
            platform,
            route,
            times: Times::Count(1),
            per_mille: all(),
            kind,
        }
    }

    /// Fault for every request of this route, until the faults are cleared.
    pub fn forever(platform: Platform, route: Route, kind: Kind) -> Self {
        Self {
            platform,
            route,
            times: Times::Forever,
            per_mille: all(),
            kind,
        }
    }

    /// Fault for a share of the requests of this route, until the faults are cleared.
    pub fn sometimes(platform: Platform, route: Route, kind: Kind, per_mille: u32) -> Self {
        Self {
            per_mille,
            ..Self::forever(platform, route, kind)
        }
    }
}

fn all() -> u32 {
    1_000
}

/// Remaining faults, in the order in which they were added.
#[derive(Debug)]
pub(crate) struct Plan {
    faults: Vec<Fault>,
    chance: Chance,
}

impl Plan {
    /// Empty plan; faults with a share choose their requests by `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            faults: Vec::new(),
            chance: Chance { seed, drawn: 0 },
        }
    }

    pub(crate) fn add(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.faults.clear();
    }

    pub(crate) fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Takes the fault of the next request of this route.
    pub(crate) fn take(&mut self, platform: Platform, route: Route) -> Option<Kind> {
        self.faults.retain(|fault| fault.times != Times::Count(0));
        let chance = &mut self.chance;
        let mut here = self
            .faults
            .iter_mut()
            .filter(|fault| (fault.platform, fault.route) == (platform, route));
        let fault = here.find(|fault| fault.per_mille >= all() || chance.draw() < fault.per_mille)?;
        if let Times::Count(left) = &mut fault.times {
            *left -= 1;
        }
        Some(fault.kind.clone())
    }
}

/// Generator of repeatable random numbers.
#[derive(Debug)]
struct Chance {
    seed: u64,
    drawn: u64,
}

impl Chance {
    /// Number below 1,000.
    fn draw(&mut self) -> u32 {
        self.drawn += 1;
        let digest = Sha256::new()
            .chain_update("chance")
            .chain_update(self.seed.to_be_bytes())
            .chain_update(self.drawn.to_be_bytes());
        let [a, b, c, d, ..] = <[u8; 32]>::from(digest.finalize());
        u32::from_be_bytes([a, b, c, d]) % all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_apply_in_sequence_and_only_as_often_as_set() {
        let mut plan = Plan::new(7);
        let fault = |times, kind| Fault {
            platform: Platform::Github,
            route: Route::Token,
            times,
            per_mille: all(),
            kind,
        };
        plan.add(fault(Times::Count(2), Kind::Garbage));
        plan.add(fault(Times::Forever, Kind::Hang));
        assert_eq!(
            plan.take(Platform::Github, Route::Profile),
            None,
            "another route is left alone"
        );
        let taken: Vec<_> = (0..4)
            .map(|_| plan.take(Platform::Github, Route::Token).unwrap())
            .collect();
        assert_eq!(taken, [Kind::Garbage, Kind::Garbage, Kind::Hang, Kind::Hang]);
    }

    #[test]
    fn fault_with_a_share_affects_the_same_requests_for_the_same_seed() {
        let met = |seed| {
            let mut plan = Plan::new(seed);
            let drop = Fault::sometimes(Platform::Github, Route::Token, Kind::DropResponse, 10);
            plan.add(drop);
            let requests = 0..20_000;
            let met = requests.filter(|_| plan.take(Platform::Github, Route::Token).is_some());
            met.collect::<Vec<_>>()
        };
        assert!((100..300).contains(&met(7).len()), "{}", met(7).len());
        assert_eq!(met(7), met(7));
        assert_ne!(met(7), met(8));
    }

    #[test]
    fn a_fault_reads_as_its_documented_json() {
        let fault: Fault = serde_json::from_str(
            r#"{"platform":"github","route":"token","kind":"latency","milliseconds":5,"times":"forever"}"#,
        )
        .unwrap();
        assert_eq!(
            fault,
            Fault::forever(Platform::Github, Route::Token, Kind::Latency { milliseconds: 5 })
        );
        let once: Fault = serde_json::from_str(r#"{"platform":"github","route":"profile","kind":"garbage"}"#).unwrap();
        assert_eq!(once, Fault::once(Platform::Github, Route::Profile, Kind::Garbage));
    }
}
