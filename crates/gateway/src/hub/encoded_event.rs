//! Event that is delivered to several sockets: encoded once per encoding, and compressed once per encoding and window, for any number of
//! sockets.

use protocol::account::AccountType;
use protocol::cluster::envelope::{Audience, Envelope};
use protocol::cluster::offset::Offset;
use protocol::event::{DeliveryClass, name};
use protocol::wire::{Message, Push};
use serde::Deserialize;

use crate::deflate::{PerMessageDeflate, Window};
use crate::socket::{ClientEncoding, FeedEvent, OutboundQueue, OutgoingMessage};

/// Event with its messages so far.
pub(super) struct EncodedEvent<'a> {
    envelope: &'a Envelope,
    /// Text of the offset, unless the event is for one socket or session.
    offset: Option<String>,
    syncing: Option<AccountType>,
    by_encoding: [Option<Message>; ClientEncoding::COUNT],
    /// One entry per encoding and window, nearly always of one window.
    deflated: Vec<(ClientEncoding, Window, OutgoingMessage)>,
}

impl<'a> EncodedEvent<'a> {
    /// Takes an event of the log.
    pub(super) fn new(offset: &Offset, envelope: &'a Envelope) -> Self {
        Self {
            envelope,
            offset: (envelope.audience == Audience::User).then(|| offset.to_string()),
            syncing: syncing(envelope),
            by_encoding: Default::default(),
            deflated: Vec::new(),
        }
    }

    /// Queues the event for a socket of this encoding: at once, or in a batch with others of its class. True if the queue is to be sent.
    pub(super) fn send(&mut self, encoding: ClientEncoding, outbound: &OutboundQueue) -> bool {
        let alone = self.outgoing(encoding, outbound.deflate());
        let published_at = self.envelope.published_at;
        match self.envelope.class {
            DeliveryClass::Critical | DeliveryClass::State => {
                outbound.push_event(alone, published_at);
                true
            }
            DeliveryClass::Feed => outbound.push_feed(FeedEvent {
                message: self.message(encoding),
                alone,
                syncing: self.syncing,
                published_at,
            }),
        }
    }

    /// Queues the event for a socket of this encoding at once, whatever its class: a replayed event is late already.
    pub(super) fn send_at_once(&mut self, encoding: ClientEncoding, outbound: &OutboundQueue) {
        outbound.push(self.outgoing(encoding, outbound.deflate()));
    }

    /// Message for a socket of this encoding and compression. Its bytes are shared, not copied.
    fn outgoing(&mut self, encoding: ClientEncoding, deflate: Option<&PerMessageDeflate>) -> OutgoingMessage {
        let Some(deflate) = deflate else {
            return self.message(encoding).into();
        };
        let window = deflate.window();
        let done = self
            .deflated
            .iter()
            .find(|(of, with, _)| (*of, *with) == (encoding, window));
        if let Some((_, _, outgoing)) = done {
            return outgoing.clone();
        }
        let outgoing = OutgoingMessage::deflated(self.message(encoding), deflate);
        self.deflated.push((encoding, window, outgoing.clone()));
        outgoing
    }

    fn message(&mut self, encoding: ClientEncoding) -> Message {
        let push = Push {
            event: &self.envelope.event,
            data: &self.envelope.data,
            offset: self.offset.as_deref(),
            event_id: self.offset.is_some().then_some(self.envelope.id.as_str()),
        };
        match self.by_encoding.get_mut(encoding.index()) {
            Some(written) => written.get_or_insert_with(|| encoding.push(&push)).clone(),
            None => encoding.push(&push),
        }
    }
}

/// Account of an event that reports nothing but a running sync.
fn syncing(envelope: &Envelope) -> Option<AccountType> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct SyncingAccount {
        account_type: AccountType,
    }
    // No other status change has this class.
    let is_syncing = envelope.class == DeliveryClass::Feed && envelope.event == name::STATUS_CHANGED;
    let syncing = is_syncing
        .then(|| envelope.data.read::<SyncingAccount>().ok())
        .flatten()?;
    Some(syncing.account_type)
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::header::{HeaderValue, SEC_WEBSOCKET_EXTENSIONS};
    use protocol::cluster::offset::Epoch;
    use protocol::id::EventId;
    use protocol::json::Json;
    use protocol::wire::Dialect;

    use super::*;
    use crate::deflate::{DeflateParams, DeflatePool};

    fn agreed(node: &DeflatePool, offer: &'static str) -> PerMessageDeflate {
        let mut headers = HeaderMap::new();
        headers.insert(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static(offer));
        node.of(&DeflateParams::negotiate(&headers).unwrap())
    }

    /// Address of the bytes, and whether they are compressed.
    fn bytes(outgoing: &OutgoingMessage) -> (*const u8, bool) {
        match outgoing {
            OutgoingMessage::Plain(Message::Text(bytes) | Message::Binary(bytes)) => (bytes.as_ptr(), false),
            OutgoingMessage::DeflatedText(bytes) | OutgoingMessage::DeflatedBinary(bytes) => (bytes.as_ptr(), true),
        }
    }

    #[test]
    fn event_is_encoded_and_compressed_once_for_all_sockets_of_one_encoding_and_window() {
        let offset = Offset {
            epoch: Epoch::new("a").unwrap(),
            seq: 1,
        };
        let envelope = Envelope {
            v: Envelope::VERSION,
            id: EventId::new("e").unwrap(),
            audience: Audience::User,
            class: DeliveryClass::Feed,
            event: "notification:incoming".to_owned(),
            data: Json::of(&"x".repeat(2_000)),
            traceparent: None,
            published_at: None,
        };
        let mut encoded = EncodedEvent::new(&offset, &envelope);
        let node = DeflatePool::new(1024);
        let [one, other] = [0, 1].map(|_| agreed(&node, "permessage-deflate"));
        let narrow = agreed(&node, "permessage-deflate; server_max_window_bits=9");
        let json = ClientEncoding::new(Dialect::NativeJson, true);
        let socketio = ClientEncoding::new(Dialect::SocketIo, true);

        let mut of = |encoding, deflate| bytes(&encoded.outgoing(encoding, deflate));
        let (plain, first) = (of(json, None), of(json, Some(&one)));
        assert_eq!((plain.1, first.1), (false, true));
        assert_eq!((of(json, None), of(json, Some(&other))), (plain, first));
        let others = [of(json, Some(&narrow)), of(socketio, Some(&one))];
        assert!(others.iter().all(|bytes| bytes.1 && *bytes != first));
    }
}
