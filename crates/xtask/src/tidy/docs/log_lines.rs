//! Log lines that the operators' page quotes: each is one that a node can write.

use crate::tidy::finding::Finding;
use crate::tidy::token::Token;
use crate::tidy::tree::Tree;

const PAGE: &str = "docs/operations/running.md";

/// Each code span that follows `log`, `logs` or `logged` on the page is part of a text in the code.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(page) = tree.file(PAGE) else { return Vec::new() };
    let texts: Vec<&str> = tree.rust().flat_map(|(_, tokens)| texts(tokens)).collect();
    let mut findings = Vec::new();
    for (index, line) in page.text.lines().enumerate() {
        for quoted in quoted(line).filter(|quoted| !texts.iter().any(|text| text.contains(quoted))) {
            let what = format!("no node logs `{quoted}`");
            findings.push(Finding::new(PAGE, index + 1, what, "quote a line that exists"));
        }
    }
    findings
}

fn texts(tokens: &[Token]) -> impl Iterator<Item = &str> {
    tokens.iter().filter(|token| !token.in_test).filter_map(Token::text)
}

/// Code spans after the verb, those joined to it by `or`, `and` or a comma included.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    let mut spans = line.split('`');
    let mut before = spans.next().unwrap_or_default();
    let mut is_log_line = false;
    std::iter::from_fn(move || {
        let span = spans.next()?;
        let joined = is_log_line && JOINTS.contains(&before.trim());
        is_log_line = joined
            || before
                .split_whitespace()
                .next_back()
                .is_some_and(|word| VERBS.contains(&word));
        before = spans.next().unwrap_or_default();
        Some((span, is_log_line))
    })
    .filter_map(|(span, is_log_line)| is_log_line.then_some(span))
}

const VERBS: [&str; 3] = ["log", "logs", "logged"];

const JOINTS: [&str; 3] = ["or", "and", ","];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_line_that_no_node_writes_is_found() {
        let page = "workers log `redis is away` or `redis is back`, see `other`\n| gateways log `gone` | |\n";
        let tree = Tree::of([
            (PAGE, page),
            (
                "crates/bus/src/a.rs",
                "//! A.\nfn f() { warn!(\"redis is away, retrying\"); }\n",
            ),
        ]);
        let found: Vec<(usize, String)> = check(&tree).into_iter().map(|found| (found.line, found.what)).collect();
        let expected = [(1, "no node logs `redis is back`"), (2, "no node logs `gone`")];
        assert_eq!(found, expected.map(|(line, what)| (line, what.to_owned())));
    }
}
