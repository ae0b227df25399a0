//! Work of a gateway on its hot paths: verification of tokens, compression, and delivery to the sockets of a user.
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on fails, and says where")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput};
use gateway::TokenKey;
use gateway::bench::{Compression, FanOut, TokenCheck};
use lifecycle::{Clock, SystemClock};
use opentelemetry::metrics::{MeterProvider, NoopMeterProvider};
use protocol::account::{AccountStatus, AccountType, StatusChanged};
use protocol::cluster::envelope::Envelope;
use protocol::cluster::offset::{Epoch, Offset};
use protocol::event::Event;
use protocol::id::{ConnectionId, EventId, SessionId, UserId};
use protocol::secret::Secret;
use protocol::time::Timestamp;
use testkit::token::Signer;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    tokens(&mut criterion);
    deflate(&mut criterion);
    fan_out(&mut criterion);
    criterion.final_summary();
}

fn tokens(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("verify a token");
    let now = SystemClock.now();
    let (hs256, es256, rs256, eddsa) = (Signer::hs256(), Signer::es256(), Signer::rs256(), Signer::eddsa());
    let keys = [
        ("HS256", &hs256, TokenKey::hs256(&Secret::new(hs256.verifier()))),
        ("ES256", &es256, TokenKey::public_pem(es256.verifier())),
        ("RS256", &rs256, TokenKey::public_pem(rs256.verifier())),
        ("EdDSA", &eddsa, TokenKey::public_pem(eddsa.verifier())),
    ];
    for (name, signer, key) in keys {
        let (check, token) = (TokenCheck::new(key.unwrap()).unwrap(), signer.token("GEN-001"));
        assert!(check.accepts(&token, now));
        group.bench_function(name, |b| b.iter(|| check.accepts(black_box(&token), now)));
    }
    group.finish();
}

fn deflate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("permessage-deflate, an event of 300 bytes");
    let compression = Compression::negotiate("permessage-deflate").unwrap();
    let message = serde_json::to_vec(&event()).unwrap();
    group.throughput(Throughput::Bytes(u64::try_from(message.len()).unwrap()));
    group.bench_function("compress", |b| b.iter(|| compression.compress(black_box(&message))));
    let payload = compression.compress(&message);
    group.bench_function("inflate", |b| b.iter(|| compression.inflated_len(black_box(&payload))));
    group.finish();
}

fn fan_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("deliver an event to the sockets of a user");
    let event = Arc::new(event());
    let meter = NoopMeterProvider::new().meter("bench");
    let offset = Offset {
        epoch: Epoch::new("a").unwrap(),
        seq: 0,
    };
    let (user, session) = (UserId::new("GEN-001").unwrap(), SessionId::new("session").unwrap());
    for sockets in [1_u64, 4, 64] {
        let connections: Vec<_> = (0..sockets)
            .map(|number| ConnectionId::new(number.to_string()).unwrap())
            .collect();
        let mut channel = FanOut::new(user.clone(), &session, &connections, offset.clone(), &meter);
        assert_eq!(channel.deliver(&event), connections.len());
        group.throughput(Throughput::Elements(sockets));
        group.bench_function(sockets.to_string(), |b| b.iter(|| channel.deliver(black_box(&event))));
    }
    group.finish();
}

fn event() -> Envelope {
    let event = Event::StatusChanged(StatusChanged {
        user_id: UserId::new("GEN-001").unwrap(),
        account_type: AccountType::Github,
        status: AccountStatus::Connected,
        timestamp: Timestamp::from_millis(1_795_451_460_007),
        metadata: None,
    });
    Envelope::of(EventId::new("bench").unwrap(), &event)
}
