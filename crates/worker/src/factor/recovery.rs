//! Recovery codes: ten at enrolment, 80 bits each, used once, tried five times an hour.

use std::time::Duration;

use lifecycle::Entropy;
use protocol::id::SessionId;
use protocol::secret::Secret;
use protocol::time::Timestamp;
use store::RecoveryAttempt;
use totp_rs::Secret as Base32;

use super::typed_text;

/// A new code as its user reads it: `ABCD-EFGH-IJKL-MNOP`.
pub(super) fn generate(entropy: &dyn Entropy) -> Secret {
    let text = Base32::from(entropy.bytes::<10>()).to_base32();
    let mut written = String::with_capacity(LENGTH + LENGTH / GROUP);
    for (place, letter) in text.chars().enumerate() {
        if place > 0 && place % GROUP == 0 {
            written.push('-');
        }
        written.push(letter);
    }
    Secret::new(written)
}

/// What is meant by a text that could be a recovery code: neither separators count nor case, whose Turkish forms of I are read too.
pub(super) fn read(text: &Secret) -> Option<Secret> {
    let letters = typed_text::normalized(text.expose());
    let upper = letters.chars().map(|letter| match letter {
        '\u{130}' | '\u{131}' => 'I',
        other => other.to_ascii_uppercase(),
    });
    let code: String = upper.collect();
    let is_code = code.len() == LENGTH && code.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'));
    is_code.then(|| Secret::new(code))
}

/// Who tries a recovery code, and how many of the hour's tries may be theirs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trying<'a> {
    pub(super) session: &'a SessionId,
    pub(super) most: usize,
}

/// The tries that count from now on, this one with them.
///
/// # Errors
/// How long to wait: there were enough within the hour, or enough of this session.
pub(super) fn count(
    tried: &[RecoveryAttempt],
    trying: Trying<'_>,
    now: Timestamp,
) -> Result<Vec<RecoveryAttempt>, Duration> {
    let recent = tried.iter().filter(|tried| now.since(tried.at) < HOUR);
    let mut counted: Vec<_> = recent.cloned().collect();
    let of_all = counted.iter().rev().nth(TRIES - 1);
    let mut own = counted.iter().rev().filter(|tried| tried.session == *trying.session);
    let of_own = own.nth(trying.most.saturating_sub(1));
    if let Some(until) = of_all.into_iter().chain(of_own).map(|tried| tried.at.plus(HOUR)).max() {
        return Err(until.since(now));
    }
    counted.push(RecoveryAttempt {
        at: now,
        session: trying.session.clone(),
    });
    Ok(counted)
}

/// How many there are.
pub(super) const CODES: usize = 10;

/// 80 bits in base32 (RFC 4648, section 6).
const LENGTH: usize = 16;
const GROUP: usize = 4;
/// In an hour.
pub(super) const TRIES: usize = 5;
const HOUR: Duration = Duration::from_secs(60 * 60);

#[cfg(test)]
mod tests {
    use lifecycle::SeededEntropy;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_is_read_as_it_was_written_whatever_its_case_and_spaces() {
        let written = generate(&SeededEntropy::new(7));
        let meant = read(&written).unwrap();
        assert_eq!(written.expose().len(), 19);
        assert_eq!(meant.expose(), written.expose().replace('-', ""));
        let typed = Secret::new(written.expose().to_ascii_lowercase().replace('-', " "));
        assert_eq!(read(&typed).unwrap().expose(), meant.expose());
        assert!(read(&Secret::new("123456")).is_none());
    }

    proptest! {
        #[test]
        fn no_hour_holds_more_than_five_tries_and_none_more_than_three_of_one_session(
            tries in proptest::collection::vec((0..2_000_000_u64, 0..3_u8), 1..60),
        ) {
            let mut now = Timestamp::from_millis(0);
            let mut tried = Vec::new();
            let mut taken: Vec<RecoveryAttempt> = Vec::new();
            for (pause, session) in tries {
                now = now.plus(Duration::from_millis(pause));
                let session = SessionId::new(session.to_string()).unwrap();
                let trying = Trying { session: &session, most: 3 };
                match count(&tried, trying, now) {
                    Ok(counted) => {
                        tried = counted;
                        taken.extend(tried.last().cloned());
                    }
                    Err(wait) => {
                        prop_assert!(!wait.is_zero() && wait <= HOUR);
                        prop_assert!(count(&tried, trying, now.plus(wait)).is_ok());
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
