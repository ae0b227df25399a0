//! Secret settings: from a flag, from a variable, or from the file that `<variable>_FILE` names.
//!
//! Every argument of the type [`SecretArg`] has the variable of its file, see [`with_files`]. A wrong file is reported with all
//! other invalid settings, by its variable and its path, never by its content.

use std::any::TypeId;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::builder::TypedValueParser;
use clap::parser::ValueSource;
use clap::{Arg, Command};
use lifecycle::{FileContents, FileWatch};
use protocol::secret::Secret;

use super::Environment;

/// Secret of a flag, a variable or a file.
#[derive(Debug, Clone)]
pub struct SecretArg {
    text: Result<Secret, SecretError>,
    file: Option<SecretFile>,
}

/// File of a secret, for reading it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFile(PathBuf);

/// Secret that cannot be taken.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SecretError {
    /// The text of a flag or a variable is not UTF-8.
    #[error("is not UTF-8")]
    Encoding,
    /// The variable and the variable of the file are both set.
    #[error("and the variable of its file exclude each other")]
    Ambiguous,
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] SecretFileError),
}

/// File of a secret that cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SecretFileError {
    /// The path cannot be one: it may be the secret itself, so it is not quoted.
    #[error(transparent)]
    Path(#[from] super::path::NotAPath),
    /// The file cannot be read.
    #[error("cannot be read: {}: {source}", path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// Cause.
        source: Arc<io::Error>,
    },
    /// The file has nothing but line breaks.
    #[error("names an empty file: {}", .0.display())]
    Empty(PathBuf),
    /// The file is too large to hold a secret.
    #[error("names a file of more than {MAX_BYTES} bytes: {}", .0.display())]
    TooLarge(PathBuf),
    /// The file is not text.
    #[error("names a file that is not UTF-8: {}", .0.display())]
    Encoding(PathBuf),
}

impl SecretArg {
    /// File of the secret, if it came from one.
    #[must_use]
    pub fn file(&self) -> Option<&SecretFile> {
        self.file.as_ref()
    }

    /// The secret.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn secret(&self) -> Result<&Secret, &SecretError> {
        self.text.as_ref()
    }

    /// Watch of the file of the secret, if it came from one. `name` is the variable of the secret.
    pub(super) fn watch(&self, name: &'static str) -> Option<FileWatch<1>> {
        let (file, secret) = (self.file.as_ref()?, self.text.as_ref().ok()?);
        let contents = FileContents::new(secret.expose());
        Some(FileWatch::new(name, [file.path().to_owned()], [contents]))
    }

    fn given(text: &OsStr) -> Self {
        let text = text.to_str().ok_or(SecretError::Encoding);
        Self {
            text: text.map(|text| Secret::new(without_line_break(text))),
            file: None,
        }
    }

    fn in_file(path: &OsStr) -> Self {
        let file = SecretFile(path.into());
        Self {
            text: file.read().map_err(SecretError::File),
            file: Some(file),
        }
    }
}

impl From<OsString> for SecretArg {
    fn from(text: OsString) -> Self {
        Self::given(&text)
    }
}

impl SecretFile {
    /// Path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Reads the secret, without the line breaks at its end.
    ///
    /// # Errors
    /// [`SecretFileError`].
    pub fn read(&self) -> Result<Secret, SecretFileError> {
        super::path::check_absolute(self.0.as_os_str())?;
        let mut bytes = Vec::new();
        File::open(&self.0)
            .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
            .map_err(|error| SecretFileError::Read {
                path: self.0.clone(),
                source: Arc::new(error),
            })?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(SecretFileError::TooLarge(self.0.clone()));
        }
        // The error would have the content.
        let text = String::from_utf8(bytes).map_err(|_content| SecretFileError::Encoding(self.0.clone()))?;
        match without_line_break(&text) {
            "" => Err(SecretFileError::Empty(self.0.clone())),
            text => Ok(Secret::new(text)),
        }
    }
}

/// Text without the line breaks at its end, as `echo` writes one into every file.
pub(super) fn without_line_break(text: &str) -> &str {
    text.trim_end_matches(['\r', '\n'])
}

/// Maximum size of a file of a secret: the longest is a list of keys.
const MAX_BYTES: u64 = 65_536;

/// Checks whether the value of this argument is a secret.
pub(super) fn is_secret(argument: &Arg) -> bool {
    argument.get_value_parser().type_id() == TypeId::of::<SecretArg>()
}

