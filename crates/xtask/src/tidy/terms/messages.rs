//! Texts that operators and clients read: log lines, error messages, names of metrics.

use super::words;
use crate::tidy::finding::Finding;
use crate::tidy::token::{Kind, Token};
use crate::tidy::tree::File;

/// No refused word stands in them.
pub(super) fn check(file: &File, tokens: &[Token]) -> Vec<Finding> {
    let texts = arguments(tokens).chain(metrics(tokens));
    let refused = texts.filter_map(|(text, line)| {
        let (word, term) = words::words(text).find_map(|word| words::refused(&word))?;
        let what = format!("a message has the word `{word}`");
        Some(Finding::new(&file.path, line, what, format!("write: {term}")))
    });
    refused.collect()
}

/// Texts among the arguments of the macros that log, and of `#[error]`.
fn arguments(tokens: &[Token]) -> impl Iterator<Item = (&str, usize)> {
    let mut depth = 0;
    let mut previous: [Option<&Token>; 2] = [None, None];
    tokens.iter().filter_map(move |token| {
        let opens = token.is_mark('(') && calls_a_message(previous);
        previous = [previous[1], Some(token)];
        match token.kind {
            Kind::Mark('(') if opens || depth > 0 => depth += 1,
            Kind::Mark(')') if depth > 0 => depth -= 1,
            _ => {}
        }
        token
            .text()
            .filter(|_| depth > 0 && !token.in_test)
            .map(|text| (text, token.line))
    })
}

/// True after `warn!` and the like, and after `#[error`.
fn calls_a_message(previous: [Option<&Token>; 2]) -> bool {
    let [Some(before), Some(last)] = previous else {
        return false;
    };
    let logs = last.is_mark('!') && LOGS.iter().any(|name| before.is_word(name));
    logs || before.is_mark('[') && last.is_word("error")
}

const LOGS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

fn metrics(tokens: &[Token]) -> impl Iterator<Item = (&str, usize)> {
    let texts = tokens
        .iter()
        .filter_map(|token| token.text().map(|text| (text, token.line)));
    texts.filter(|(text, _)| text.starts_with("postern_"))
}
