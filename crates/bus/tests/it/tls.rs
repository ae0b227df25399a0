//! TLS of connections to Redis: who is trusted, who is presented, and what is renewed while a node runs.

use bus::{Bus, ConnectError, RedisSettings, RedisTls};
use testkit::tls::Authority;
use testkit::wait;

use crate::nodes::connect_as;
use crate::sample::{event, publish, user};
use crate::tls_redis::{ServerTls, TlsRedis};

#[tokio::test]
async fn rediss_requires_a_certificate_of_the_given_authority() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = TlsRedis::start(&ServerTls::new(&authority, &authority), &[]).await;
    let bus = connect_as(&settings(&server, tls(&authority, &authority)))
        .await
        .unwrap();
    publish(&*bus, &user("GEN-001"), 1).await;

    for untrusted in [tls(&stranger, &authority), presenting(RedisTls::default(), &authority)] {
        let error = refused(&settings(&server, untrusted)).await;
        assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn server_that_requires_a_client_certificate_refuses_all_but_those_of_its_authority() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = TlsRedis::start(&ServerTls::new(&authority, &authority), &[]).await;
    for unknown in [trusting(&authority), tls(&authority, &stranger)] {
        let error = refused(&settings(&server, unknown)).await;
        assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    }
    connect_as(&settings(&server, tls(&authority, &authority)))
        .await
        .unwrap();
}

/// A bus whose server is restarted twice: for clients of another authority, then with a certificate of another authority.
#[tokio::test]
async fn replaced_files_count_for_new_connections() {
    let (old, new) = (Authority::new(), Authority::new());
    let mut server = TlsRedis::start(&ServerTls::new(&old, &old), &[]).await;
    let tls = tls(&old, &old);
    let bus = connect_as(&settings(&server, tls.clone())).await.unwrap();

    server.restart(&ServerTls::new(&old, &new)).await;
    until_publishes(&*bus, false).await;
    let identity = new.issue();
    tls.replace_identity(identity.certificate.as_bytes(), identity.key.as_bytes())
        .unwrap();
    until_publishes(&*bus, true).await;

    server.restart(&ServerTls::new(&new, &new)).await;
    until_publishes(&*bus, false).await;
    let refused = tls.replace_authorities(b"no certificate").unwrap_err();
    assert_eq!(refused.to_string(), "has no certificate");
    tls.replace_authorities(&std::fs::read(new.pem_path()).unwrap())
        .unwrap();
    until_publishes(&*bus, true).await;
}

async fn until_publishes(bus: &dyn Bus, publishes: bool) {
    let what = if publishes {
        "events to be published"
    } else {
        "events to be refused"
    };
    wait::until_true(what, wait::deadline(), async || {
        bus.publish(&user("GEN-001"), &event(1)).await.is_ok() == publishes
    })
    .await;
}

/// Error of a bus with these settings.
async fn refused(settings: &RedisSettings) -> ConnectError {
    connect_as(settings).await.err().expect("connected with these settings")
}

fn settings(server: &TlsRedis, tls: RedisTls) -> RedisSettings {
    let url = format!("rediss://localhost:{}", server.port());
    RedisSettings {
        tls,
        ..RedisSettings::new(url.parse().unwrap())
    }
}

/// TLS that trusts one authority and presents a certificate of another.
pub(crate) fn tls(trusted: &Authority, own: &Authority) -> RedisTls {
    presenting(trusting(trusted), own)
}

fn trusting(authority: &Authority) -> RedisTls {
    let pem = std::fs::read(authority.pem_path()).unwrap();
    RedisTls::default().with_authorities(&pem).unwrap()
}

fn presenting(tls: RedisTls, authority: &Authority) -> RedisTls {
    let identity = authority.issue();
    tls.with_identity(identity.certificate.as_bytes(), identity.key.as_bytes())
        .unwrap()
}
