//! Allowed dependencies. A change here is a change of the architecture: docs/architecture.md draws the same.

/// A crate and the other crates of the workspace that it may use.
#[derive(Debug)]
pub(in crate::tidy) struct CrateRule {
    pub(in crate::tidy) name: &'static str,
    pub(in crate::tidy) depends_on: &'static [&'static str],
    /// Further crates that its tests may use.
    pub(in crate::tidy) in_tests: &'static [&'static str],
}

impl CrateRule {
    pub(in crate::tidy) fn may_depend_on(&self, other: &str) -> bool {
        self.depends_on.contains(&other)
    }
}

const fn rule(name: &'static str, depends_on: &'static [&'static str], in_tests: &'static [&'static str]) -> CrateRule {
    CrateRule {
        name,
        depends_on,
        in_tests,
    }
}

/// All members of the workspace, from the top down.
pub(in crate::tidy) const ALLOWED: &[CrateRule] = &[
    rule(
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
        &["reference", "testkit"],
    ),
    rule(
        "gateway",
        &["bus", "jwks", "telemetry", "lifecycle", "protocol"],
        &["testkit"],
    ),
    rule(
        "worker",
        &["bus", "store", "platforms", "telemetry", "lifecycle", "protocol"],
        &["simulator", "testkit"],
    ),
    rule("bus", &["telemetry", "lifecycle", "protocol"], &["testkit"]),
    rule("store", &["telemetry", "lifecycle", "protocol"], &["testkit"]),
    rule(
        "platforms",
        &["jwks", "telemetry", "lifecycle", "protocol"],
        &["simulator", "testkit"],
    ),
    rule("jwks", &["telemetry", "lifecycle", "protocol"], &["testkit"]),
    rule("telemetry", &["lifecycle", "protocol"], &["testkit"]),
    rule("lifecycle", &[], &[]),
    rule("protocol", &[], &[]),
    rule("simulator", &[], &[]),
    rule("testkit", &[], &[]),
    rule("fuzz", &["gateway", "platforms", "lifecycle", "protocol"], &[]),
    rule("reference", &["protocol"], &[]),
    rule("loadtest", &["protocol"], &["testkit"]),
    rule("xtask", &[], &[]),
];
