//! `begin_exchange`: whoever inserts the row may send.

use async_trait::async_trait;

use crate::accounts::{Exchange, ExchangeStart};
use crate::postgres::error::Failure;
use crate::postgres::pool::{Ending, Work};
use crate::postgres::transaction::Transaction;
use crate::postgres::{pauses, sessions};

pub(super) struct BeginExchange<'a>(pub(super) &'a Exchange);

#[async_trait]
impl Work for BeginExchange<'_> {
    type Outcome = ExchangeStart;

    async fn run(&self, tx: &Transaction<'_>) -> Result<Ending<ExchangeStart>, Failure> {
        let Self(exchange) = self;
        let paused = pauses::left(tx, exchange.account).await?;
        if !paused.is_zero() {
            return Ok(Ending::RollBack(ExchangeStart::Paused(paused)));
        }
        // A conflict on either hash: the code was sent, or the state was used up with another code.
        let insert = "INSERT INTO exchanges (code_hash, state_hash, user_id, session_id, account_type) \
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
        let state_hash = exchange.state_hash.as_ref().map(<[u8; 32]>::as_slice);
        let inserted = tx
            .execute(
                insert,
                &[
                    &exchange.code_hash.as_slice(),
                    &state_hash,
                    &exchange.user.as_str(),
                    &exchange.session.as_str(),
                    &exchange.account.as_str(),
                ],
            )
            .await?;
        sessions::refuse_ended(tx, &exchange.user, Some(&exchange.session)).await?;
        Ok(match inserted {
            0 => Ending::RollBack(ExchangeStart::Spent),
            _ => Ending::Commit(ExchangeStart::First),
        })
    }
}
