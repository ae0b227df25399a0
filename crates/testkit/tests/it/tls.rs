//! Certificates: trust and renewal.

use std::fs::read_to_string;

use testkit::tls::{Authority, client_trusting};
use testkit::{Endpoint, SocketIo};

use crate::server::Server;

#[tokio::test]
async fn authority_is_trusted_by_its_file() {
    let server = Server::start().await;
    let pem = read_to_string(server.authority.pem_path()).unwrap();
    let endpoint = Endpoint::new(server.endpoint.addr(), client_trusting(&pem));
    SocketIo::connect(&endpoint, "good").await.unwrap();
}

#[test]
fn renewal_overwrites_certificate_and_key() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue_files("gateway");
    let before = [&certificate, &key].map(|path| read_to_string(path).unwrap());
    assert!(before[0].contains("BEGIN CERTIFICATE") && before[1].contains("BEGIN PRIVATE KEY"));
    assert_eq!(authority.issue_files("gateway"), (certificate.clone(), key.clone()));
    let after = [&certificate, &key].map(|path| read_to_string(path).unwrap());
    assert!(before[0] != after[0] && before[1] != after[1]);
}
