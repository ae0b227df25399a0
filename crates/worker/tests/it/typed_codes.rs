//! Codes as people type and paste them: every spelling is accepted, and malformed text uses up no attempt.

use protocol::command::CommandKind;
use serde_json::{Value, json};

use crate::client::{assert_error, assert_success};
use crate::factor::{FactorUser, verify};

/// Spellings of the same six digits by keyboards, messages and pages of other countries.
fn spellings(code: &str) -> Vec<String> {
    let (left, right) = code.split_at(3);
    let digits_from = |zero: u32| -> String {
        let shifted = code.chars().map(|digit| zero + digit.to_digit(10).unwrap());
        shifted.map(|character| char::from_u32(character).unwrap()).collect()
    };
    vec![
        format!("{left} {right}"),
        format!("{left}-{right}"),
        format!("{left}\u{2013}{right}"),
        format!("{left}\u{2212}{right}"),
        format!("{left}.{right}"),
        format!("  {code}\r\n"),
        format!("\u{200e}{left}\u{a0}{right}\u{feff}"),
        digits_from('\u{ff10}'.into()),
        digits_from('\u{660}'.into()),
        digits_from('\u{6f0}'.into()),
        digits_from('\u{966}'.into()),
        digits_from('\u{1d7ce}'.into()),
    ]
}

#[tokio::test]
async fn totp_code_is_accepted_in_every_spelling() {
    let mut guarded = FactorUser::unlimited().await;
    for (number, _) in spellings("000000").iter().enumerate() {
        let (mut device, challenge) = guarded.challenged(&format!("d-{number}")).await;
        let typed = spellings(&guarded.code()).swap_remove(number);
        let verified = verify(&mut device, &challenge, &typed).await;
        assert_eq!(verified["success"], json!(true), "{typed:?}: {verified}");
        guarded.next_step();
    }
}

#[tokio::test]
async fn recovery_code_is_accepted_in_every_spelling() {
    let guarded = FactorUser::unlimited().await;
    let wide = |code: &str| -> String {
        let wide = code.bytes().map(|character| 0xfee0 + u32::from(character));
        wide.map(|character| char::from_u32(character).unwrap()).collect()
    };
    let spellings: [&dyn Fn(&str) -> String; 5] = [
        &|code| code.to_lowercase().replace('-', " "),
        &|code| format!("\t{}.\n", code.replace('-', ".")),
        &|code| code.replace('-', "\u{2011}"),
        &|code| wide(code),
        // A Turkish keyboard.
        &|code| code.to_lowercase().replace('i', "\u{131}").replace('-', "\u{2014}"),
    ];
    // Five attempts an hour are allowed.
    for (number, (spell, code)) in spellings.iter().zip(&guarded.recovery_codes).enumerate() {
        let (mut device, challenge) = guarded.challenged(&format!("d-{number}")).await;
        let typed = spell(code);
        let verified = verify(&mut device, &challenge, &typed).await;
        assert_eq!(verified["success"], json!(true), "{typed:?}: {verified}");
    }
}

#[tokio::test]
async fn malformed_code_reports_bad_request_without_attempt_or_alert() {
    let mut guarded = FactorUser::new().await;
    let (mut device, challenge) = guarded.challenged("t").await;
    // There are more of them than attempts a minute.
    for typed in [
        "",
        " \u{a0}\u{200b} ",
        "--.--",
        "12345",
        "1234567",
        "12345a",
        "\u{2460}\u{2461}\u{2462}\u{2463}\u{2464}\u{2465}",
        "\u{662}\u{663}\u{664}\u{665}\u{666}",
        "+12345",
        "ABCD-EFGH-IJKL-MNO1",
        "\u{ff21}\u{ff22}\u{ff23}\u{ff24}",
        "123,456",
    ] {
        let answer = verify(&mut device, &challenge, typed).await;
        let sentence = assert_error(&answer, "bad_request");
        assert_eq!(
            sentence, "token: six digits or a recovery code were expected",
            "{typed:?}"
        );
    }
    // No attempt and no failure was counted, and no alert raised.
    let code = guarded.code();
    let (begin, end) = code.split_at(3);
    assert_success(&verify(&mut device, &challenge, &format!("{begin}\u{2003}{end}")).await);
    let alerts = device.ask(CommandKind::Alerts, json!({})).await;
    let alerts = alerts["alerts"].as_array().unwrap().iter();
    let types: Vec<&Value> = alerts.map(|alert| &alert["type"]).collect();
    assert!(!types.contains(&&json!("failed_2fa")), "{types:?}");
    guarded.client.assert_no_event();
}
