//! Coined words in comments and pages. Ordinary words, such as place or order, are free in prose.

use super::words;
use crate::tidy::finding::Finding;
use crate::tidy::tree::File;

/// No coined word in pages, and none in the comments of sources.
pub(super) fn check(file: &File) -> Vec<Finding> {
    let Some(marker) = marker(&file.path) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let Some(prose) = prose(line, marker) else { continue };
        let words: Vec<String> = words::words(prose).collect();
        let text = format!(" {} ", words.join(" "));
        for coined in COINED.iter().filter(|coined| text.contains(&format!(" {coined} "))) {
            let what = format!("`{coined}` in prose");
            findings.push(Finding::new(&file.path, index + 1, what, "write the field's term"));
        }
    }
    findings
}

/// Sign at the start of a comment; empty where all of the file is prose. None for files without any.
fn marker(path: &str) -> Option<&'static str> {
    let (_, ending) = path.rsplit_once('.')?;
    match ending {
        "md" => Some(""),
        "rs" | "js" | "mjs" | "go" | "java" => Some("//"),
        "lua" => Some("--"),
        "toml" | "yml" | "yaml" | "py" | "sh" | "tpl" => Some("#"),
        _ => None,
    }
}

fn prose<'a>(line: &'a str, marker: &str) -> Option<&'a str> {
    if marker.is_empty() {
        return Some(line);
    }
    line.split_once(marker).map(|(_, comment)| comment)
}

const COINED: [&str; 22] = [
    "poke",
    "pokes",
    "poked",
    "ear",
    "ears",
    "courier",
    "couriers",
    "heed",
    "heeds",
    "heeded",
    "acquaintance",
    "acquaintances",
    "novelty",
    "novelties",
    "wish",
    "wishes",
    "outlet",
    "outlets",
    "begun",
    "given back",
    "gives back",
    "gave back",
];
