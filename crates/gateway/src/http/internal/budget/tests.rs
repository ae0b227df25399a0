//! Tests: limits of callers and of addresses.

use super::*;

fn caller(name: &str, requests_per_second: u32, requests_in_flight: u32) -> InternalCaller {
    InternalCaller {
        name: Some(name.to_owned()),
        scopes: Vec::new(),
        limits: CallerLimits {
            requests_per_second: NonZeroU32::new(requests_per_second).unwrap(),
            requests_in_flight: NonZeroU32::new(requests_in_flight).unwrap(),
        },
    }
}

fn address(last: u8) -> Option<IpAddr> {
    Some(IpAddr::from([192, 0, 2, last]))
}

fn exceeded<T>(admitted: Result<T, ExceededLimit>) -> Option<ExceededLimit> {
    admitted.err()
}

#[tokio::test(start_paused = true)]
async fn hot_caller_is_limited_and_no_other() {
    let (now, hot, other) = (Instant::now(), caller("hot", 5, 100), caller("other", 5, 100));
    let budgets = CallerBudgets::new(now);
    for _ in 0..5 {
        assert_eq!(exceeded(budgets.admit(&hot, None, now)), None);
    }
    let wait = Duration::from_millis(200);
    assert_eq!(
        exceeded(budgets.admit(&hot, None, now)),
        Some(ExceededLimit::Rate(wait))
    );
    assert_eq!(exceeded(budgets.admit(&other, None, now)), None);
    assert_eq!(exceeded(budgets.admit(&hot, None, now + wait)), None);
}

#[tokio::test(start_paused = true)]
async fn requests_in_flight_are_counted_until_they_end() {
    let (now, slow) = (Instant::now(), caller("slow", 100, 2));
    let budgets = CallerBudgets::new(now);
    let first = budgets.admit(&slow, None, now).ok();
    let _second = budgets.admit(&slow, None, now).ok();
    assert_eq!(exceeded(budgets.admit(&slow, None, now)), Some(ExceededLimit::InFlight));
    drop(first);
    let third = budgets.admit(&slow, None, now);
    assert!(third.is_ok());
    assert_eq!(exceeded(budgets.admit(&slow, None, now)), Some(ExceededLimit::InFlight));
}

#[tokio::test(start_paused = true)]
async fn each_event_of_a_batch_counts() {
    let (now, caller) = (Instant::now(), caller("batches", 100, 10));
    let budgets = CallerBudgets::new(now);
    let request = budgets.admit(&caller, None, now).ok().unwrap();
    let events = |count| request.admit_events(NonZeroU32::new(count).unwrap(), now);
    assert_eq!(events(80), Ok(()));
    assert!(matches!(events(80), Err(ExceededLimit::Rate(_))));
    assert_eq!(events(19), Ok(()));
    assert!(budgets.admit(&caller, None, now).is_err());
}

#[tokio::test(start_paused = true)]
async fn changed_limits_apply_to_the_next_request() {
    let now = Instant::now();
    let budgets = CallerBudgets::new(now);
    assert!(budgets.admit(&caller("a", 1, 1), None, now).is_ok());
    assert!(budgets.admit(&caller("a", 1, 1), None, now).is_err());
    assert!(budgets.admit(&caller("a", 2, 1), None, now).is_ok());
    assert!(budgets.admit(&caller("a", 2, 1), None, now).is_ok());
    assert!(budgets.admit(&caller("a", 2, 1), None, now).is_err());
}

#[tokio::test(start_paused = true)]
async fn right_guess_looks_as_a_wrong_one_after_too_many() {
    let (now, server) = (Instant::now(), caller("server", 1_000, 100));
    let budgets = CallerBudgets::new(now);
    assert_eq!(exceeded(budgets.admit(&server, address(1), now)), None);
    let attacker = address(2).unwrap();
    let checked = (0..1_000)
        .filter(|_| budgets.refuse_token(attacker, now).is_ok())
        .count();
    assert_eq!(checked, 100);
    let wrong = exceeded(budgets.refuse_token(attacker, now));
    assert!(matches!(wrong, Some(ExceededLimit::RefusedTokens(_))));
    assert_eq!(exceeded(budgets.admit(&server, Some(attacker), now)), wrong);
    // The caller's own address is another one.
    assert_eq!(exceeded(budgets.admit(&server, address(1), now)), None);
}

#[tokio::test(start_paused = true)]
async fn server_with_a_wrong_token_locks_out_none_that_shares_its_address() {
    let (now, server) = (Instant::now(), caller("server", 1_000, 100));
    let budgets = CallerBudgets::new(now);
    let shared = address(1);
    assert_eq!(exceeded(budgets.admit(&server, shared, now)), None);
    for _ in 0..1_000 {
        let _refused = budgets.refuse_token(shared.unwrap(), now);
    }
    assert_eq!(exceeded(budgets.admit(&server, shared, now)), None);
    // Changed limits forget no address.
    assert_eq!(exceeded(budgets.admit(&caller("server", 2, 2), shared, now)), None);
}

#[tokio::test(start_paused = true)]
async fn number_of_budgets_is_bounded() {
    let now = Instant::now();
    let budgets = CallerBudgets::new(now);
    let held = budgets.admit(&caller("held", 1, 1), None, now).ok();
    for number in 0..3 * MAX_CALLERS {
        assert!(budgets.admit(&caller(&number.to_string(), 1, 1), None, now).is_ok());
    }
    assert!(lock(&budgets.callers).len() <= MAX_CALLERS + 1);
    assert!(budgets.admit(&caller("held", 1, 1), None, now).is_err());
    drop(held);
    for number in 0..3 * MAX_ADDRESSES {
        let from = IpAddr::from(u32::try_from(number).unwrap().to_be_bytes());
        drop(budgets.admit(&caller("many", 1, 1), Some(from), now));
    }
    let many = budgets.of(&caller("many", 1, 1), now);
    assert!(lock(&many.state).addresses.len() <= MAX_ADDRESSES);
}
