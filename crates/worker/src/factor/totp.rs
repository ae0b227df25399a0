//! Time-based one-time passwords (RFC 6238): six digits, steps of 30 s, SHA-1, which is what authenticators know.

use lifecycle::Entropy;
use protocol::secret::Secret;
use protocol::time::Timestamp;
use store::vault::VaultError;
use totp_rs::{Builder, Secret as Base32, Totp};

/// A new shared secret of 160 bits (RFC 4226, section 4, requirement 6), base32.
pub(super) fn generate(entropy: &dyn Entropy) -> Secret {
    Secret::new(Base32::from(entropy.bytes::<20>()).to_base32())
}

/// How an authenticator is given the secret.
pub(super) struct Handover {
    /// An `otpauth://` URL.
    pub(super) url: Secret,
    /// The same as a QR code: PNG, base64.
    pub(super) qr_png: Secret,
}

/// Writes the secret for an authenticator, under the user's name.
///
/// # Errors
/// What was sealed is no secret of ours.
pub(super) fn handover(secret: &Secret, user: &str) -> Result<Handover, VaultError> {
    let unusable = |_says_nothing| VaultError::Malformed;
    // The label is `issuer:account`, so the account has no colon.
    let totp = builder(secret)?
        .with_issuer(Some(ISSUER))
        .with_account_name(user.replace(':', "."))
        .build()
        .map_err(unusable)?;
    Ok(Handover {
        url: Secret::new(totp.to_url().map_err(unusable)?),
        qr_png: Secret::new(totp.to_qr_base64().map_err(unusable)?),
    })
}

/// The step whose code this is, among the current and the previous one and later than `after`. The codes of both are computed and
/// compared as a whole whatever came, so that the time says nothing about which were used or how much of one was right.
///
/// # Errors
/// What was sealed is no secret of ours.
pub(super) fn accepted_step(
    secret: &Secret,
    code: &str,
    now: Timestamp,
    after: Option<i64>,
) -> Result<Option<i64>, VaultError> {
    let totp: Totp = builder(secret)?
        .build()
        .map_err(|_says_nothing| VaultError::Malformed)?;
    let current = now.as_secs().div_euclid(STEP);
    let compared = [current - 1, current].map(|step| {
        let begins = u64::try_from(step * STEP).unwrap_or(0);
        (step, totp.check(code, begins).is_some())
    });
    let accepted = compared.into_iter().filter(|(_, is_its_code)| *is_its_code);
    let unused = accepted
        .map(|(step, _)| step)
        .filter(|step| after.is_none_or(|after| *step > after));
    Ok(unused.max())
}

/// Without skew: which steps count is decided here, and the library would take the next one too.
fn builder(secret: &Secret) -> Result<Builder, VaultError> {
    let secret = Base32::try_from_base32(secret.expose()).map_err(|_says_nothing| VaultError::Malformed)?;
    Ok(Builder::new().with_secret(secret).with_skew(0))
}

/// Whose codes these are, as authenticators show it.
const ISSUER: &str = "Postern";
/// Seconds.
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
    fn the_codes_of_the_rfc_are_accepted() {
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(step(code, seconds, None), Some(seconds / 30), "{code}");
        }
    }

    #[test]
    fn a_code_counts_in_its_own_step_and_the_next_and_only_once() {
        let begins = 1_111_111_080;
        let its_step = begins / 30;
        for (seconds, accepted) in [
            (-31, false),
            (-1, false),
            (0, true),
            (59, true),
            (60, false),
            (90, false),
        ] {
            assert_eq!(step("081804", begins + seconds, None).is_some(), accepted, "{seconds}");
        }
        assert_eq!(step("081804", begins, Some(its_step - 1)), Some(its_step));
        assert_eq!(step("081804", begins, Some(its_step)), None);
    }

    #[test]
    fn what_is_no_code_is_no_code() {
        for text in ["", "28708", "2870822", "28708a", "+28708", "\u{0662}87082", "287 082"] {
            assert_eq!(step(text, 59, None), None, "{text}");
        }
    }

    #[test]
    fn an_authenticator_is_given_the_secret_under_the_users_name() {
        let secret = generate(&SeededEntropy::new(7));
        let handover = handover(&secret, "tenant:GEN-001").unwrap();
        let url = format!(
            "otpauth://totp/Postern:tenant.GEN-001?secret={}&issuer=Postern",
            secret.expose()
        );
        assert_eq!(handover.url.expose().replace("%2E", ".").replace("%2D", "-"), url);
        // The signature of a PNG in base64.
        assert!(handover.qr_png.expose().starts_with("iVBORw0KGgo"));
    }
}
