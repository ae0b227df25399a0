//! TLS of Redis: private authorities and client certificate.

use std::path::PathBuf;

use bus::{RedisTls, RedisTlsError};
use clap::Args;
use lifecycle::{FileContents, FileWatch};

use crate::config::path::read;
use crate::config::{PathArg, Problems, heading};

/// TLS of `rediss://`.
#[derive(Debug, Clone, Default, Args)]
pub struct RedisTlsArgs {
    /// Authorities that certify Redis, PEM; reloaded when they change. Default: those of the operating system.
    #[arg(long, env = CA, help_heading = heading::REDIS)]
    pub redis_ca: Option<PathArg>,
    /// Client certificate for Redis and its chain, PEM; reloaded when it changes.
    #[arg(long, env = CERT, help_heading = heading::REDIS)]
    pub redis_cert: Option<PathArg>,
    /// Private key of the client certificate, PEM.
    #[arg(long, env = KEY, help_heading = heading::REDIS)]
    pub redis_key: Option<PathArg>,
}

/// Checked TLS, with watches of its files.
#[derive(Debug)]
pub(super) struct CheckedTls {
    /// TLS of the connections.
    pub(super) tls: RedisTls,
    /// File of the authorities.
    pub(super) authorities: Option<FileWatch<1>>,
    /// Files of the client certificate and its key.
    pub(super) identity: Option<FileWatch<2>>,
}

impl RedisTlsArgs {
    /// First variable that is set.
    pub(super) fn first(&self) -> Option<&'static str> {
        let set = [(CA, &self.redis_ca), (CERT, &self.redis_cert), (KEY, &self.redis_key)];
        let first = set.into_iter().find(|(_, path)| path.is_some());
        first.map(|(variable, _)| variable)
    }

    /// Reads and checks the files.
    pub(super) fn check(&self, problems: &mut Problems) -> Option<CheckedTls> {
        let authorities = open(CA, self.redis_ca.as_ref(), problems);
        let certificate = open(CERT, self.redis_cert.as_ref(), problems);
        let key = open(KEY, self.redis_key.as_ref(), problems);
        match (&self.redis_cert, &self.redis_key) {
            (Some(_), None) => problems.report(KEY, format!("is required with {CERT}: a PEM file")),
            (None, Some(_)) => problems.report(CERT, format!("is required with {KEY}: a PEM file")),
            _ => {}
        }
        let (authorities, certificate, key) = (authorities?, certificate?, key?);
        let mut tls = RedisTls::default();
        if let Some(file) = &authorities {
            tls = problems.take(CA, tls.with_authorities(file.pem.as_bytes()))?;
        }
        let identity = certificate.zip(key);
        if let Some((certificate, key)) = &identity {
            let with = tls.with_identity(certificate.pem.as_bytes(), key.pem.as_bytes());
            let is_of_key = matches!(with, Err(RedisTlsError::Key(_)));
            tls = problems.take(if is_of_key { KEY } else { CERT }, with)?;
        }
        Some(CheckedTls {
            tls,
            authorities: authorities.map(|file| FileWatch::new(CA, [file.path], [file.pem])),
            identity: identity.map(|(certificate, key)| {
                FileWatch::new(IDENTITY, [certificate.path, key.path], [certificate.pem, key.pem])
            }),
        })
    }
}

/// File that was read.
struct PemFile {
    path: PathBuf,
    pem: FileContents,
}

/// Reads the file of a variable, if that is set; none if it cannot be read.
fn open(variable: &'static str, path: Option<&PathArg>, problems: &mut Problems) -> Option<Option<PemFile>> {
    let Some(path) = path else { return Some(None) };
    let path = problems.path(variable, path)?;
    let pem = problems.take(variable, read(&path))?;
    Some(Some(PemFile { path, pem }))
}

const CA: &str = "POSTERN_REDIS_CA";
const CERT: &str = "POSTERN_REDIS_CERT";
const KEY: &str = "POSTERN_REDIS_KEY";
const IDENTITY: &str = "POSTERN_REDIS_CERT, POSTERN_REDIS_KEY";
