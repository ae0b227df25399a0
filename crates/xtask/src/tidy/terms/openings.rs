//! First words of doc comments: a noun phrase or a verb in the third person.

use super::words;
use crate::tidy::finding::Finding;
use crate::tidy::tree::File;

/// No doc comment begins with a pronoun, a question word or a preposition.
pub(super) fn check(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut continues = false;
    for (index, line) in file.text.lines().enumerate() {
        let line = line.trim_start();
        let comment = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
        if let Some(comment) = comment.filter(|_| !continues) {
            let first = comment.split_whitespace().next().unwrap_or_default();
            let word = words::words(first).next().filter(|word| first.to_lowercase() == *word);
            if word.is_some_and(|word| REFUSED.contains(&word.as_str())) {
                let what = format!("a doc comment begins with `{first}`");
                let to_do = "name the thing, or say what it does in the third person";
                findings.push(Finding::new(&file.path, index + 1, what, to_do));
            }
        }
        continues = comment.is_some();
    }
    findings
}

const REFUSED: &[&str] = &[
    "what",
    "who",
    "whom",
    "whose",
    "how",
    "where",
    "when",
    "why",
    "whether",
    "which",
    "it",
    "its",
    "they",
    "their",
    "this",
    "that",
    "these",
    "those",
    "there",
    "he",
    "she",
    "his",
    "her",
    "we",
    "you",
    "somebody",
    "nobody",
    "everybody",
    "something",
    "everything",
    "anything",
    "in",
    "on",
    "at",
    "for",
    "of",
    "by",
    "with",
    "without",
    "within",
    "from",
    "to",
    "as",
    "if",
    "so",
    "until",
    "after",
    "before",
    "between",
    "behind",
    "beside",
    "beyond",
    "during",
    "since",
    "while",
    "and",
    "or",
    "but",
    "once",
    "is",
    "are",
    "was",
    "were",
    "may",
    "must",
    "can",
    "under",
    "over",
    "about",
    "against",
    "through",
    "into",
    "onto",
    "upon",
];
