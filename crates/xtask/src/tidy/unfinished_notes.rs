//! Notes for later in sources.

use super::finding::Finding;
use super::tree::{File, Tree};

/// Reports such notes in sources, comments included. Prose may name them.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files().filter(|file| is_source(file)) {
        for (index, line) in file.text.lines().enumerate() {
            let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            if let Some(note) = words.find(|word| NOTES.contains(word)) {
                let what = format!("`{note}` left about");
                findings.push(Finding::new(
                    &file.path,
                    index + 1,
                    what,
                    "do it, or file it as an issue",
                ));
            }
        }
    }
    findings
}

fn is_source(file: &File) -> bool {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let in_ci = file.path.starts_with(".ci/");
    in_ci
        || name
            .rsplit_once('.')
            .is_some_and(|(_, ending)| ENDINGS.contains(&ending))
}

const NOTES: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

const ENDINGS: [&str; 11] = [
    "rs", "toml", "lua", "sql", "sh", "js", "mjs", "ts", "yml", "yaml", "tpl",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_note_is_reported_in_sources_and_not_in_prose() {
        let [note, other, _] = NOTES;
        let tree = Tree::of([
            ("crates/bus/src/lib.rs", &format!("//! Bus.\n// {note}: think\n")),
            ("crates/bus/src/redis/publish.lua", &format!("-- ({other}) later\n")),
            (".ci/test", &format!("# {note}\n")),
            (
                "crates/bus/src/plain.rs",
                &format!("//! {note}S and MY_{note} are other words.\n"),
            ),
            ("docs/style.md", &format!("No {note}.\n")),
        ]);
        let found: Vec<(String, usize)> = check(&tree).into_iter().map(|found| (found.path, found.line)).collect();
        let expected = [
            ("crates/bus/src/lib.rs", 2),
            ("crates/bus/src/redis/publish.lua", 1),
            (".ci/test", 1),
        ];
        assert_eq!(found, expected.map(|(path, line)| (path.to_owned(), line)));
    }
}
