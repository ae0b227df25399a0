//! Controls and faults in docs/platforms.md, checked against the routes and the types.

use std::collections::BTreeSet;

use simulator::{Fault, Kind};

use crate::client::simulate;

const PAGE: &str = include_str!("../../../../docs/platforms.md");
const CONTROL: &str = include_str!("../../src/control.rs");

#[test]
fn documented_controls_are_those_of_the_router() {
    let documented: BTreeSet<_> = rows("control").map(|row| path(quoted(row))).collect();
    let routes = CONTROL
        .split(".route(\"")
        .skip(1)
        .map(|route| route.split('"').next().unwrap());
    assert_eq!(documented, routes.collect::<BTreeSet<_>>());
}

#[tokio::test]
async fn documented_controls_are_those_of_the_index_page() {
    simulate(async |client| {
        let page = client.get("/", &[]).await.text();
        let table = page.split("aria-label=\"Controls\"").nth(1).unwrap();
        let shown: Vec<_> = table
            .split("<tr><td><code>")
            .skip(1)
            .map(|row| row.split('<').next().unwrap())
            .collect();
        assert_eq!(rows("control").map(quoted).collect::<Vec<_>>(), shown);
    })
    .await;
}

#[test]
fn documented_kinds_of_faults_are_those_of_the_type() {
    let refusal = serde_json::from_str::<Kind>(r#"{"kind": "?"}"#)
        .unwrap_err()
        .to_string();
    // "unknown variant `?`, expected one of `a`, `b`"
    let kinds: Vec<_> = refusal.split('`').skip(3).step_by(2).collect();
    assert_eq!(rows("kind").map(quoted).collect::<Vec<_>>(), kinds);
}

#[test]
fn documented_faults_can_be_read() {
    let commands = PAGE.split("_control/faults -H ").skip(1);
    let bodies: Vec<_> = commands.map(|command| command.split('\'').nth(3).unwrap()).collect();
    assert!(bodies.len() >= 3, "{bodies:?}");
    for body in bodies {
        serde_json::from_str::<Fault>(body).unwrap_or_else(|error| panic!("{error}: {body}"));
    }
}

/// Rows of the table whose first column has this head.
fn rows(head: &str) -> impl Iterator<Item = &'static str> {
    let head = format!("| {head} |");
    let lines = PAGE.lines().skip_while(move |line| !line.starts_with(&head));
    lines.skip(2).take_while(|line| line.starts_with('|'))
}

/// First text in backquotes.
fn quoted(row: &'static str) -> &'static str {
    row.split('`').nth(1).unwrap()
}

/// Path of a request, `GET /state`.
fn path(request: &'static str) -> &'static str {
    request.split(' ').nth(1).unwrap()
}
