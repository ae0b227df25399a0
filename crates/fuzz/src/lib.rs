//! Fuzz targets: one for each decoder of untrusted bytes.
//!
//! Owns: the [`TARGETS`], and in `corpus/` their inputs, which `cargo test` replays on any toolchain. `cargo xtask long fuzz TARGET`
//! searches for new ones; a finding is fixed, and its input added to the corpus.
//!
//! Must not know: how a decoder works. A target calls the public function, and asserts its guarantees.

mod answers;
mod guarantees;
mod headed;
mod telegram;
mod tokens;
mod webhooks;
mod wire;

/// Decoder under test.
#[derive(Debug)]
pub struct Target {
    /// Name of the target and of its folder in `corpus/`.
    pub name: &'static str,
    decode: fn(&[u8]) -> bool,
}

impl Target {
    /// Decodes these bytes. Returns true if anything was read from them; a panic is a finding.
    pub fn run(&self, bytes: &[u8]) -> bool {
        (self.decode)(bytes)
    }
}

/// All targets.
pub const TARGETS: &[Target] = &[
    target("socketio", wire::socketio),
    target("native", wire::native),
    target("msgpack", wire::msgpack),
    target("token", tokens::token),
    target("key_set", tokens::key_set),
    target("webhook_github", webhooks::github),
    target("webhook_x_twitter", webhooks::x_twitter),
    target("webhook_discord", webhooks::discord),
    target("webhook_telegram", webhooks::telegram),
    target("answers_github", answers::github),
    target("answers_x_twitter", answers::x_twitter),
    target("answers_discord", answers::discord),
    target("answers_telegram", answers::telegram),
    target("telegram_widget", telegram::widget),
    target("telegram_id_token", telegram::id_token),
];

const fn target(name: &'static str, decode: fn(&[u8]) -> bool) -> Target {
    Target { name, decode }
}
