//! Headers over TCP on the loopback interface: what is read, and what is left for TLS.

use std::net::Ipv4Addr;

use proptest::prelude::*;
use proxy_header::{ProxiedAddress, Tlv};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::runtime;

use super::*;

/// Outcome of the beginning of a connection, as a word or the client's address, and the bytes left for TLS.
async fn outcome(chunks: &[&[u8]]) -> (String, Vec<u8>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut tcp, _) = listener.accept().await.unwrap();
    client.set_nodelay(true).unwrap();
    let send = async {
        for chunk in chunks {
            // A reset of the reader, which has read enough.
            drop(client.write_all(chunk).await);
            tokio::task::yield_now().await;
        }
        drop(client.shutdown().await);
        client
    };
    let receive = async {
        let outcome = match begin(&mut tcp).await {
            Ok(Beginning::Signature(version)) => match read(version, &mut tcp).await {
                Ok(Some(source)) => source.to_string(),
                Ok(None) => "no client".to_owned(),
                Err(error) => error.to_string(),
            },
            Ok(beginning) => format!("{beginning:?}"),
            Err(error) => error.kind().to_string(),
        };
        let mut rest = Vec::new();
        tcp.read_to_end(&mut rest).await.unwrap();
        (outcome, rest)
    };
    tokio::join!(receive, send).0
}

fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [&V2_SIGNATURE[..], &[command, family], &length, block].concat()
}

