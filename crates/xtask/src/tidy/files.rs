//! Names and heads of Rust files.

use super::finding::Finding;
use super::tree::Tree;

/// Reports files that do not lex, lack a `//!` at their head, or are a `mod.rs`.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files() {
        let Some(tokens) = &file.tokens else { continue };
        if let Err(unreadable) = tokens {
            findings.push(Finding::new(
                &file.path,
                unreadable.line,
                "not readable as Rust",
                "close what was opened",
            ));
        }
        if !file.text.starts_with("//!") {
            findings.push(Finding::new(
                &file.path,
                1,
                "no `//!` at its head",
                "say in a sentence what the file holds",
            ));
        }
        if file.path.ends_with("/mod.rs") {
            let to_do = "put `name.rs` beside the folder `name/`";
            findings.push(Finding::new(&file.path, 1, "a `mod.rs` hides its name", to_do));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_head_and_mod_rs_are_reported() {
        let tree = Tree::of([
            ("crates/bus/src/lib.rs", "//! What nodes share.\n"),
            ("crates/bus/src/events.rs", "use std::fmt;\n"),
            ("crates/bus/src/redis/mod.rs", "//! Redis.\n"),
            ("crates/bus/src/limits.rs", "//! Limits.\nfn open( {\n"),
            ("crates/bus/src/redis/publish.lua", "-- no Rust\n"),
        ]);
        let found: Vec<(String, String)> = check(&tree).into_iter().map(|found| (found.path, found.what)).collect();
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|(path, what)| (path.as_str(), what.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("crates/bus/src/events.rs", "no `//!` at its head"),
                ("crates/bus/src/redis/mod.rs", "a `mod.rs` hides its name"),
                ("crates/bus/src/limits.rs", "not readable as Rust"),
            ]
        );
    }
}
