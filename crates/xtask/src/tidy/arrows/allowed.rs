//! The table of arrows. A change here is a change of the architecture: docs/architecture.md draws the same.

/// A room and what it may know of the others.
#[derive(Debug)]
pub(in crate::tidy) struct Room {
    pub(in crate::tidy) name: &'static str,
    pub(in crate::tidy) knows: &'static [&'static str],
    /// Besides these, what its tests may know.
    pub(in crate::tidy) in_tests: &'static [&'static str],
}

impl Room {
    pub(in crate::tidy) fn may_know(&self, other: &str) -> bool {
        self.knows.contains(&other)
    }
}

const fn room(name: &'static str, knows: &'static [&'static str], in_tests: &'static [&'static str]) -> Room {
    Room { name, knows, in_tests }
}

/// Every member of the workspace, from the top down.
pub(in crate::tidy) const ALLOWED: &[Room] = &[
    room(
        "postern",
        &[
            "gateway",
            "worker",
            "simulator",
            "bus",
            "store",
            "platforms",
            "telemetry",
            "lifecycle",
            "protocol",
        ],
        &["testkit"],
    ),
    room("gateway", &["bus", "telemetry", "lifecycle", "protocol"], &["testkit"]),
    room(
        "worker",
        &["bus", "store", "platforms", "telemetry", "lifecycle", "protocol"],
        &["simulator", "testkit"],
    ),
    room("bus", &["lifecycle", "protocol"], &["testkit"]),
    room("store", &["lifecycle", "protocol"], &["testkit"]),
    room("platforms", &["lifecycle", "protocol"], &["simulator"]),
    room("telemetry", &["lifecycle"], &[]),
    room("lifecycle", &[], &[]),
    room("protocol", &[], &[]),
    room("simulator", &[], &[]),
    room("testkit", &[], &[]),
    room("fuzz", &["gateway", "platforms", "lifecycle", "protocol"], &[]),
    room("loadtest", &["protocol"], &[]),
    room("xtask", &[], &[]),
];
