//! What can be made to go wrong: a plan of faults, each for one platform and route, taken in the order they were set.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::platform::{Platform, Route};

/// A fault that waits for its requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The platform it is for.
    pub platform: Platform,
    /// The route it is for.
    pub route: Route,
    /// How many requests it meets; one when left out.
    #[serde(default)]
    pub times: Times,
    /// How many of a thousand requests it meets, as the simulator's seed picks them; all when left out. The others go on to the
    /// faults behind it.
    #[serde(default = "all")]
    pub per_mille: u32,
    /// What it does to them.
    #[serde(flatten)]
    pub kind: Kind,
}

/// How many requests a fault meets: a number, or `"forever"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Times {
    /// Until the faults are cleared.
    Forever,
    /// So many requests.
    #[serde(untagged)]
    Count(u32),
}

impl Default for Times {
    fn default() -> Self {
        Self::Count(1)
    }
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// It is served late.
    Latency {
        /// How late.
        milliseconds: u64,
    },
    /// Its work is done; the answer waits until it is released, and is listed as held meanwhile.
    AwaitRelease,
    /// Its work is done; the answer never comes, and the connection stays open.
    Hang,
    /// Its work is done; the connection is closed without an answer.
    DropResponse,
    /// No work is done; the answer is this one.
    Status {
        /// The HTTP status.
        status: u16,
        /// Headers by name.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// The body.
        #[serde(default)]
        body: String,
    },
    /// No work is done; the caller is sent elsewhere with 307, which keeps method and body.
    Redirect {
        /// The `Location` header.
        location: String,
    },
    /// No work is done; the answer is a 200 that claims to be JSON and is not even text.
    Garbage,
    /// No work is done; the answer is a 200 of well-formed but endless-looking JSON, sent in chunks without a length.
    HugeBody {
        /// How many bytes it has.
        bytes: usize,
    },
    /// No work is done; the answer is how this platform says "too many requests".
    Throttle {
        /// Which limit was hit.
        limit: Limit,
        /// When it is over.
        seconds: u32,
    },
    /// On the authorize page: the person says no. Other routes have no person to ask; it does nothing there.
    Deny,
}

/// Which of a platform's limits was hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// The counted one: nothing remains until the window ends.
    Primary,
    /// The one against bursts and abuse, which names the seconds to wait.
    Secondary,
}

impl Fault {
    /// A fault for the next request of this route.
    pub fn once(platform: Platform, route: Route, kind: Kind) -> Self {
        Self {
            platform,
            route,
            times: Times::Count(1),
            per_mille: all(),
            kind,
        }
    }

    /// A fault for every request of this route, until the faults are cleared.
    pub fn forever(platform: Platform, route: Route, kind: Kind) -> Self {
        Self {
            platform,
            route,
            times: Times::Forever,
            per_mille: all(),
            kind,
        }
    }

    /// A fault for so many of a thousand requests of this route, until the faults are cleared.
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

/// The faults still to come, in the order they were set.
#[derive(Debug)]
pub(crate) struct Plan {
    faults: Vec<Fault>,
    chance: Chance,
}

impl Plan {
    /// No faults yet; whom those of chance meet will follow from `seed`.
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

    /// What happens to the next request of this route; used up by asking.
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

/// Draws that a seed repeats.
#[derive(Debug)]
struct Chance {
    seed: u64,
    drawn: u64,
}

impl Chance {
    /// A number below 1,000.
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
    fn faults_come_in_order_and_only_as_often_as_they_were_asked_for() {
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
    fn a_fault_of_chance_meets_its_share_and_the_same_ones_again() {
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
