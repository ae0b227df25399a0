//! Time-based one-time passwords (RFC 6238): six digits, steps of 30 s, SHA-1, which all authenticators support.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use lifecycle::Entropy;
use protocol::secret::Secret;
use protocol::time::Timestamp;
use store::vault::VaultError;
use totp_rs::{Builder, Secret as Base32, Totp};

use super::{qr_code, totp_replay};

/// Generates a shared secret of 160 bits (RFC 4226, section 4, requirement 6), base32.
pub(super) fn generate(entropy: &dyn Entropy) -> Secret {
    Secret::new(Base32::from(entropy.bytes::<20>()).to_base32())
}

/// Shared secret in the forms that an authenticator imports.
pub(super) struct AuthenticatorSetup {
    /// `otpauth://` URL.
    pub(super) url: Secret,
    /// QR code of the URL: PNG, base64.
    pub(super) qr_png: Secret,
}

/// Formats the secret for an authenticator, under the user's name.
///
/// # Errors
/// [`VaultError::Malformed`]: the decrypted text is not a secret of this module.
pub(super) fn authenticator_setup(secret: &Secret, user: &str) -> Result<AuthenticatorSetup, VaultError> {
    let malformed = |_no_details| VaultError::Malformed;
    // The label is `issuer:account`, so the account has no colon.
    let totp = builder(secret)?
        .with_issuer(Some(ISSUER))
        .with_account_name(user.replace(':', "."))
        .build()
        .map_err(malformed)?;
    let url = totp.to_url().map_err(malformed)?;
    let image = qr_code::png(&url).map_err(|_too_long| VaultError::Malformed)?;
    Ok(AuthenticatorSetup {
        url: Secret::new(url),
        qr_png: Secret::new(BASE64_STANDARD.encode(image)),
    })
}

/// Time step of this code: the current or the previous one, unless [`totp_replay`] excludes it. The codes of both steps are computed
/// and compared in full in every case, so that the time reveals neither which step was used nor how many digits were right.
///
/// # Errors
/// [`VaultError::Malformed`]: the decrypted text is not a secret of this module.
pub(super) fn accepted_step(
    secret: &Secret,
    code: &str,
    now: Timestamp,
    last_used: Option<i64>,
) -> Result<Option<i64>, VaultError> {
    let totp: Totp = builder(secret)?.build().map_err(|_no_details| VaultError::Malformed)?;
    let current = now.as_secs().div_euclid(STEP);
    let compared = [current - 1, current].map(|step| {
        let start = u64::try_from(step * STEP).unwrap_or(0);
        (step, totp.check(code, start).is_some())
    });
    let matching = compared.into_iter().filter(|(_, is_equal)| *is_equal);
    Ok(totp_replay::unused_step(matching.map(|(step, _)| step), last_used))
}

/// Builder without skew: [`accepted_step`] chooses the steps, and the library would accept the next one too.
fn builder(secret: &Secret) -> Result<Builder, VaultError> {
    let secret = Base32::try_from_base32(secret.expose()).map_err(|_no_details| VaultError::Malformed)?;
    Ok(Builder::new().with_secret(secret).with_skew(0))
}

/// Issuer that authenticators display.
const ISSUER: &str = "Postern";
/// Length of a time step, in seconds.
const STEP: i64 = 30;

#[cfg(test)]
mod tests {
    use lifecycle::SeededEntropy;

    use super::*;

    /// The secret of RFC 6238, appendix B: `12345678901234567890`.
    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    fn step(code: &str, seconds: i64, after: Option<i64>) -> Option<i64> {
        let now = Timestamp::from_millis(seconds * 1_000);
        accepted_step(&Secret::new(SECRET), code, now, after).unwrap()
    }

    /// The codes of RFC 6238, appendix B, cut to six digits.
    #[test]
    fn test_vectors_of_rfc_6238_are_accepted() {
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(step(code, seconds, None), Some(seconds / 30), "{code}");
        }
    }

    #[test]
    fn code_is_accepted_once_in_its_own_step_or_the_next() {
        let start = 1_111_111_080;
        let its_step = start / 30;
        for (seconds, accepted) in [
            (-31, false),
            (-1, false),
            (0, true),
            (59, true),
            (60, false),
            (90, false),
        ] {
            assert_eq!(step("081804", start + seconds, None).is_some(), accepted, "{seconds}");
        }
        assert_eq!(step("081804", start, Some(its_step - 1)), Some(its_step));
        assert_eq!(step("081804", start, Some(its_step)), None);
    }

    #[test]
    fn malformed_code_is_refused() {
        for text in ["", "28708", "2870822", "28708a", "+28708", "\u{0662}87082", "287 082"] {
            assert_eq!(step(text, 59, None), None, "{text}");
        }
    }

    #[test]
    fn authenticator_setup_names_issuer_and_user() {
        let secret = generate(&SeededEntropy::new(7));
        let setup = authenticator_setup(&secret, "tenant:GEN-001").unwrap();
        let url = format!(
            "otpauth://totp/Postern:tenant.GEN-001?secret={}&issuer=Postern",
            secret.expose()
        );
        assert_eq!(setup.url.expose().replace("%2E", ".").replace("%2D", "-"), url);
        // The signature of a PNG in base64.
        assert!(setup.qr_png.expose().starts_with("iVBORw0KGgo"));
    }
}
