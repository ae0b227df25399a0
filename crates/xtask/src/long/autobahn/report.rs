//! Report of `wstest`: the behaviour of the server in each case.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde_json::Value;

/// Behaviours by case id, such as `6.12.1`.
pub(super) struct Report(BTreeMap<String, String>);

impl Report {
    /// Parses `index.json`: an object of agents, each an object of cases.
    pub(super) fn parse(index: &str) -> anyhow::Result<Self> {
        let index: Value = serde_json::from_str(index).context("parse the report of wstest")?;
        let agents = index.as_object().context("the report of wstest is not an object")?;
        let mut behaviours = BTreeMap::new();
        for (case, result) in agents.values().filter_map(Value::as_object).flatten() {
            let behaviour = result["behavior"].as_str();
            let behaviour = behaviour.with_context(|| format!("case {case} has no behaviour"))?;
            behaviours.insert(case.clone(), behaviour.to_owned());
        }
        Ok(Self(behaviours))
    }

    /// Reports whether every case has an accepted behaviour and every group has cases.
    pub(super) fn passed(&self, groups: &[&str]) -> bool {
        self.refused().next().is_none() && self.missing(groups).next().is_none()
    }

    /// Returns the failed cases, the groups without cases, and the number of cases per behaviour.
    pub(super) fn lines(&self, groups: &[&str]) -> impl Iterator<Item = String> {
        let failed = self
            .refused()
            .map(|(case, behaviour)| format!("case {case}: {behaviour}"));
        let missing = self
            .missing(groups)
            .map(|group| format!("group {group}: no case was run"));
        let mut counts = BTreeMap::new();
        for behaviour in self.0.values() {
            *counts.entry(behaviour).or_insert(0) += 1;
        }
        let counts = counts.iter().map(|(behaviour, count)| format!("{behaviour}: {count}"));
        let lines: Vec<String> = failed.chain(missing).chain(counts).collect();
        lines.into_iter()
    }

    fn refused(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0
            .iter()
            .filter(|(_, behaviour)| !ACCEPTED.contains(&behaviour.as_str()))
    }

    fn missing<'a>(&'a self, groups: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
        let has_cases = |group: &str| self.0.keys().any(|case| case.split('.').next() == Some(group));
        groups.iter().copied().filter(move |group| !has_cases(group))
    }
}

/// Behaviours that conform to RFC 6455 and RFC 7692.
const ACCEPTED: [&str; 3] = ["OK", "NON-STRICT", "INFORMATIONAL"];

#[cfg(test)]
mod tests {
    use super::*;

    fn index(behaviour: &str) -> String {
        format!(
            r#"{{ "postern": {{
                "1.1.1": {{ "behavior": "OK", "behaviorClose": "OK", "duration": 2, "remoteCloseCode": 1000, "reportfile": "a.json" }},
                "6.4.1": {{ "behavior": "NON-STRICT", "behaviorClose": "OK", "duration": 2, "remoteCloseCode": 1007, "reportfile": "b.json" }},
                "7.13.1": {{ "behavior": "INFORMATIONAL", "behaviorClose": "INFORMATIONAL", "duration": 2, "remoteCloseCode": null, "reportfile": "c.json" }},
                "13.1.1": {{ "behavior": "{behaviour}", "behaviorClose": "OK", "duration": 9, "remoteCloseCode": 1000, "reportfile": "d.json" }}
            }} }}"#
        )
    }

    #[test]
    fn conforming_behaviours_pass() {
        let report = Report::parse(&index("OK")).unwrap();
        assert!(report.passed(&["1", "6", "7", "13"]));
        let lines: Vec<String> = report.lines(&["1"]).collect();
        assert_eq!(lines, ["INFORMATIONAL: 1", "NON-STRICT: 1", "OK: 2"]);
    }

    #[test]
    fn any_other_behaviour_fails_and_names_its_case() {
        for behaviour in [
            "FAILED",
            "WRONG CODE",
            "UNCLEAN",
            "FAILED BY CLIENT",
            "UNIMPLEMENTED",
            "",
        ] {
            let report = Report::parse(&index(behaviour)).unwrap();
            assert!(!report.passed(&["1"]), "{behaviour}");
            let first = report.lines(&["1"]).next().unwrap();
            assert_eq!(first, format!("case 13.1.1: {behaviour}"));
        }
    }

    #[test]
    fn group_without_cases_fails() {
        let report = Report::parse(&index("OK")).unwrap();
        assert!(!report.passed(&["1", "3"]));
        assert_eq!(report.lines(&["1", "3"]).next().unwrap(), "group 3: no case was run");
        assert!(!Report::parse("{}").unwrap().passed(&["1"]));
    }

    #[test]
    fn malformed_report_is_an_error() {
        for text in ["", "[]", r#"{ "postern": { "1.1.1": {} } }"#] {
            assert!(Report::parse(text).is_err(), "{text}");
        }
    }
}