fn encoded(source: &str, tlvs: &[Tlv<'_>]) -> Vec<u8> {
    let source: SocketAddr = source.parse().unwrap();
    let to = if source.is_ipv4() {
        "10.0.0.1:443"
    } else {
        "[2001:db8::1]:443"
    };
    let addresses = ProxiedAddress::stream(source, to.parse().unwrap());
    let header = ProxyHeader::with_tlvs(Some(addresses), tlvs.iter().cloned());
    let mut bytes = [0; V2_MAX];
    let length = header.encode_to_slice_v2(&mut bytes).unwrap();
    bytes[..length].to_vec()
}

const IPV4: [u8; 12] = [192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x67, 1, 187];
const HELLO: &[u8] = b"\x16\x03\x01\x02\x00 and more";

async fn with_hello(header: &[u8]) -> (String, Vec<u8>) {
    outcome(&[&[header, HELLO].concat()]).await
}

#[tokio::test]
async fn client_of_both_versions_is_read_and_every_byte_of_tls_left() {
    for (header, client) in [
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n".to_vec(), "192.0.2.7:4711"),
        (
            b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n".to_vec(),
            "[2001:db8::7]:4711",
        ),
        (v2(0x21, 0x11, &IPV4), "192.0.2.7:4711"),
        (encoded("[2001:db8::7]:4711", &[]), "[2001:db8::7]:4711"),
        (
            encoded(
                "192.0.2.7:4711",
                &[
                    Tlv::Authority("gateway.example.com".into()),
                    Tlv::UniqueId([7; 128][..].into()),
                    Tlv::Noop(500),
                    Tlv::Custom(0xEA, [1; 22][..].into()),
                ],
            ),
            "192.0.2.7:4711",
        ),
        // TLVs are skipped, also malformed ones.
        (
            v2(0x21, 0x11, &[&IPV4[..], &[3, 255, 255, 0]].concat()),
            "192.0.2.7:4711",
        ),
    ] {
        assert_eq!(
            with_hello(&header).await,
            (client.to_owned(), HELLO.to_vec()),
            "{header:?}"
        );
        let bytes: Vec<&[u8]> = header.chunks(1).chain(HELLO.chunks(1)).collect();
        assert_eq!(
            outcome(&bytes).await,
            (client.to_owned(), HELLO.to_vec()),
            "{header:?} byte by byte"
        );
    }
}

#[tokio::test]
async fn header_without_a_client_is_consumed() {
    for header in [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN 192.0.2.7 10.0.0.1 4711 443\r\n".to_vec(),
        // LOCAL, also with addresses and families that it may not have.
        v2(0x20, 0x00, &[]),
        v2(0x20, 0x11, &IPV4),
        v2(0x20, 0x11, &[]),
        v2(0x20, 0xFF, &[1, 2, 3]),
        // UNSPEC, AF_UNIX.
        v2(0x21, 0x00, &[]),
        v2(0x21, 0x31, &[b'/'; 216]),
    ] {
        assert_eq!(
            with_hello(&header).await,
            ("no client".to_owned(), HELLO.to_vec()),
            "{header:?}"
        );
    }
}

#[tokio::test]
async fn malformed_header_is_refused() {
    for header in [
        b"PROXY \r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7\r\n 443 and more\r\n".to_vec(),
        b"PROXY TCP4 192.0.2 10.0.0.1 4711 443\r\n".to_vec(),
        b"PROXY TCP4 2001:db8::7 2001:db8::1 4711 443\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 10.0.0.1 65536 443\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\n".to_vec(),
        b"PROXY UDP4 192.0.2.7 10.0.0.1 4711 443\r\n".to_vec(),
        b"PROXY TCP4  192.0.2.7 10.0.0.1 4711 443\r\n".to_vec(),
        v2(0x11, 0x11, &IPV4),
        v2(0x22, 0x11, &IPV4),
        v2(0x21, 0x13, &IPV4),
        v2(0x21, 0x11, &IPV4[..11]),
        v2(0x21, 0x21, &IPV4),
        v2(0x21, 0x31, &[b'/'; 100]),
    ] {
        let (outcome, _) = with_hello(&header).await;
        assert_eq!(outcome, "parse the PROXY header", "{header:?}");
    }
    let (outcome, _) = with_hello(&v2(0x21, 0x12, &IPV4)).await;
    assert_eq!(outcome, "the PROXY header names a datagram");
}

#[tokio::test]
async fn header_longer_than_its_bound_is_refused_before_it_is_read() {
    let long = [&b"PROXY UNKNOWN "[..], &[b'x'; 10_000], b"\r\n"].concat();
    assert_eq!(outcome(&[&long]).await.0, "the PROXY header is longer than 107 bytes");
    for length in [V2_MAX - 15, 10_000, 65_535] {
        let (outcome, rest) = outcome(&[&v2(0x21, 0x11, &vec![1; length])]).await;
        assert_eq!(outcome, "the PROXY header is longer than 4096 bytes");
        assert_eq!(rest.len(), length);
    }
    let longest = v2(0x21, 0x11, &[&IPV4[..], &[0; V2_MAX - 28]].concat());
    assert_eq!(
        with_hello(&longest).await,
        ("192.0.2.7:4711".to_owned(), HELLO.to_vec())
    );
}

#[tokio::test]
async fn header_cut_short_is_refused() {
    for header in [
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n".to_vec(),
        v2(0x21, 0x11, &IPV4),
    ] {
        for length in 1..header.len() {
            let (outcome, _) = outcome(&[&header[..length]]).await;
            assert!(
                ["unexpected end of file", "read the PROXY header"].contains(&outcome.as_str()),
                "{length}: {outcome}"
            );
        }
    }
}

#[tokio::test]
async fn connection_without_header_loses_no_byte() {
    assert_eq!(outcome(&[HELLO]).await, ("NoHeader".to_owned(), HELLO.to_vec()));
    assert_eq!(outcome(&[b"GET / HTTP/1.1\r\n"]).await.0, "NoHeader");
    assert_eq!(outcome(&[]).await.0, "Closed");
    for neither in [
        &b"POST / HTTP/1.1\r\n\r\n"[..],
        b"PROXYTCP4 1.2.3.4",
        b"\r\n\r\n\0\r\nQUIT\r and more",
    ] {
        assert_eq!(outcome(&[neither]).await.0, "Neither");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_read_or_refused(
        prefix in prop::sample::select(vec![&b""[..], b"PROXY ", b"PROXY TCP4 ", V2_SIGNATURE, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"]),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let sent = [prefix, &bytes].concat();
        let (_, rest) = runtime.block_on(outcome(&[&sent]));
        prop_assert!(sent.ends_with(&rest));
    }
}
