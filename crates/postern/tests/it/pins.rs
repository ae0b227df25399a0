//! Pinning: a client accepts the pins that `postern pins` prints, and does not connect with others.

use std::path::Path;
use std::process::Command;

use testkit::cluster::Cluster;
use testkit::node::Script;
use testkit::scratch::Scratch;
use testkit::tls::Authority;
use testkit::wait;

use crate::command_line::postern;
use crate::stage::POSTERN;

#[tokio::test]
async fn a_node_client_accepts_the_right_pin_and_refuses_the_wrong_one() {
    let stage = Stage::start().await;
    let serving = pin(&stage.certificate()).await;
    let backup = pin(&stage.authority.issue_files("backup").0).await;

    assert_eq!(stage.client(&[&serving, &backup]).await, "connected");
    let refused = stage.client(&[&backup]).await;
    assert_eq!(refused, format!("refused: the gateway's key {serving} is not pinned"));
    assert_eq!(stage.cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_client_with_two_pins_lives_through_a_rotation() {
    let stage = Stage::start().await;
    let old = pin(&stage.certificate()).await;
    stage.authority.issue_files(SERVING);
    let new = pin(&stage.certificate()).await;
    assert_ne!(old, new);
    wait::until_true("the new certificate to serve", wait::deadline(), async || {
        stage.client(&[&new]).await == "connected"
    })
    .await;
    assert_eq!(stage.client(&[&old, &new]).await, "connected");
    assert!(stage.client(&[&old]).await.starts_with("refused"));
    assert_eq!(stage.cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn pins_equal_those_of_openssl_for_every_certificate() {
    let authority = Authority::new();
    let (leaf, key) = authority.issue_files("leaf");
    let scratch = Scratch::new("pins");
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let chain = scratch.write("chain.pem", read(&leaf) + &read(authority.pem_path()));

    let printed = postern(&["pins", "--cert", &text(&chain), &text(&leaf)]).await;
    assert_eq!(printed.status, 0, "{}", printed.stderr);
    let (leaf_pin, root_pin) = (openssl(&leaf), openssl(authority.pem_path()));
    let expected = [leaf_pin.as_str(), &root_pin, &leaf_pin];
    assert_eq!(printed.stdout.lines().collect::<Vec<_>>(), expected);

    let garbled = scratch.write(
        "garbled.pem",
        "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n",
    );
    for bad in [&key, &garbled, Path::new("/nonexistent/certificate.pem")] {
        let refused = postern(&["pins", "--cert", &text(&leaf), &text(bad)]).await;
        assert_eq!(refused.status, 1);
        assert!(refused.stderr.contains(&text(bad)), "{}", refused.stderr);
        assert_eq!(refused.stdout, "");
    }
}

/// A gateway with a certificate of its own, and the program of the page on pinning.
struct Stage {
    cluster: Cluster,
    authority: Authority,
    program: Scratch,
}

impl Stage {
    async fn start() -> Self {
        let authority = Authority::new();
        let (certificate, key) = authority.issue_files(SERVING);
        let cluster = Cluster::builder(POSTERN)
            .gateways(1)
            .gateway_env("POSTERN_TLS_CERT", text(&certificate))
            .gateway_env("POSTERN_TLS_KEY", text(&key))
            .start()
            .await;
        let program = Scratch::new("pinning");
        let page = include_str!("../../../../docs/operations/pinning.md");
        let (_, rest) = page.split_once("```js\n").unwrap();
        program.write("example.cjs", rest.split_once("```").unwrap().0);
        Self {
            cluster,
            authority,
            program,
        }
    }

    /// The file that the gateway serves.
    fn certificate(&self) -> std::path::PathBuf {
        self.authority
            .pem_path()
            .parent()
            .unwrap()
            .join(format!("{SERVING}.pem"))
    }

    /// Output of the program with these pins.
    async fn client(&self, pins: &[&str]) -> String {
        let output = Script::new(self.program.path().join("example.cjs"))
            .trusting(self.authority.pem_path())
            .env("GATEWAY", format!("https://{}", self.cluster.gateway(0).addr()))
            .env("TOKEN", self.cluster.token("GEN-001"))
            .env("PINS", pins.join(" "))
            .run()
            .await;
        assert_eq!(output.status, 0, "{}", output.stderr);
        output.stdout.trim().to_owned()
    }
}

/// Output of `postern pins` for a file with one certificate.
async fn pin(certificate: &Path) -> String {
    let printed = postern(&["pins", "--cert", &text(certificate)]).await;
    assert_eq!(printed.status, 0, "{}", printed.stderr);
    printed.stdout.trim().to_owned()
}

/// The same pin, computed by openssl.
fn openssl(certificate: &Path) -> String {
    let digest = "openssl x509 -pubkey -noout -in \"$0\" | openssl pkey -pubin -outform der \
                  | openssl dgst -sha256 -binary | openssl base64";
    let output = Command::new("sh")
        .arg("-c")
        .arg(digest)
        .arg(certificate)
        .output()
        .unwrap();
    format!("sha256/{}", String::from_utf8(output.stdout).unwrap().trim())
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

const SERVING: &str = "serving";
