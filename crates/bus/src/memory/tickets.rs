//! Tickets in memory.

use async_trait::async_trait;
use protocol::id::SessionId;
use protocol::time::Timestamp;

use super::expiring::Expiring;
use super::{MemoryBus, lock};
use crate::bounds::TICKET_LIFE;
use crate::{BusError, Heard, Hold, Redeemed, Ticket, TicketKey, Tickets};

/// The tickets there are.
pub(super) type Issued = Expiring<TicketKey, Record>;

/// A ticket, how often it was redeemed, and when the last one came who did.
#[derive(Debug, Clone)]
pub(super) struct Record {
    ticket: Ticket,
    redemption: u64,
    came: Option<Timestamp>,
}

#[async_trait]
impl Tickets for MemoryBus {
    async fn issue(&self, key: &TicketKey, ticket: &Ticket) -> Result<Hold, BusError> {
        let (ticket, redemption) = (ticket.clone(), 0);
        let record = Record {
            ticket,
            redemption,
            came: None,
        };
        lock(&self.shared.tickets).insert(key.clone(), record, TICKET_LIFE);
        Ok(Hold {
            key: key.clone(),
            redemption,
        })
    }

    async fn redeem(
        &self,
        key: &TicketKey,
        session: &SessionId,
        came: Timestamp,
    ) -> Result<Option<Redeemed>, BusError> {
        let mut events = lock(&self.shared.events);
        let epoch = events.position(&key.user, &*self.shared.entropy).epoch;
        let mut issued = lock(&self.shared.tickets);
        let known = issued.get(key).cloned();
        // Of an order that has begun anew nobody can say what was missed.
        let good = known.filter(|Record { ticket, .. }| ticket.session == *session && ticket.begins.epoch == epoch);
        // One that was held up is overtaken by the next, and its client has given it up.
        let good = good.filter(|known| known.came.is_none_or(|last| last <= came));
        let Some(Record { ticket, redemption, .. }) = good else {
            return Ok(None);
        };
        let redemption = redemption + 1;
        let record = Record {
            ticket: ticket.clone(),
            redemption,
            came: Some(came),
        };
        issued.insert(key.clone(), record, TICKET_LIFE);
        let redeemed = Heard::Redeemed {
            user: key.user.clone(),
            ticket: key.id.clone(),
            redemption,
        };
        events.tell(&key.user, &redeemed);
        let key = key.clone();
        Ok(Some(Redeemed {
            ticket,
            hold: Hold { key, redemption },
        }))
    }

    async fn keep(&self, holds: &[Hold]) -> Result<Vec<bool>, BusError> {
        let mut issued = lock(&self.shared.tickets);
        let keep = |hold: &Hold| {
            let Some(record) = issued.get(&hold.key).cloned() else {
                return true;
            };
            let holds = record.redemption == hold.redemption;
            if holds {
                issued.insert(hold.key.clone(), record, TICKET_LIFE);
            }
            holds
        };
        Ok(holds.iter().map(keep).collect())
    }

    async fn void(&self, hold: &Hold) -> Result<(), BusError> {
        let mut issued = lock(&self.shared.tickets);
        if issued
            .get(&hold.key)
            .is_some_and(|record| record.redemption == hold.redemption)
        {
            issued.remove(&hold.key);
        }
        Ok(())
    }
}
