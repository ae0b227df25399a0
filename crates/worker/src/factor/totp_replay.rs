//! Replay protection of time-based codes: each time step is accepted once (RFC 6238, section 5.2).

/// Latest of the steps whose code matches that is later than the last step used; `None` if the code is wrong or was used before.
pub(super) fn unused_step(matching: impl Iterator<Item = i64>, last_used: Option<i64>) -> Option<i64> {
    matching.filter(|step| last_used.is_none_or(|last| *step > last)).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_is_accepted_only_after_the_last_one_used() {
        for (matching, last_used, accepted) in [
            (vec![], None, None),
            (vec![7], None, Some(7)),
            (vec![7], Some(6), Some(7)),
            (vec![7], Some(7), None),
            (vec![7], Some(8), None),
            (vec![6, 7], Some(6), Some(7)),
        ] {
            assert_eq!(
                unused_step(matching.iter().copied(), last_used),
                accepted,
                "{matching:?}, {last_used:?}"
            );
        }
    }
}
