//! The libFuzzer binary: `cargo xtask long fuzz TARGET` builds and runs it.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a target");
    let target = fuzz::TARGETS.iter().find(|target| target.name == name);
    target.expect("FUZZ_TARGET names a target").run(bytes);
});

#[cfg(not(fuzzing))]
fn main() -> Result<(), &'static str> {
    Err("run `cargo xtask long fuzz TARGET`")
}
