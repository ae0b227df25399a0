//! Commands on the connection of a subscriber, one exchange at a time.

use std::sync::Arc;
use std::time::Duration;

use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike, PubsubInterface};
use fred::types::CustomCommand;
use futures_util::future::join_all;
use tokio::time::sleep;

use super::registry::{Batch, BatchResult, Channel};
use crate::redis::client::command_failure::refusal;

/// Applies a batch. Returns the last error beside the result.
///
/// Each SSUBSCRIBE names one channel; all are sent at once, and each waits for its own reply: fred takes the first of several
/// confirmations for the reply, and the others for replies to the next commands. That reply is the server's own confirmation, for
/// which SUBSCRIBE needs a PING. A cluster refuses a command with channels of several slots.
pub(super) async fn apply(fred: &Client, batch: &Batch) -> (BatchResult, Option<Error>) {
    let mut error = None;
    let mut done = BatchResult::default();
    let subscribe = batch.subscribe.iter().map(|channel| subscribe(fred, channel));
    for (channel, outcome) in join_all(subscribe).await {
        match outcome {
            Ok(()) => done.confirmed.push(channel),
            Err(failure) => match refusal(&failure) {
                Some("MOVED" | "ASK" | "TRYAGAIN") => done.moved.push(channel),
                Some("CLUSTERDOWN") => {
                    done.moved.push(channel);
                    error = Some(failure);
                }
                Some(_) => {
                    done.refused.push((channel, failure.clone()));
                    error = Some(failure);
                }
                None => error = Some(failure),
            },
        }
    }
    if !batch.unsubscribe.is_empty() {
        let unsubscribed = unsubscribe(fred, &batch.unsubscribe).await;
        done.unsubscribed = unsubscribed.is_ok();
        error = unsubscribed.err().or(error);
    }
    (done, error)
}

/// Unsubscribes, and waits until each reply of the connection is that of its command again.
///
/// fred expects no reply to SUNSUBSCRIBE: it takes a refusal for the reply to the next command. A node of a cluster refuses it for channels
/// whose slot has left it, and has unsubscribed those itself. So PINGs follow, until one returns its own text: replies for which fred
/// has no command are dropped.
async fn unsubscribe(fred: &Client, channels: &[Channel]) -> Result<(), Error> {
    let unsubscribe = channels.iter().map(|channel| fred.sunsubscribe(channel.as_ref()));
    for outcome in join_all(unsubscribe).await {
        outcome?;
    }
    for attempt in 0..ATTEMPTS {
        let text = format!("unsubscribed {attempt}");
        match fred.ping::<String>(Some(text.clone())).await {
            Ok(reply) if reply == text => return Ok(()),
            Ok(_late) => {}
            Err(error) if refusal(&error).is_some() => {}
            Err(error) if *error.kind() == ErrorKind::Timeout => break,
            Err(error) => return Err(error),
        }
        sleep(PAUSE * 2_u32.pow(attempt)).await;
    }
    Err(Error::new(ErrorKind::Protocol, OUT_OF_STEP))
}

/// Reports whether an error says that replies are no longer those of their commands.
pub(super) fn is_out_of_step(error: &Error) -> bool {
    error.details() == OUT_OF_STEP
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

const OUT_OF_STEP: &str = "replies are out of step with their commands";

/// PINGs after which a connection is replaced that still returns other replies, and the pause after the first of them, which doubles.
const ATTEMPTS: u32 = 6;
const PAUSE: Duration = Duration::from_millis(10);

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
