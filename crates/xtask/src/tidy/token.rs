//! A Rust file as a flat list of words, texts and marks, without comments; a text is one token.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// One token and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    /// Counted from 1.
    pub(crate) line: usize,
    /// True if only tests compile it: in a `tests` folder or `tests.rs`, or below `#[cfg(test)] mod`, which our files
    /// have last.
    pub(crate) in_test: bool,
}

/// Kinds of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name or keyword.
    Word(String),
    /// Text between quotes, escapes as written.
    Text(String),
    /// A number as it is written.
    Number(String),
    /// Punctuation, or one half of a pair of brackets.
    Mark(char),
}

impl Token {
    fn new(kind: Kind, line: usize) -> Self {
        Self {
            kind,
            line,
            in_test: false,
        }
    }

    pub(crate) fn is_word(&self, word: &str) -> bool {
        matches!(&self.kind, Kind::Word(found) if found == word)
    }

    pub(crate) fn is_mark(&self, mark: char) -> bool {
        self.kind == Kind::Mark(mark)
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// The file does not lex as Rust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LexError {
    pub(crate) line: usize,
}

/// Tokens of a Rust file, without its comments.
pub(crate) fn read(path: &str, text: &str) -> Result<Vec<Token>, LexError> {
    let stream: TokenStream = text.parse().map_err(|error: proc_macro2::LexError| LexError {
        line: error.span().start().line,
    })?;
    let mut tokens = Vec::new();
    flatten(stream, &mut tokens);
    let first_of_tests = if is_test_file(path) {
        Some(0)
    } else {
        start_of_test_module(&tokens)
    };
    for token in tokens.iter_mut().skip(first_of_tests.unwrap_or(usize::MAX)) {
        token.in_test = true;
    }
    Ok(tokens)
}

fn flatten(stream: TokenStream, into: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Ident(name) => into.push(Token::new(Kind::Word(name.to_string()), line)),
            TokenTree::Punct(mark) => into.push(Token::new(Kind::Mark(mark.as_char()), line)),
            TokenTree::Literal(literal) => into.push(Token::new(literal_kind(&literal.to_string()), line)),
            TokenTree::Group(group) if is_doc_comment(&group.stream()) => {}
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Brace => ('{', '}'),
                    Delimiter::Bracket => ('[', ']'),
                    Delimiter::Parenthesis | Delimiter::None => ('(', ')'),
                };
                into.push(Token::new(Kind::Mark(open), line));
                flatten(group.stream(), into);
                into.push(Token::new(Kind::Mark(close), group.span_close().end().line));
            }
        }
    }
}

fn literal_kind(literal: &str) -> Kind {
    match literal.split_once('"').and_then(|(_, rest)| rest.rsplit_once('"')) {
        Some((text, _)) => Kind::Text(text.to_owned()),
        None => Kind::Number(literal.to_owned()),
    }
}

/// True for a doc comment, which the lexer turns into `#[doc = "..."]`.
fn is_doc_comment(attribute: &TokenStream) -> bool {
    matches!(attribute.clone().into_iter().next(), Some(TokenTree::Ident(name)) if name == "doc")
}

fn is_test_file(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

fn start_of_test_module(tokens: &[Token]) -> Option<usize> {
    tokens.windows(8).position(|window| {
        let [cfg, open, test, close, end, module, _name, body] = window else {
            return false;
        };
        cfg.is_word("cfg")
            && open.is_mark('(')
            && test.is_word("test")
            && close.is_mark(')')
            && end.is_mark(']')
            && (module.is_word("mod") || module.is_word("impl"))
            && body.is_mark('{')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        read("crates/bus/src/lib.rs", text)
            .unwrap()
            .into_iter()
            .map(|token| token.kind)
            .collect()
    }

    #[test]
    fn comments_are_dropped_and_a_text_is_one_token() {
        let found = kinds("//! fred\n/// fred\n// fred\nconst A: &str = \"fred::x\";");
        assert!(!found.contains(&Kind::Word("fred".to_owned())), "{found:?}");
        assert!(found.contains(&Kind::Text("fred::x".to_owned())));
    }

    #[test]
    fn raw_texts_and_numbers_are_distinguished() {
        assert_eq!(kinds("r#\"a \"b\" c\"#"), [Kind::Text("a \"b\" c".to_owned())]);
        assert_eq!(kinds("4_400"), [Kind::Number("4_400".to_owned())]);
    }

    #[test]
    fn every_token_knows_its_line() {
        let tokens = read("crates/bus/src/lib.rs", "fn a(\n) {\n}").unwrap();
        let lines: Vec<usize> = tokens.iter().map(|token| token.line).collect();
        assert_eq!(lines, [1, 1, 1, 2, 2, 3]);
    }

    #[test]
    fn tests_are_known_by_their_module_or_their_file() {
        let source = "#[cfg(test)] mod tests; fn ours() {} #[cfg(test)] mod tests { fn theirs() {} }";
        let in_test = |path: &str, word: &str| {
            read(path, source)
                .unwrap()
                .iter()
                .find(|token| token.is_word(word))
                .unwrap()
                .in_test
        };
        assert!(!in_test("crates/bus/src/lib.rs", "ours"));
        assert!(in_test("crates/bus/src/lib.rs", "theirs"));
        assert!(in_test("crates/bus/tests/it/main.rs", "ours"));
        assert!(in_test("crates/bus/src/hub/tests.rs", "ours"));
    }

    #[test]
    fn invalid_rust_reports_its_line() {
        assert_eq!(read("a.rs", "fn a() {}\nfn b( }"), Err(LexError { line: 2 }));
    }
}
