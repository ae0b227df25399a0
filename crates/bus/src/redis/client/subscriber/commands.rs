//! Commands on the connection of a subscriber.

use std::sync::Arc;

use fred::clients::Client;
use fred::error::Error;
use fred::interfaces::{ClientLike, PubsubInterface};
use fred::types::CustomCommand;
use futures_util::future::join_all;

use super::registry::{Batch, BatchResult, Channel};
use crate::redis::client::command_failure::refusal;

/// Applies a batch. Returns the last error beside the result.
///
/// Each SSUBSCRIBE names one channel; all are sent at once, and each waits for its own reply: fred takes the first of several
/// confirmations for the reply, and the others for replies to the next commands. That reply is the server's own confirmation, for
/// which SUBSCRIBE needs a PING. Each SUNSUBSCRIBE names one channel too: a cluster refuses those of several slots, and as fred expects no
/// reply to it, it takes the refusal for the reply to the next command.
pub(super) async fn apply(fred: &Client, batch: &Batch) -> (BatchResult, Option<Error>) {
    let mut error = None;
    let mut done = BatchResult {
        unsubscribed: true,
        ..BatchResult::default()
    };
    let unsubscribe = batch
        .unsubscribe
        .iter()
        .map(|channel| fred.sunsubscribe(channel.as_ref()));
    for outcome in join_all(unsubscribe).await {
        done.unsubscribed &= outcome.is_ok();
        error = outcome.err().or(error);
    }
    let subscribe = batch.subscribe.iter().map(|channel| subscribe(fred, channel));
    for (channel, outcome) in join_all(subscribe).await {
        match outcome {
            Ok(()) => done.confirmed.push(channel),
            Err(command_failure) => {
                if refusal(&command_failure).is_some() {
                    done.refused.push((channel, command_failure.clone()));
                }
                error = Some(command_failure);
            }
        }
    }
    (done, error)
}

async fn subscribe(fred: &Client, channel: &Channel) -> (Channel, Result<(), Error>) {
    (Arc::clone(channel), fred.ssubscribe(channel.as_ref()).await)
}

/// Asks how many sharded channels the server counts on this connection: that it has ended one itself is a message that fred drops. None if
/// the server does not tell. Redis does so since 7.0.3, to users that may run CLIENT INFO.
pub(super) async fn count_subscriptions(fred: &Client) -> Result<Option<usize>, Error> {
    let info = CustomCommand::new_static("CLIENT", None::<u16>, false);
    match fred.custom::<String, _>(info, vec!["INFO"]).await {
        Ok(fields) => Ok(sharded_channels(&fields)),
        Err(error) if refusal(&error).is_some() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads the field `ssub` of CLIENT INFO.
fn sharded_channels(fields: &str) -> Option<usize> {
    let mut fields = fields.split_ascii_whitespace();
    fields.find_map(|field| field.strip_prefix("ssub=")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sharded_channels_are_those_of_their_field() {
        let info = "id=3 addr=127.0.0.1:1 name= flags=P db=0 sub=7 psub=8 ssub=512 multi=-1 cmd=client|info resp=3\n";
        assert_eq!(sharded_channels(info), Some(512));
        assert_eq!(sharded_channels("id=3 sub=7 psub=8 multi=-1"), None);
        assert_eq!(sharded_channels("ssub=many"), None);
    }
}
