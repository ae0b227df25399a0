//! Recovery codes: ten at enrolment, 80 bits each, used once, tried five times an hour.

use std::time::Duration;

use lifecycle::Entropy;
use protocol::secret::Secret;
use protocol::time::Timestamp;
use totp_rs::Secret as Base32;

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

/// What is meant by a text that could be a recovery code: hyphens, spaces and case do not count.
pub(super) fn read(text: &Secret) -> Option<Secret> {
    let letters = text.expose().chars().filter(|letter| !matches!(letter, '-' | ' '));
    let code: String = letters.map(|letter| letter.to_ascii_uppercase()).collect();
    let is_code = code.len() == LENGTH && code.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'));
    is_code.then(|| Secret::new(code))
}

/// The tries that count from now on, this one with them.
///
/// # Errors
/// How long to wait: there were enough within the hour.
pub(super) fn count(tried: &[Timestamp], now: Timestamp) -> Result<Vec<Timestamp>, Duration> {
    let mut counted: Vec<_> = tried.iter().copied().filter(|at| now.since(*at) < HOUR).collect();
    if let Some(oldest) = counted.first()
        && counted.len() >= TRIES
    {
        return Err(oldest.plus(HOUR).since(now));
    }
    counted.push(now);
    Ok(counted)
}

/// How many there are.
pub(super) const CODES: usize = 10;

/// 80 bits in base32 (RFC 4648, section 6).
const LENGTH: usize = 16;
const GROUP: usize = 4;
const TRIES: usize = 5;
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
        fn no_hour_holds_more_than_five_tries(pauses in proptest::collection::vec(0..2_000_000_u64, 1..60)) {
            let mut now = Timestamp::from_millis(0);
            let (mut tried, mut taken) = (Vec::new(), Vec::new());
            for pause in pauses {
                now = now.plus(Duration::from_millis(pause));
                if let Ok(counted) = count(&tried, now) {
                    tried = counted;
                    taken.push(now);
                }
                let within = taken.iter().filter(|at| now.since(**at) < HOUR).count();
                prop_assert!(within <= TRIES, "{within}");
            }
        }
    }
}
