//! Stored values of a newer version, as a newer worker writes them beside this one.

use store::Outbox;

use crate::database::{migrated_database, store_at};
use crate::recorder::Recorder;
use crate::sample::user;

/// Only a newer worker publishes the event. Later ones wait for it, as a user's events keep their sequence.
#[tokio::test]
async fn event_of_a_newer_version_stays_in_the_outbox_with_those_behind_it() {
    let database = migrated_database().await;
    let store = store_at(&database.url()).await;
    let of_the_same_shape =
        r#"{"v":2,"id":"e-2","audience":{"to":"user"},"class":"state","event":"account:status_changed","data":2}"#;
    let of_another_shape = r#"{"v":2,"id":"e-2","kind":"status","data":2}"#;
    for (owner, newer) in [("GEN-001", of_the_same_shape), ("GEN-002", of_another_shape)] {
        let envelopes = [
            r#"{"v":1,"id":"e-1","audience":{"to":"user"},"class":"state","event":"account:status_changed","data":1}"#,
            newer,
            r#"{"v":1,"id":"e-3","audience":{"to":"user"},"class":"state","event":"account:status_changed","data":3}"#,
        ];
        for (envelope, number) in envelopes.into_iter().zip(1..) {
            let insert = format!(
                "INSERT INTO outbox (user_id, event_id, envelope) VALUES ('{owner}', '{owner} e-{number}', '{envelope}')"
            );
            database.sql(&insert).await;
        }
        let recorder = Recorder::new();
        for sent in [1, 0] {
            let relayed = store.relay_user(&user(owner), &recorder).await.unwrap();
            assert_eq!((relayed.sent, relayed.stopped), (sent, true), "{newer}");
        }
        assert_eq!(recorder.ids(), ["e-1"]);
        let unsent = format!("SELECT event_id FROM outbox WHERE sent_at IS NULL AND user_id = '{owner}' ORDER BY id");
        assert_eq!(
            database.sql(&unsent).await,
            [format!("{owner} e-2"), format!("{owner} e-3")]
        );
    }
}
