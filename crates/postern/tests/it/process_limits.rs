//! Limits of the processes themselves.

use testkit::cluster::Cluster;

use crate::stage::POSTERN;

#[tokio::test]
async fn nodes_write_no_core_files() {
    let cluster = Cluster::builder(POSTERN).gateways(1).start().await;
    for node in [cluster.gateway(0), cluster.worker(0)] {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", node.pid())).unwrap();
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"))
            .unwrap();
        let values: Vec<&str> = core.split_whitespace().skip(4).take(2).collect();
        assert_eq!(values, ["0", "0"], "{core}");
    }
    assert_eq!(cluster.finish().await, Vec::<String>::new());
}
