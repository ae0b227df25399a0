//! Recovery codes: ten at enrolment, 80 bits each, valid once, five attempts an hour.

use std::time::Duration;

use lifecycle::Entropy;
use protocol::id::SessionId;
use protocol::secret::Secret;
use protocol::time::Timestamp;
use store::RecoveryAttempt;
use totp_rs::Secret as Base32;

use super::typed_text;

/// Generates a code in the form that the user sees: `ABCD-EFGH-IJKL-MNOP`.
pub(super) fn generate(entropy: &dyn Entropy) -> Secret {
    let text = Base32::from(entropy.bytes::<10>()).to_base32();
    let mut written = String::with_capacity(LENGTH + LENGTH / GROUP);
    for (index, character) in text.chars().enumerate() {
        if index > 0 && index % GROUP == 0 {
            written.push('-');
        }
        written.push(character);
    }
    Secret::new(written)
}

/// Normalizes a typed recovery code; `None` where the text is not one. Separators and case do not matter, and the Turkish forms of I
/// are accepted too.
pub(super) fn parse(text: &Secret) -> Option<Secret> {
    let text = typed_text::normalized(text.expose());
    let upper = text.chars().map(|character| match character {
        '\u{130}' | '\u{131}' => 'I',
        other => other.to_ascii_uppercase(),
    });
    let code: String = upper.collect();
    let is_code = code.len() == LENGTH && code.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'));
    is_code.then(|| Secret::new(code))
}

/// Quota of a session in the attempts with recovery codes of an hour.
#[derive(Debug, Clone, Copy)]
pub(super) struct SessionQuota<'a> {
    pub(super) session: &'a SessionId,
    pub(super) limit: usize,
}

/// Adds an attempt to those of the last hour.
///
/// # Errors
/// Time until the next attempt is allowed: the hour's attempts, or those of this session, are used up.
pub(super) fn count(
    tried: &[RecoveryAttempt],
    quota: SessionQuota<'_>,
    now: Timestamp,
) -> Result<Vec<RecoveryAttempt>, Duration> {
    let recent = tried.iter().filter(|tried| now.since(tried.at) < HOUR);
    let mut counted: Vec<_> = recent.cloned().collect();
    let exhausted = counted.iter().rev().nth(TRIES - 1);
    let mut own = counted.iter().rev().filter(|tried| tried.session == *quota.session);
    let own_exhausted = own.nth(quota.limit.saturating_sub(1));
    if let Some(until) = exhausted
        .into_iter()
        .chain(own_exhausted)
        .map(|tried| tried.at.plus(HOUR))
        .max()
    {
        return Err(until.since(now));
    }
    counted.push(RecoveryAttempt {
        at: now,
        session: quota.session.clone(),
    });
    Ok(counted)
}

/// Number of recovery codes that an enrolment issues.
pub(super) const CODES: usize = 10;

/// Characters of 80 bits in base32 (RFC 4648, section 6).
const LENGTH: usize = 16;
const GROUP: usize = 4;
/// Attempts of one user in an hour.
pub(super) const TRIES: usize = 5;
const HOUR: Duration = Duration::from_secs(60 * 60);

#[cfg(test)]
mod tests {
    use lifecycle::SeededEntropy;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn code_parses_in_lower_case_and_with_spaces() {
        let written = generate(&SeededEntropy::new(7));
        let normalized = parse(&written).unwrap();
        assert_eq!(written.expose().len(), 19);
        assert_eq!(normalized.expose(), written.expose().replace('-', ""));
        let typed = Secret::new(written.expose().to_ascii_lowercase().replace('-', " "));
        assert_eq!(parse(&typed).unwrap().expose(), normalized.expose());
        assert!(parse(&Secret::new("123456")).is_none());
    }

    proptest! {
        #[test]
        fn an_hour_admits_five_attempts_and_three_of_one_session(
            tries in proptest::collection::vec((0..2_000_000_u64, 0..3_u8), 1..60),
        ) {
            let mut now = Timestamp::from_millis(0);
            let mut tried = Vec::new();
            let mut taken: Vec<RecoveryAttempt> = Vec::new();
            for (pause, session) in tries {
                now = now.plus(Duration::from_millis(pause));
                let session = SessionId::new(session.to_string()).unwrap();
                let quota = SessionQuota { session: &session, limit: 3 };
                match count(&tried, quota, now) {
                    Ok(counted) => {
                        tried = counted;
                        taken.extend(tried.last().cloned());
                    }
                    Err(wait) => {
                        prop_assert!(!wait.is_zero() && wait <= HOUR);
                        prop_assert!(count(&tried, quota, now.plus(wait)).is_ok());
                    }
                }
                let within: Vec<_> = taken.iter().filter(|taken| now.since(taken.at) < HOUR).collect();
                prop_assert!(within.len() <= TRIES, "{within:?}");
                let own = within.iter().filter(|taken| taken.session == session).count();
                prop_assert!(own <= 3, "{within:?}");
            }
        }
    }
}
