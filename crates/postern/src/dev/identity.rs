//! Files that `postern dev` creates once: certificate authority, certificate, token secret, internal token, vault key.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lifecycle::{Clock, Entropy};
use protocol::secret::Secret;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, SanType};
use time::OffsetDateTime;

/// Directory of a dev cluster, private to its user (mode 0700, files 0600).
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    dir: PathBuf,
}

/// Failure to use the directory.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file operation failed.
    #[error("{what} {path}")]
    File {
        /// Operation.
        what: &'static str,
        /// File.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// The directory belongs to another user, or others can write to it.
    #[error("{0} is not private to this user: choose another with --dir")]
    Shared(PathBuf),
    /// Creating a certificate failed.
    #[error("create a certificate")]
    Certificate(#[from] rcgen::Error),
}

impl Identity {
    /// Opens the directory, and creates files that are missing or expire soon.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub(crate) fn open_or_make(dir: &Path, clock: &dyn Clock, entropy: &dyn Entropy) -> Result<Self, IdentityError> {
        let this = Self { dir: dir.to_owned() };
        this.make_dir()?;
        if !this.certificate_is_fresh(clock) {
            this.make_certificate(clock)?;
        }
        for name in [JWT_SECRET, INTERNAL_TOKEN, VAULT_KEY] {
            if !this.path(name).exists() {
                this.write(name, &secret_text(entropy))?;
            }
        }
        Ok(this)
    }

    /// Opens the directory of an earlier `postern dev`.
    #[must_use]
    pub(crate) fn existing(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// The directory.
    #[must_use]
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Certificate authority that clients must trust, PEM.
    #[must_use]
    pub(crate) fn ca(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// Certificate for localhost, 127.0.0.1 and `::1`, PEM.
    #[must_use]
    pub(crate) fn certificate(&self) -> PathBuf {
        self.path("cert.pem")
    }

    /// Private key of the certificate, PEM.
    #[must_use]
    pub(crate) fn key(&self) -> PathBuf {
        self.path("key.pem")
    }

    /// File with the addresses of the running cluster, for `publish`.
    #[must_use]
    pub(crate) fn ready_file(&self) -> PathBuf {
        self.path("ready.json")
    }

    /// HS256 secret of tokens.
    ///
    /// # Errors
    /// [`IdentityError::File`] if no `postern dev` has created it.
    pub(crate) fn jwt_secret(&self) -> Result<Secret, IdentityError> {
        self.read(JWT_SECRET)
    }

    /// Bearer token of the internal API.
    ///
    /// # Errors
    /// [`IdentityError::File`] if no `postern dev` has created it.
    pub(crate) fn internal_token(&self) -> Result<Secret, IdentityError> {
        self.read(INTERNAL_TOKEN)
    }

    /// Vault keys in the format of `POSTERN_VAULT_KEYS`, stored so that the next run can decrypt the values in a Postgres.
    ///
    /// # Errors
    /// [`IdentityError::File`] if no `postern dev` has created it.
    pub(crate) fn vault_keys(&self) -> Result<Secret, IdentityError> {
        Ok(Secret::new(format!("dev:{}", self.read(VAULT_KEY)?.expose())))
    }

    /// Writes a file for `token` and `publish`.
    ///
    /// # Errors
    /// [`IdentityError::File`].
    pub(crate) fn save(&self, path: &Path, text: &str) -> Result<(), IdentityError> {
        write_private(path, text).map_err(|source| file("write", path, source))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn make_dir(&self) -> Result<(), IdentityError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir)
            .map_err(|source| file("create the directory", &self.dir, source))?;
        // The default may be in /tmp, where another user could have created it first.
        let found = fs::symlink_metadata(&self.dir).map_err(|source| file("inspect", &self.dir, source))?;
        let ours = found.is_dir() && found.uid() == nix::unistd::Uid::effective().as_raw();
        if !ours || found.mode() & 0o022 != 0 {
            return Err(IdentityError::Shared(self.dir.clone()));
        }
        Ok(())
    }

    fn certificate_is_fresh(&self, clock: &dyn Clock) -> bool {
        let made = fs::metadata(self.certificate()).and_then(|file| file.modified());
        let there = self.ca().exists() && self.key().exists();
        there && made.is_ok_and(|made| clock.now().duration_since(made).is_ok_and(|age| age < RENEW_AFTER))
    }

    fn make_certificate(&self, clock: &dyn Clock) -> Result<(), IdentityError> {
        let now = OffsetDateTime::from(clock.now());
        let (from, until) = (now - time::Duration::DAY, now + VALID_FOR);

        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(DnType::CommonName, "Postern dev authority");
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        (ca.not_before, ca.not_after) = (from, until);
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;

        let mut leaf = CertificateParams::new(["localhost".to_owned()])?;
        leaf.distinguished_name.push(DnType::CommonName, "Postern dev");
        leaf.subject_alt_names.extend(
            [
                [127, 0, 0, 1].into(),
                std::net::IpAddr::from(std::net::Ipv6Addr::LOCALHOST),
            ]
            .map(SanType::IpAddress),
        );
        (leaf.not_before, leaf.not_after) = (from, until);
        let key = KeyPair::generate()?;
        let leaf = leaf.signed_by(&key, &ca)?;

        self.write("ca.pem", &ca.pem())?;
        self.write("ca-key.pem", &ca.key().serialize_pem())?;
        self.write("key.pem", &key.serialize_pem())?;
        self.write("cert.pem", &leaf.pem())
    }

    fn read(&self, name: &str) -> Result<Secret, IdentityError> {
        let path = self.path(name);
        let text = fs::read_to_string(&path).map_err(|source| file("read", &path, source))?;
        Ok(Secret::new(text.trim()))
    }

    fn write(&self, name: &str, text: &str) -> Result<(), IdentityError> {
        self.save(&self.path(name), text)
    }
}

const JWT_SECRET: &str = "jwt-secret";
const INTERNAL_TOKEN: &str = "internal-token";
const VAULT_KEY: &str = "vault-key";

/// Lifetime of the certificates: browsers and macOS refuse more than 825 days.
const VALID_FOR: time::Duration = time::Duration::days(800);
const RENEW_AFTER: Duration = Duration::from_secs(700 * 24 * 60 * 60);

fn secret_text(entropy: &dyn Entropy) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(entropy.bytes::<32>())
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    // A new file and a rename: readers see the old or the new text, and the mode of an old file is not kept.
    let fresh = path.with_extension("new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&fresh, path)
}

fn file(what: &'static str, path: &Path, source: io::Error) -> IdentityError {
    IdentityError::File {
        what,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use lifecycle::{OsEntropy, SystemClock};

    use super::*;

    #[test]
    fn second_run_reuses_the_files_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("postern");
        let first = Identity::open_or_make(&path, &SystemClock, &OsEntropy).unwrap();
        let read = |identity: &Identity| {
            let secret = identity.jwt_secret().unwrap().expose().to_owned();
            (
                secret,
                fs::read(identity.ca()).unwrap(),
                fs::read(identity.certificate()).unwrap(),
            )
        };
        let second = Identity::open_or_make(&path, &SystemClock, &OsEntropy).unwrap();
        assert_eq!(read(&first), read(&second));
        for name in ["ca-key.pem", "key.pem", JWT_SECRET, INTERNAL_TOKEN, VAULT_KEY] {
            assert_eq!(fs::metadata(path.join(name)).unwrap().mode() & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn folder_writable_by_others_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("postern");
        fs::DirBuilder::new().create(&path).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let refused = Identity::open_or_make(&path, &SystemClock, &OsEntropy);
        assert!(matches!(refused, Err(IdentityError::Shared(_))));
    }
}
