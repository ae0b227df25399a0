//! Paths into the own crate that a file names: in `use` declarations and in code.

use crate::tidy::token::{Kind, Token};

/// Path that a module names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Use {
    /// Segments below the crate's root.
    pub(super) path: Vec<String>,
    /// Name that a `use` declaration gives it; None in code and for globs.
    pub(super) name: Option<String>,
    pub(super) line: usize,
}

/// All of them outside tests, in the module at `module`.
pub(super) fn uses(tokens: &[Token], module: &[String]) -> Vec<Use> {
    let ours: Vec<&Token> = tokens.iter().filter(|token| !token.in_test).collect();
    let children = children(&ours);
    let mut reader = Reader {
        tokens: &ours,
        at: 0,
        found: Vec::new(),
    };
    let mut in_use = false;
    while let Some(token) = reader.peek(0) {
        if token.is_word("use") {
            in_use = true;
        } else if token.is_mark(';') {
            in_use = false;
        } else if reader.path_begins() {
            let base = base(token, module, &children, in_use);
            if let Some((base, taken)) = base {
                reader.at += taken;
                reader.tree(base, in_use);
                continue;
            }
            reader.skip_path();
            continue;
        }
        reader.at += 1;
    }
    reader.found
}

/// Names of `mod name;`.
fn children(tokens: &[&Token]) -> Vec<String> {
    let declared = tokens.windows(3).filter_map(|window| match window {
        [module, name, end] if module.is_word("mod") && end.is_mark(';') => word(name),
        _ => None,
    });
    declared.map(ToOwned::to_owned).collect()
}

fn word(token: &Token) -> Option<&str> {
    match &token.kind {
        Kind::Word(word) => Some(word),
        _ => None,
    }
}

/// Module that a path's first segment stands for, and the tokens that it takes; None for other crates and for local names.
fn base(first: &Token, module: &[String], children: &[String], in_use: bool) -> Option<(Vec<String>, usize)> {
    let parent = || module.split_last().map_or(Vec::new(), |(_, parent)| parent.to_vec());
    match word(first)? {
        "crate" => Some((Vec::new(), 3)),
        "self" => Some((module.to_vec(), 3)),
        "super" => Some((parent(), 3)),
        name if in_use && children.iter().any(|child| child == name) => Some((module.to_vec(), 0)),
        _ => None,
    }
}

struct Reader<'a> {
    tokens: &'a [&'a Token],
    at: usize,
    found: Vec<Use>,
}

impl<'a> Reader<'a> {
    fn peek(&self, ahead: usize) -> Option<&'a Token> {
        self.tokens.get(self.at + ahead).copied()
    }

    fn peek_word(&self) -> Option<&'a str> {
        self.peek(0).and_then(word)
    }

    fn separator_follows(&self, ahead: usize) -> bool {
        let is_colon = |ahead| self.peek(ahead).is_some_and(|token| token.is_mark(':'));
        is_colon(ahead) && is_colon(ahead + 1)
    }

    /// True at a word that `::` follows, or that stands in a `use` declaration as a whole path.
    fn path_begins(&self) -> bool {
        self.peek_word().is_some() && self.separator_follows(1)
    }

    /// Passes over the segments of another crate's path, so that none of them is taken for a first one.
    fn skip_path(&mut self) {
        while self.peek_word().is_some() && self.separator_follows(1) {
            self.at += 3;
        }
    }

    /// Reads what follows `base::`: segments, a group in braces, a glob, a new name.
    fn tree(&mut self, mut base: Vec<String>, in_use: bool) {
        let line = self.peek(0).map_or(1, |token| token.line);
        loop {
            match self.peek_word() {
                Some("super") => {
                    base.pop();
                }
                Some("self") => {}
                Some(segment) => base.push(segment.to_owned()),
                None if self.peek(0).is_some_and(|token| token.is_mark('{')) && in_use => return self.group(&base),
                None => return self.end(base, None, line),
            }
            self.at += 1;
            if !self.separator_follows(0) {
                break;
            }
            self.at += 2;
        }
        let mut name = base.last().cloned();
        if in_use && self.peek_word() == Some("as") {
            self.at += 1;
            name = self.peek_word().map(ToOwned::to_owned);
        }
        self.end(base, name.filter(|_| in_use), line);
    }

    fn group(&mut self, base: &[String]) {
        self.at += 1;
        while let Some(token) = self.peek(0) {
            if token.is_mark('}') {
                self.at += 1;
                return;
            }
            if word(token).is_some() || token.is_mark('{') {
                self.tree(base.to_vec(), true);
            } else {
                self.at += 1;
            }
        }
    }

    fn end(&mut self, path: Vec<String>, name: Option<String>, line: usize) {
        self.found.push(Use { path, name, line });
    }
}
