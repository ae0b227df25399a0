//! Certificates: who is trusted, and how they are renewed.

use std::fs::read_to_string;

use testkit::tls::{Authority, client_trusting};
use testkit::{Endpoint, SocketIo};

use crate::server::Server;

#[tokio::test]
async fn the_authority_is_trusted_by_its_file_as_well() {
    let server = Server::start().await;
    let pem = read_to_string(server.authority.pem_path()).unwrap();
    let endpoint = Endpoint::new(server.endpoint.addr(), client_trusting(&pem));
    SocketIo::connect(&endpoint, "good").await.unwrap();
}

#[test]
fn renewing_replaces_certificate_and_key_in_place() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue_files("gateway");
    let before = [&certificate, &key].map(|path| read_to_string(path).unwrap());
    assert!(before[0].contains("BEGIN CERTIFICATE") && before[1].contains("BEGIN PRIVATE KEY"));
    assert_eq!(authority.issue_files("gateway"), (certificate.clone(), key.clone()));
    let after = [&certificate, &key].map(|path| read_to_string(path).unwrap());
    assert!(before[0] != after[0] && before[1] != after[1]);
}
