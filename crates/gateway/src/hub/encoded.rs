//! An event on its way to several sockets: written once for each form, and compressed once for each form and window, however many
//! sockets have it.

use protocol::wire::{Message, Push};

use crate::connection::outgoing::Outgoing;
use crate::deflate::{Deflate, Window};
use crate::form::Form;

/// An event and its messages so far.
pub(super) struct Encoded {
    push: Push,
    by_form: [Option<Message>; Form::COUNT],
    /// Nearly always of one window; of a form and a window there is one.
    deflated: Vec<(Form, Window, Outgoing)>,
}

impl Encoded {
    pub(super) fn new(push: Push) -> Self {
        Self {
            push,
            by_form: Default::default(),
            deflated: Vec::new(),
        }
    }

    /// The event for a socket of this form and with this compression. The bytes are shared, not copied.
    pub(super) fn outgoing(&mut self, form: Form, deflate: Option<&Deflate>) -> Outgoing {
        let Some(deflate) = deflate else {
            return self.message(form).into();
        };
        let window = deflate.window();
        let done = self
            .deflated
            .iter()
            .find(|(of, with, _)| (*of, *with) == (form, window));
        if let Some((_, _, outgoing)) = done {
            return outgoing.clone();
        }
        let outgoing = Outgoing::deflated(self.message(form), deflate);
        self.deflated.push((form, window, outgoing.clone()));
        outgoing
    }

    fn message(&mut self, form: Form) -> Message {
        match self.by_form.get_mut(form.index()) {
            Some(written) => written.get_or_insert_with(|| form.push(&self.push)).clone(),
            None => form.push(&self.push),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::header::{HeaderValue, SEC_WEBSOCKET_EXTENSIONS};
    use protocol::json::Json;
    use protocol::wire::Dialect;

    use super::*;
    use crate::deflate::{Agreement, Deflation};

    fn agreed(node: &Deflation, offer: &'static str) -> Deflate {
        let mut headers = HeaderMap::new();
        headers.insert(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static(offer));
        node.of(&Agreement::with(&headers).unwrap())
    }

    /// Where the bytes lie, and whether they are compressed.
    fn bytes(outgoing: &Outgoing) -> (*const u8, bool) {
        match outgoing {
            Outgoing::Plain(Message::Text(bytes) | Message::Binary(bytes)) => (bytes.as_ptr(), false),
            Outgoing::DeflatedText(bytes) | Outgoing::DeflatedBinary(bytes) => (bytes.as_ptr(), true),
        }
    }

    #[test]
    fn an_event_is_written_and_compressed_once_for_all_sockets_that_can_share_it() {
        let mut encoded = Encoded::new(Push {
            event: "notification:incoming".to_owned(),
            data: Json::of(&"x".repeat(2_000)),
            offset: None,
        });
        let node = Deflation::new(1024);
        let [one, other] = [0, 1].map(|_| agreed(&node, "permessage-deflate"));
        let narrow = agreed(&node, "permessage-deflate; server_max_window_bits=9");
        let json = Form::new(Dialect::NativeJson, true);
        let socketio = Form::new(Dialect::SocketIo, true);

        let mut of = |form, deflate| bytes(&encoded.outgoing(form, deflate));
        let (plain, first) = (of(json, None), of(json, Some(&one)));
        assert_eq!((plain.1, first.1), (false, true));
        assert_eq!((of(json, None), of(json, Some(&other))), (plain, first));
        let others = [of(json, Some(&narrow)), of(socketio, Some(&one))];
        assert!(others.iter().all(|bytes| bytes.1 && *bytes != first));
    }
}
