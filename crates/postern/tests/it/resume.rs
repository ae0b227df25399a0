//! Resume on any gateway after a lost connection, or a fresh start.

use serde_json::{Value, json};
use testkit::client::Native;
use testkit::client::http::{Request, plain};
use testkit::cluster::Cluster;
use testkit::node::Script;
use testkit::process::Process;
use testkit::{Proxy, Redis, wait};

use crate::stage::{POSTERN, script};

/// A cluster with a short drain window, and a separate link to each gateway.
struct Stage {
    cluster: Cluster,
    links: [Proxy; 2],
}

impl Stage {
    async fn new(redis: Option<&Redis>) -> Self {
        let builder = Cluster::builder(POSTERN);
        let builder = match redis {
            Some(redis) => builder.redis(redis),
            None => builder,
        };
        let cluster = builder.start().await;
        let links = [
            Proxy::start(cluster.gateway(0).addr()).await,
            Proxy::start(cluster.gateway(1).addr()).await,
        ];
        Self { cluster, links }
    }

    /// Official client, alternately on one gateway and the other.
    fn official(&self, leaves: bool) -> Process {
        let gateways = self.links.each_ref().map(|link| format!("https://{}", link.addr()));
        Script::new(script("resume.cjs"))
            .trusting(self.cluster.authority().pem_path())
            .env("GATEWAYS", gateways.join(" "))
            .env("TOKEN", self.cluster.token("GEN-001"))
            .env("LEAVE", if leaves { "yes" } else { "no" })
            .start()
    }

    /// A plain WebSocket on one gateway, with this `resume`.
    async fn native(&self, gateway: usize, resume: Option<Value>) -> Native {
        let mut auth = json!({ "token": self.cluster.token("GEN-001") });
        if let Some(resume) = resume {
            auth["resume"] = resume;
        }
        let endpoint = self.cluster.endpoint(gateway).at(self.links[gateway].addr());
        Native::to(&endpoint).auth(auth).connect().await.unwrap()
    }

    /// Publishes events with these numbers through the second gateway, which no test ends.
    async fn publish(&self, numbers: impl IntoIterator<Item = u32>) {
        for number in numbers {
            let event = json!({"event": "account:status_changed", "data": {"accountType": "github", "status": "error",
                "metadata": {"errorMessage": number.to_string()}}});
            let request = Request::post("/v1/users/GEN-001/events", &event).bearer(self.cluster.internal_token());
            let published = wait::until("an event to be published", wait::deadline(), async || {
                let response = plain(self.cluster.gateway(1).internal_addr(), &request).await.unwrap();
                (response.status == 202).then_some(())
            });
            published.await;
        }
    }
}

/// Lines of one kind in a script's output.
fn output(process: &Process, kind: &str) -> Vec<String> {
    let stdout = process.stdout();
    let lines = stdout
        .lines()
        .filter_map(|line| line.strip_prefix(kind)?.strip_prefix(' '));
    lines.map(ToOwned::to_owned).collect()
}

/// Numbers of the events that a script has received.
fn numbers(process: &Process) -> Vec<String> {
    let events = output(process, "event");
    events
        .iter()
        .map(|event| event.split(' ').next().unwrap().to_owned())
        .collect()
}

async fn wait_for_output(process: &Process, kind: &str, count: usize) -> Vec<String> {
    let what = format!("{count} times {kind}");
    wait::until(&what, wait::deadline(), async || {
        let output = output(process, kind);
        (output.len() >= count).then_some(output)
    })
    .await
}

fn expected(numbers: impl IntoIterator<Item = u32>) -> Vec<String> {
    numbers.into_iter().map(|number| number.to_string()).collect()
}

