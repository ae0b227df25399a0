//! Pages of the simulator and of the hosted callback for people without a mouse, with weak eyes, or with a small screen.

use serde_json::json;
use testkit::node::Script;

use crate::command_line::Dev;
use crate::page_attacks::{authorize, gateway, run};
use crate::stage::script;

#[tokio::test]
async fn account_is_linked_by_keyboard_in_both_themes_without_a_serious_fault() {
    let dev = Dev::start(&[]).await;
    let caller = dev.client("GEN-001").await;
    let flows = json!([authorize(&dev, &caller).await, authorize(&dev, &caller).await]);
    let pages = Script::new(script("pages/accessibility.cjs"))
        .env("GATEWAY", gateway(&dev))
        .env("SIMULATOR", dev.simulator())
        .env("FLOWS", flows.to_string());
    run(pages).await;
    dev.stop().await;
}
