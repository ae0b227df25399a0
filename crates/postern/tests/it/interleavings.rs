//! Interleavings: an ended session receives no event that was published after the answer, and none of its commands is
//! executed.
//!
//! Joins, resumes, refreshes and commands of a thief run concurrently with an end of its session, or of all access, while connections to
//! Redis are slow alternately. `POSTERN_INTERLEAVINGS` sets their number; actions, times and delays are drawn from a seed, which is printed
//! and which `POSTERN_CHAOS_SEED` repeats.

mod scene;
mod thief;
mod weather;

use futures_util::{StreamExt, stream};
use testkit::chaos::SeededRng;

use self::scene::{End, Scene};
use self::thief::Conduct;
use self::weather::Stage;
use crate::stage::by_hand;

#[tokio::test]
async fn ended_session_receives_no_event_and_runs_no_command_after_the_answer() {
    let seed = by_hand("POSTERN_CHAOS_SEED").unwrap_or(20_261_129);
    let count = usize::try_from(by_hand("POSTERN_INTERLEAVINGS").unwrap_or(20)).unwrap();
    println!("interleavings: {count} of the seed {seed}");
    let mut rng = SeededRng::new(seed);
    let stage = Stage::start(rng.fork()).await;
    let scenes: Vec<_> = (0..count)
        .map(|index| {
            let conduct = Conduct::ALL[index % Conduct::ALL.len()];
            let end = End::ALL[index / Conduct::ALL.len() % End::ALL.len()];
            (index, Scene::new(&stage, index, rng.fork()), conduct, end)
        })
        .collect();
    let played = scenes.into_iter().map(async |(index, scene, conduct, end)| {
        let violations = Box::pin(scene.play(conduct, end)).await.into_iter();
        let violations = violations.map(|wrong| format!("{index} ({conduct:?}, {end:?}): {wrong}"));
        violations.collect::<Vec<_>>()
    });
    let violations = stream::iter(played).buffer_unordered(AT_ONCE).concat().await;
    assert_eq!(violations, Vec::<String>::new(), "with the seed {seed}");
    stage.finish().await;
}

/// Users at once.
const AT_ONCE: usize = 20;
