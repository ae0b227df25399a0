//! `begin_exchange`: the transaction that inserts the row may send the request.

use async_trait::async_trait;

use crate::accounts::{Exchange, ExchangeStart};
use crate::postgres::error::Failure;
use crate::postgres::pool::{Ending, Work};
use crate::postgres::transaction::Transaction;
use crate::postgres::{pauses, session_check};

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
        // A conflict on either hash means that the code was sent, or that the state was used with another code.
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
        session_check::refuse_ended(tx, &exchange.user, Some(&exchange.session)).await?;
        Ok(match inserted {
            0 => Ending::RollBack(ExchangeStart::Spent),
            _ => Ending::Commit(ExchangeStart::First),
        })
    }
}