#[tokio::test]
async fn official_client_resumes_on_another_gateway_with_all_missed_events() {
    let stage = Stage::new(None).await;
    let [first, second] = &stage.links;
    let client = stage.official(false);
    let connects = wait_for_output(&client, "connect", 1).await;
    let id = connects[0].strip_prefix("false ").unwrap().to_owned();

    // Before the first event, and then after some.
    second.refuse(true);
    first.cut();
    wait_for_output(&client, "disconnect", 1).await;
    stage.publish(1..=3).await;
    second.refuse(false);
    let connects = wait_for_output(&client, "connect", 2).await;
    assert_eq!(connects[1], format!("true {id}"));
    wait_for_output(&client, "event", 3).await;

    first.refuse(true);
    second.cut();
    wait_for_output(&client, "disconnect", 2).await;
    stage.publish(4..=103).await;
    first.refuse(false);
    let connects = wait_for_output(&client, "connect", 3).await;
    assert_eq!(connects[2], format!("true {id}"));
    stage.publish([104]).await;
    wait_for_output(&client, "event", 104).await;
    assert_eq!(numbers(&client), expected(1..=104));
    assert_eq!(stage.cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_killed_gateway_costs_the_official_client_nothing() {
    let stage = Stage::new(None).await;
    let client = stage.official(false);
    wait_for_output(&client, "connect", 1).await;
    stage.publish(1..=2).await;
    wait_for_output(&client, "event", 2).await;
    stage.links[1].refuse(true);
    stage.cluster.gateway(0).kill().await;
    wait_for_output(&client, "disconnect", 1).await;
    stage.publish(3..=5).await;
    stage.links[1].refuse(false);
    let connects = wait_for_output(&client, "connect", 2).await;
    assert!(connects[1].starts_with("true "), "{connects:?}");
    stage.publish([6]).await;
    wait_for_output(&client, "event", 6).await;
    assert_eq!(numbers(&client), expected(1..=6));
}

#[tokio::test]
async fn client_that_disconnected_starts_fresh() {
    let stage = Stage::new(None).await;
    let client = stage.official(true);
    wait_for_output(&client, "connect", 1).await;
    stage.publish([1]).await;
    let connects = wait_for_output(&client, "connect", 2).await;
    assert!(connects[1].starts_with("false "), "{connects:?}");
    stage.publish([2]).await;
    wait_for_output(&client, "event", 2).await;
    assert_eq!(numbers(&client), expected([1, 2]));
    assert_eq!(stage.cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn client_behind_a_dead_link_resumes_before_its_gateway_notices() {
    let stage = Stage::new(None).await;
    let native = stage.native(0, None).await;
    stage.publish([1]).await;
    let offset = native.next().await.offset.unwrap();
    let ready = native.ready();
    // The end of this link is silent; events sent into it are lost.
    stage.links[0].blackhole();
    stage.publish([2, 3]).await;
    let sockets = "postern_gateway_sockets{dialect=\"native_json\"}";
    let open = async |gateway: usize| {
        let metrics = stage.cluster.gateway(gateway).metrics().await;
        metrics
            .lines()
            .find_map(|line| line.strip_prefix(sockets)?.trim().parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    assert!(open(0).await > 0.5, "the gateway has not noticed");

    let resume = json!({ "resumeToken": ready["resumeToken"], "offset": offset });
    let back = stage.native(1, Some(resume)).await;
    assert_eq!(back.ready()["recovered"], true, "{}", back.ready());
    stage.publish([4]).await;
    for number in ["2", "3", "4"] {
        assert_eq!(back.next().await.data["metadata"]["errorMessage"], number);
    }
    wait::until_true("the dead socket to be ended", wait::deadline(), async || {
        open(0).await < 0.5
    })
    .await;
    // The end of the old socket leaves the resume token valid: the client resumes once more.
    let resume = json!({ "resumeToken": ready["resumeToken"], "offset": back.ready()["offset"] });
    drop(back);
    let again = stage.native(0, Some(resume)).await;
    assert_eq!(again.ready()["recovered"], true, "{}", again.ready());
}

#[tokio::test]
async fn resume_beyond_the_event_log_is_unrecovered_and_sends_no_missed_event() {
    let stage = Stage::new(None).await;
    let client = stage.official(false);
    wait_for_output(&client, "connect", 1).await;
    let native = stage.native(0, None).await;
    let resume = json!({ "resumeToken": native.ready()["resumeToken"], "offset": native.ready()["offset"] });
    stage.publish([1]).await;
    wait_for_output(&client, "event", 1).await;
    stage.links[1].refuse(true);
    stage.links[0].cut();
    wait_for_output(&client, "disconnect", 1).await;
    stage.publish(2..=300).await;
    stage.links[1].refuse(false);
    let connects = wait_for_output(&client, "connect", 2).await;
    assert!(connects[1].starts_with("false "), "{connects:?}");
    let native = stage.native(0, Some(resume)).await;
    assert_eq!(native.ready()["recovered"], false);
    // The official client has a new pid and still the old offset; it can resume from here.
    stage.links[1].cut();
    let connects = wait_for_output(&client, "connect", 3).await;
    assert!(connects[2].starts_with("true "), "{connects:?}");
    stage.publish([301]).await;
    wait_for_output(&client, "event", 2).await;
    assert_eq!(numbers(&client), expected([1, 301]));
    assert_eq!(native.next().await.data["metadata"]["errorMessage"], "301");
    assert_eq!(stage.cluster.finish().await, Vec::<String>::new());
}

#[tokio::test]
async fn redis_that_lost_all_data_gives_fresh_starts_and_no_offset_twice() {
    let redis = Redis::start().await;
    let stage = Stage::new(Some(&redis)).await;
    let client = stage.official(false);
    wait_for_output(&client, "connect", 1).await;
    let native = stage.native(1, None).await;
    stage.publish(1..=3).await;
    wait_for_output(&client, "event", 3).await;
    let resume = json!({ "resumeToken": native.ready()["resumeToken"], "offset": native.ready()["offset"] });
    redis.command(&["FLUSHALL"]).await;
    stage.publish([4]).await;

    assert_eq!(native.next_event("resync").await.offset, None);
    let connects = wait_for_output(&client, "connect", 2).await;
    assert!(connects[1].starts_with("false "), "{connects:?}");
    let back = stage.native(0, Some(resume)).await;
    assert_eq!(back.ready()["recovered"], false);
    stage.publish([5]).await;
    for native in [&native, &back] {
        let last = native.next_event("account:status_changed");
        drop(last.await);
    }
    wait::until_true("the last event to arrive", wait::deadline(), async || {
        numbers(&client).last().is_some_and(|last| last == "5")
    })
    .await;
    let mut offsets = output(&client, "event");
    offsets
        .iter_mut()
        .for_each(|event| *event = event.split(' ').nth(1).unwrap().to_owned());
    let count = offsets.len();
    offsets.sort_unstable();
    offsets.dedup();
    assert_eq!(offsets.len(), count, "{offsets:?}");
    assert_eq!(stage.cluster.finish().await, Vec::<String>::new());
}
