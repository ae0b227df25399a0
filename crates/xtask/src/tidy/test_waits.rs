//! Tests that sleep, or that are ignored.

use super::finding::Finding;
use super::token::{Kind, Token};
use super::tree::Tree;

/// Reports ignored tests, and sleeps in tests.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, tokens) in tree.rust() {
        for line in ignored(tokens) {
            findings.push(Finding::new(
                &file.path,
                line,
                "an ignored test",
                "repair it or remove it",
            ));
        }
        let of_testkit = file.path.starts_with("crates/testkit/src/");
        if of_testkit && MAY_SLEEP.iter().any(|home| file.path.starts_with(home)) {
            continue;
        }
        for line in sleeps(tokens, of_testkit) {
            let to_do = "wait for the condition, with a deadline, or pause the time";
            findings.push(Finding::new(&file.path, line, "a test sleeps", to_do));
        }
    }
    findings
}

/// Modules of testkit that wait for conditions or slow a connection down.
const MAY_SLEEP: [&str; 2] = ["crates/testkit/src/wait", "crates/testkit/src/chaos"];

fn ignored(tokens: &[Token]) -> impl Iterator<Item = usize> {
    tokens.windows(3).filter_map(|window| match window {
        [hash, open, ignore] if hash.is_mark('#') && open.is_mark('[') && ignore.is_word("ignore") => Some(ignore.line),
        _ => None,
    })
}

/// Sleeps in paused time are exact and take none, so a test that starts with its time paused may have them.
fn sleeps(tokens: &[Token], all_are_tests: bool) -> Vec<usize> {
    let mut lines = Vec::new();
    let mut paused = false;
    for window in tokens.windows(2) {
        let [token, next] = window else { continue };
        if token.is_word("test") && (next.is_mark(']') || next.is_mark('(')) {
            paused = false;
        } else if token.is_word("start_paused") {
            paused = true;
        }
        let calls = next.is_mark('(') && matches!(&token.kind, Kind::Word(name) if SLEEPS.contains(&name.as_str()));
        if calls && !paused && (all_are_tests || token.in_test) {
            lines.push(token.line);
        }
    }
    lines
}

const SLEEPS: [&str; 2] = ["sleep", "sleep_until"];

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Tree::of([(path, text)]))
            .into_iter()
            .map(|finding| finding.line)
            .collect()
    }

    const SLEEPY: &str = "//! Head.\n#[tokio::test]\nasync fn t() {\n    tokio::time::sleep(LONG).await;\n}\n";

    #[test]
    fn a_test_that_sleeps_is_found() {
        assert_eq!(lines("crates/bus/tests/it/events.rs", SLEEPY), [4]);
        assert_eq!(lines("crates/testkit/src/client.rs", SLEEPY), [4]);
    }

    #[test]
    fn paused_tests_and_product_code_may_sleep() {
        assert!(lines("crates/bus/src/redis/probe.rs", SLEEPY).is_empty());
        assert!(lines("crates/testkit/src/wait.rs", SLEEPY).is_empty());
        let paused = SLEEPY.replace("test]", "test(start_paused = true)]");
        assert!(lines("crates/bus/tests/it/events.rs", &paused).is_empty());
    }

    #[test]
    fn a_paused_test_does_not_excuse_the_next() {
        let paused = SLEEPY.replace("test]", "test(start_paused = true)]");
        assert_eq!(
            lines("crates/bus/tests/it/events.rs", &format!("{paused}{SLEEPY}")),
            [9]
        );
    }

    #[test]
    fn an_ignored_test_is_found() {
        assert_eq!(
            lines(
                "crates/bus/tests/it/events.rs",
                "//! Head.\n#[test]\n#[ignore = \"slow\"]\nfn t() {}\n"
            ),
            [3]
        );
    }
}