/// Variable of the file of a secret.
pub(super) fn file_variable(variable: &OsStr) -> OsString {
    let mut name = variable.to_owned();
    name.push("_FILE");
    name
}

/// Variable of a secret by the variable of its file.
pub(super) fn variable_of_file(file: &str) -> &str {
    file.strip_suffix("_FILE").unwrap_or(file)
}

/// The command, each secret of which is read from the file that `<variable>_FILE` names, where that is set. The values of variables
/// are left out of the help.
pub(crate) fn with_files(command: Command, environment: &Environment) -> Command {
    let has_secrets = command.get_arguments().any(is_secret);
    let command = command.mut_args(|argument| with_file(argument, environment));
    let command = command.mut_subcommands(|command| with_files(command, environment));
    if has_secrets { command.after_help(HELP) } else { command }
}

const HELP: &str = "Each secret may be in a file: <its variable>_FILE is the path.";

fn with_file(argument: Arg, environment: &Environment) -> Arg {
    let Some(variable) = argument.get_env().map(OsStr::to_owned) else {
        return argument;
    };
    let argument = argument.hide_env_values(true);
    if !is_secret(&argument) {
        return argument;
    }
    let file = file_variable(&variable);
    match (environment.get(&file), environment.get(&variable)) {
        (None, _) => argument,
        (Some(_), None) => argument.env(file).value_parser(SecretParser { takes_file: true }),
        (Some(_), Some(_)) => argument.value_parser(SecretParser { takes_file: false }),
    }
}

/// Parser of a secret whose `<variable>_FILE` is set. A flag is the secret itself.
#[derive(Debug, Clone)]
struct SecretParser {
    /// True if the variable is the path of a file; otherwise both variables are set.
    takes_file: bool,
}

impl TypedValueParser for SecretParser {
    type Value = SecretArg;

    fn parse_ref(&self, _: &Command, _: Option<&Arg>, text: &OsStr) -> Result<SecretArg, clap::Error> {
        Ok(SecretArg::given(text))
    }

    fn parse_ref_(
        &self,
        _: &Command,
        _: Option<&Arg>,
        text: &OsStr,
        source: ValueSource,
    ) -> Result<SecretArg, clap::Error> {
        Ok(match source {
            ValueSource::EnvVariable if self.takes_file => SecretArg::in_file(text),
            ValueSource::EnvVariable => SecretArg {
                text: Err(SecretError::Ambiguous),
                file: None,
            },
            _ => SecretArg::given(text),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> Result<Secret, SecretFileError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        SecretFile(file.path().to_owned()).read()
    }

    #[test]
    fn secret_is_stripped_of_trailing_line_breaks_only() {
        for (text, kept) in [
            ("s3cret\n", "s3cret"),
            ("s3cret\r\n", "s3cret"),
            (" s3\ncret ", " s3\ncret "),
        ] {
            assert_eq!(SecretArg::given(OsStr::new(text)).secret().unwrap().expose(), kept);
            assert_eq!(read(text.as_bytes()).unwrap().expose(), kept);
        }
    }

    #[test]
    fn file_up_to_the_bound_is_read_and_a_larger_one_is_refused() {
        let largest = vec![b'k'; 65_536];
        assert_eq!(read(&largest).unwrap().expose().len(), 65_536);
        let refused = read(&[&largest[..], b"\n"].concat()).unwrap_err();
        assert!(matches!(refused, SecretFileError::TooLarge(_)), "{refused}");
        let endless = SecretFile("/dev/zero".into()).read().unwrap_err();
        assert!(matches!(endless, SecretFileError::TooLarge(_)), "{endless}");
    }

    #[test]
    fn refused_file_is_named_without_its_content() {
        for content in [b"s3cret\xff".as_slice(), b"", b"\r\n\n"] {
            let refused = read(content).unwrap_err().to_string();
            assert!(refused.contains("/tmp") && !refused.contains("s3cret"), "{refused}");
        }
    }

    #[test]
    fn text_that_may_be_the_secret_is_not_quoted() {
        let key = "-----BEGIN PRIVATE KEY-----s3cret";
        let long = format!("/{}", "s3cret".repeat(1_000));
        for text in ["", "s3cret", "redis://:s3cret@redis", "/s3cret\nmore", key, &long] {
            let arg = SecretArg::in_file(OsStr::new(text));
            let refused = arg.secret().unwrap_err();
            assert!(
                matches!(refused, SecretError::File(SecretFileError::Path(_))),
                "{refused}"
            );
            assert!(!refused.to_string().contains("s3cret"), "{refused}");
        }
    }
}
