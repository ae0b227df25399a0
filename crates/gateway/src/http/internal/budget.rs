//! Budgets of the callers on this gateway: requests per second and in flight of each caller, and refused tokens of each address.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::rate::{Limit, Limits};
use crate::settings::{CallerLimits, InternalCaller, Rate};

/// Budgets of all callers. What one caller uses up, no other lacks.
pub(crate) struct CallerBudgets {
    callers: Mutex<HashMap<String, Arc<CallerBudget>>>,
    refused_tokens: Mutex<Limits<IpAddr>>,
}

/// Budget of one caller, whatever its number of tokens.
struct CallerBudget {
    limits: CallerLimits,
    state: Mutex<BudgetState>,
}

struct BudgetState {
    rate: Limit,
    in_flight: u32,
    /// Addresses that the caller has called from.
    addresses: HashSet<IpAddr>,
}

/// Place of a request among those of its caller in flight, until it is dropped.
pub(super) struct InFlight(Arc<CallerBudget>);

/// Exceeded limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExceededLimit {
    /// Refused tokens of the address, with the time until another one is checked.
    RefusedTokens(Duration),
    /// Requests per second of the caller, with the time until the next one is admitted.
    Rate(Duration),
    /// Requests in flight of the caller.
    InFlight,
}

impl CallerBudgets {
    /// Creates full budgets.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            callers: Mutex::default(),
            refused_tokens: Mutex::new(Limits::new(REFUSED_TOKENS, now)),
        }
    }

    /// Counts a refused token of an address.
    pub(super) fn refuse_token(&self, address: IpAddr, now: Instant) -> Result<(), ExceededLimit> {
        let counted = lock(&self.refused_tokens).admit(&address, now);
        counted.map_err(ExceededLimit::RefusedTokens)
    }

    /// Admits a request with a valid token.
    ///
    /// From an address that its caller has not called from, the token counts as a refused one does: whoever guesses tokens does not see
    /// that one was right. From the others it is accepted whatever is refused there, so that a server with a wrong token locks out none
    /// that shares its address.
    pub(super) fn admit(
        &self,
        caller: &InternalCaller,
        address: Option<IpAddr>,
        now: Instant,
    ) -> Result<InFlight, ExceededLimit> {
        let budget = self.of(caller, now);
        {
            let mut state = lock(&budget.state);
            if let Some(address) = address.filter(|address| !state.addresses.contains(address)) {
                self.refuse_token(address, now)?;
                if state.addresses.len() >= MAX_ADDRESSES {
                    state.addresses.clear();
                }
                state.addresses.insert(address);
            }
            if state.in_flight >= budget.limits.requests_in_flight.get() {
                return Err(ExceededLimit::InFlight);
            }
            state.rate.admit(now).map_err(ExceededLimit::Rate)?;
            state.in_flight += 1;
        }
        Ok(InFlight(budget))
    }

    /// Budget of a caller; a full one if it has none, or had other limits.
    fn of(&self, caller: &InternalCaller, now: Instant) -> Arc<CallerBudget> {
        let mut budgets = lock(&self.callers);
        let known = budgets.get(caller.label());
        if let Some(budget) = known.filter(|budget| budget.limits == caller.limits) {
            return Arc::clone(budget);
        }
        let addresses = known.map(|budget| std::mem::take(&mut lock(&budget.state).addresses));
        if budgets.len() >= MAX_CALLERS {
            // Those that are in no tokens file any more are among them.
            budgets.retain(|_, budget| Arc::strong_count(budget) > 1);
        }
        let budget = Arc::new(CallerBudget::new(caller.limits, addresses.unwrap_or_default(), now));
        budgets.insert(caller.label().to_owned(), Arc::clone(&budget));
        budget
    }
}

impl CallerBudget {
    fn new(limits: CallerLimits, addresses: HashSet<IpAddr>, now: Instant) -> Self {
        let rate = Rate {
            per_second: limits.requests_per_second,
            burst: limits.requests_per_second,
        };
        Self {
            limits,
            state: Mutex::new(BudgetState {
                rate: Limit::new(rate, now),
                in_flight: 0,
                addresses,
            }),
        }
    }
}

impl InFlight {
    /// Counts further events of the request, which are admitted together or not at all.
    pub(super) fn admit_events(&self, count: NonZeroU32, now: Instant) -> Result<(), ExceededLimit> {
        let admitted = lock(&self.0.state).rate.admit_many(count, now);
        admitted.map_err(ExceededLimit::Rate)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.in_flight = state.in_flight.saturating_sub(1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Refused tokens of one address.
const REFUSED_TOKENS: Rate = Rate {
    per_second: NonZeroU32::MIN.saturating_add(9),
    burst: NonZeroU32::MIN.saturating_add(99),
};
/// Bound of the addresses of a caller that are remembered.
const MAX_ADDRESSES: usize = 1_024;
/// Number of budgets above which those without a request in flight are dropped: four times the entries of a tokens file.
const MAX_CALLERS: usize = 1_024;

#[cfg(test)]
mod tests;
