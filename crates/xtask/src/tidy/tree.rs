//! The text files of the workspace, read once; the Rust files among them as tokens too.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::token::{self, LexError, Token};

/// The workspace as the rules see it.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    files: Vec<File>,
}

/// A text file.
#[derive(Debug)]
pub(crate) struct File {
    /// Relative to the workspace root, with `/` between its parts.
    pub(crate) path: String,
    pub(crate) text: String,
    /// None if this is not a Rust file.
    pub(crate) tokens: Option<Result<Vec<Token>, LexError>>,
}

impl Tree {
    /// Reads all text files of the workspace below `root`.
    pub(crate) fn read(root: &Path) -> io::Result<Self> {
        let mut tree = Self::default();
        tree.read_folder(root, "")?;
        Ok(tree)
    }

    /// All files.
    pub(crate) fn files(&self) -> impl Iterator<Item = &File> {
        self.files.iter()
    }

    /// The Rust files that can be read as such, with their tokens.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&File, &[Token])> {
        self.files.iter().filter_map(|file| match &file.tokens {
            Some(Ok(tokens)) => Some((file, tokens.as_slice())),
            _ => None,
        })
    }

    /// One file by its path.
    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let path = format!("{prefix}{name}");
            if entry.file_type()?.is_dir() {
                if !GENERATED.contains(&name.as_str()) {
                    self.read_folder(&entry.path(), &format!("{path}/"))?;
                }
                continue;
            }
            match fs::read_to_string(entry.path()) {
                Ok(text) => self.insert(path, text),
                // Neither a binary nor a dangling link has text.
                Err(error) if matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn insert(&mut self, path: String, text: String) {
        let tokens = path.ends_with(".rs").then(|| token::read(&path, &text));
        self.files.push(File { path, text, tokens });
    }
}

/// Generated folders, at any depth.
const GENERATED: [&str; 4] = [".git", "dist", "node_modules", "target"];

#[cfg(test)]
impl Tree {
    /// A small tree for a test of a rule.
    pub(crate) fn of<const N: usize>(files: [(&str, &str); N]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.insert(path.to_owned(), text.to_owned());
        }
        tree
    }
}
