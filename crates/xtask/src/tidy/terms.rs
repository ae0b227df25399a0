//! The field's terms, where a word of our own once stood: in identifiers, in what operators read, and in prose.

mod comments;
mod messages;
mod openings;
mod words;

use super::finding::Finding;
use super::token::{Kind, Token};
use super::tree::{File, Tree};

/// Identifiers, log and error messages, metric names, prose, and the first words of doc comments.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let rust = tree.rust().filter(|(file, _)| is_ours(file));
    let mut findings: Vec<Finding> = rust
        .flat_map(|(file, tokens)| {
            let names = identifiers(file, tokens);
            [names, messages::check(file, tokens), openings::check(file)].concat()
        })
        .collect();
    findings.extend(tree.files().filter(|file| is_ours(file)).flat_map(comments::check));
    findings
}

/// False for the rule itself, which must name what it refuses, and for applied migrations, whose text is checksummed.
fn is_ours(file: &File) -> bool {
    !file.path.starts_with("crates/xtask/src/tidy/terms") && !file.path.contains("/migrations/")
}

fn identifiers(file: &File, tokens: &[Token]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for token in tokens {
        let Kind::Word(name) = &token.kind else { continue };
        if FOREIGN.contains(&name.as_str()) {
            continue;
        }
        let Some((word, term)) = words::segments(name).find_map(|segment| words::refused(&segment)) else {
            continue;
        };
        let what = format!("`{name}` has the word `{word}`");
        findings.push(Finding::new(&file.path, token.line, what, format!("write: {term}")));
    }
    findings
}

/// Names that crates of others gave.
const FOREIGN: &[&str] = &[
    "block_in_place",
    "Form",
    "form",
    "form_urlencoded",
    "send_tls13_tickets",
    "tls13_tickets_received",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let mut found = check(&Tree::of([(path, text)]));
        found.sort();
        found
            .iter()
            .map(|finding| format!("{}: {}", finding.line, finding.what))
            .collect()
    }

    #[test]
    fn a_refused_word_is_found_in_any_identifier_whatever_its_case() {
        let text = "//! Head.\nfn poke_session(hold: u8) {\n    let HeardEvent { order } = RESUME_TICKET;\n}\n";
        assert_eq!(
            found("crates/bus/src/a.rs", text),
            [
                "2: `hold` has the word `hold`",
                "2: `poke_session` has the word `poke`",
                "3: `HeardEvent` has the word `heard`",
                "3: `RESUME_TICKET` has the word `ticket`",
                "3: `order` has the word `order`",
            ]
        );
    }

    #[test]
    fn words_that_only_contain_a_refused_one_are_free() {
        let text =
            "//! Head.\nfn threshold(ordering: Ordering, heartbeat: u8) { request.form(overflow); dead_letters(); }\n";
        assert_eq!(found("crates/bus/src/a.rs", text), [""; 0]);
    }

    #[test]
    fn what_operators_read_is_checked_and_what_tests_print_is_not() {
        let text = "//! Head.\nfn f() { tracing::warn!(%user, \"session poked\"); assert!(x, \"in order\"); }\n\
                    #[error(\"no room for {0}\")]\nstruct E(u8);\n";
        assert_eq!(
            found("crates/bus/src/a.rs", text),
            ["2: a message has the word `poked`", "3: a message has the word `room`"]
        );
    }

    #[test]
    fn coined_words_are_found_in_comments_and_pages_and_ordinary_ones_are_free() {
        assert_eq!(
            found("docs/x.md", "A place in the order.\nWhat was begun is given back.\n"),
            ["2: `begun` in prose", "2: `given back` in prose"]
        );
        assert_eq!(
            found(
                "crates/bus/src/a.lua",
                "-- Holds about ten.\n-- A courier.\nlocal hold = 1\n"
            ),
            ["2: `courier` in prose"]
        );
    }

    #[test]
    fn a_doc_comment_begins_with_what_it_documents() {
        let text =
            "//! What it is.\n/// Resume token of one socket.\nstruct A;\n/// Who is told.\n/// Of it.\nstruct B;\n";
        assert_eq!(
            found("crates/bus/src/a.rs", text),
            [
                "1: a doc comment begins with `What`",
                "4: a doc comment begins with `Who`"
            ]
        );
    }
}
