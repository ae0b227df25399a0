//! Second factors with sent codes, over a whole cluster: mail under TLS, text messages, and no secret left behind.

use serde_json::{Value, json};
use testkit::client::SocketIo;
use testkit::cluster::Cluster;
use testkit::mail::{Mail, MailSecurity, MailServer};
use testkit::sms::SmsServer;
use testkit::tls::Authority;

use crate::factor::{USER, disconnect, update, verify};
use crate::stage::{POSTERN, client};

const EMAIL: &str = "somebody.of.our.users@example.com";
const PASSWORD: &str = "the-password-of-the-mail-server";

/// The six digits of a message.
fn code_of(text: &str) -> String {
    let line = text.lines().find(|line| line.contains(" is your code")).unwrap();
    line.split(' ').next().unwrap().to_owned()
}

/// A cluster whose workers send mail through this server and trust its authority.
async fn mailing(server: &MailServer, authority: &Authority) -> Cluster {
    let login = format!("postern%40example.org:{PASSWORD}");
    let cluster = Cluster::builder(POSTERN)
        .worker_env("POSTERN_SMTP_URL", server.url(&login))
        .worker_env("POSTERN_SMTP_FROM", "Postern <postern@example.org>")
        .worker_env("SSL_CERT_FILE", authority.pem_path().display())
        .start()
        .await;
    cluster.canary(EMAIL);
    cluster.canary(PASSWORD);
    cluster
}

async fn enrol(client: &SocketIo) -> Value {
    let settings = json!({"twoFactorEnabled": true, "method": "email", "address": EMAIL});
    update(client, settings).await
}

/// Enrols the factor, and verifies a code on another gateway. Returns the mail with the code.
async fn set_up_and_given(cluster: &Cluster, server: &MailServer) -> Mail {
    let owner = client(cluster, 0, USER).await;
    let answer = enrol(&owner).await;
    assert_eq!(answer["success"], true, "{answer}");
    let code = code_of(&server.nth(EMAIL, 1).await.text);
    let verified = verify(&owner, &answer["enrolment"]["sessionId"], &code).await;
    assert_eq!(verified["success"], true, "{verified}");
    server.nth(EMAIL, 2).await;

    let device = client(cluster, 1, USER).await;
    assert_eq!(disconnect(&device).await["error"], "2fa_required");
    let required = device.next_event("security:2fa_required").await;
    assert_eq!(required.data["method"], "email");
    let mail = server.nth(EMAIL, 3).await;
    let verified = verify(&device, &required.data["sessionId"], &code_of(&mail.text)).await;
    assert_eq!(verified["success"], true, "{verified}");
    assert_eq!(disconnect(&device).await["error"], "not_connected");
    mail
}

/// Ends the cluster, which must have stored neither address nor recovery code nor password.
async fn finish(cluster: Cluster) {
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn codes_go_out_by_mail_under_tls_from_the_first_byte() {
    let authority = Authority::new();
    let server = MailServer::start(MailSecurity::Wrapped(&authority)).await;
    let cluster = mailing(&server, &authority).await;
    let mail = set_up_and_given(&cluster, &server).await;
    assert!(mail.encrypted);
    let login = format!("postern@example.org:{PASSWORD}");
    assert_eq!(mail.login, Some(login));
    finish(cluster).await;
}

#[tokio::test]
async fn codes_go_out_by_mail_after_starttls() {
    let authority = Authority::new();
    let server = MailServer::start(MailSecurity::StartTls(&authority)).await;
    let cluster = mailing(&server, &authority).await;
    assert!(set_up_and_given(&cluster, &server).await.encrypted);
    finish(cluster).await;
}

#[tokio::test]
async fn mail_server_with_an_untrusted_certificate_receives_no_mail() {
    let server = MailServer::start(MailSecurity::Wrapped(&Authority::new())).await;
    let cluster = mailing(&server, &Authority::new()).await;
    let owner = client(&cluster, 0, USER).await;
    let answer = enrol(&owner).await;
    assert_eq!(answer["error"], "unavailable", "{answer}");
    assert!(server.mails(EMAIL).is_empty());
    let log = cluster.worker(0).logs();
    assert!(log.contains("could not be reached"), "{log}");
    finish(cluster).await;
}

#[tokio::test]
async fn codes_go_out_by_sms() {
    const NUMBER: &str = "+436601234567";
    const TOKEN: &str = "the-token-of-the-sms-account";
    let server = SmsServer::start().await;
    let cluster = Cluster::builder(POSTERN)
        .worker_env("POSTERN_SMS_URL", server.url())
        .worker_env("POSTERN_SMS_ACCOUNT", "AC1")
        .worker_env("POSTERN_SMS_TOKEN", TOKEN)
        .worker_env("POSTERN_SMS_FROM", "+15550100")
        .start()
        .await;
    cluster.canary(TOKEN);
    let owner = client(&cluster, 0, USER).await;
    let settings = json!({"twoFactorEnabled": true, "method": "sms", "address": NUMBER});
    let answer = update(&owner, settings).await;
    assert_eq!(answer["success"], true, "{answer}");
    let code = code_of(&server.nth(NUMBER, 1).await.text);
    let verified = verify(&owner, &answer["enrolment"]["sessionId"], &code).await;
    assert_eq!(verified["success"], true, "{verified}");
    let settings = owner.next_event("security:settings_updated").await.data["settings"].clone();
    assert_eq!(
        (&settings["twoFactorEnabled"], &settings["method"]),
        (&json!(true), &json!("sms"))
    );
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}
