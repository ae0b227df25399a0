//! Replies of nodes, of all servers and of none.

use proptest::prelude::*;

use super::*;

fn server(host: &str, port: u16) -> Endpoint {
    Endpoint {
        host: host.to_owned(),
        port,
    }
}

fn array(values: impl IntoIterator<Item = Value>) -> Value {
    Value::Array(values.into_iter().collect())
}

/// Entry of CLUSTER SLOTS with its owner.
fn entry(first: i64, last: i64, host: impl Into<Value>, port: i64, id: &str) -> Value {
    let owner = array([host.into(), port.into(), id.into(), Value::Array(Vec::new())]);
    array([first.into(), last.into(), owner])
}

fn read(slots: impl IntoIterator<Item = Value>, nodes: &str) -> Result<Answer, Malformed> {
    Answer::read(array(slots), &nodes.into(), &server("asked", 7000))
}

const NODES: &str = "aa 10.0.0.1:7001@17001 myself,master - 0 0 3 connected 0-8191\n\
    bb 10.0.0.2:7002@17002 master - 0 1 7 connected 8192-16383 [1->-cc]\n\
    cc 10.0.0.3:7003@17003 master - 0 1 0 connected\n\
    dd 10.0.0.4:7004@17004 slave aa 0 1 9 connected\n\
    ee 10.0.0.5:7005@17005 master,fail - 0 1 11 connected\n";

#[test]
fn owners_joining_primaries_and_the_newest_epoch_are_read() {
    let slots = [
        entry(0, 8191, "10.0.0.1", 7001, "aa"),
        entry(8192, 16_383, "10.0.0.2", 7002, "bb"),
    ];
    let answer = read(slots, NODES).unwrap();
    assert_eq!(answer.epoch, 7, "replicas and failed nodes do not count");
    assert_eq!(answer.map.owner(8192), Some(&server("10.0.0.2", 7002)));
    let servers: Vec<String> = answer.map.servers().map(ToString::to_string).collect();
    assert_eq!(servers, ["10.0.0.1:7001", "10.0.0.2:7002", "10.0.0.3:7003"]);
    assert_eq!(answer.map.primaries().len(), 2);
}

#[test]
fn joining_primaries_have_names_where_owners_have_them() {
    let nodes = "aa 10.0.0.1:7001@17001,a.example myself,master - 0 0 3 connected 0-16383\n\
        cc 10.0.0.3:7003@17003,c.example,shard-id=1 master - 0 1 0 connected\n";
    for (owner, joining) in [("a.example", "c.example:7003"), ("10.0.0.1", "10.0.0.3:7003")] {
        let answer = read([entry(0, 16_383, owner, 7001, "aa")], nodes).unwrap();
        let servers: Vec<String> = answer.map.servers().map(ToString::to_string).collect();
        assert_eq!(servers.get(1).map(String::as_str), Some(joining));
    }
}

#[test]
fn address_that_is_left_out_is_the_one_that_was_asked() {
    for host in [Value::Null, "".into()] {
        let answer = read([entry(0, 16_383, host, 7001, "aa")], NODES).unwrap();
        assert_eq!(answer.map.owner(5), Some(&server("asked", 7001)));
    }
}

#[test]
fn slots_whose_owner_has_no_known_address_have_none() {
    let slots = [entry(0, 99, "?", 7001, "aa"), entry(100, 16_383, "b", 7002, "bb")];
    let answer = read(slots, NODES).unwrap();
    assert_eq!(
        (answer.map.owner(99), answer.map.owner(100)),
        (None, Some(&server("b", 7002)))
    );
    assert_eq!(read([entry(0, 99, "?", 7001, "aa")], NODES), Err(Malformed::NoOwner));
}

#[test]
fn replies_that_are_no_layout_are_refused() {
    let one = || entry(0, 99, "a", 7001, "aa");
    for (slots, fault) in [
        (vec![], Malformed::NoOwner),
        (vec![entry(0, 99, "a", 0, "aa")], Malformed::Slots),
        (vec![entry(0, 99, "a", 65_536, "aa")], Malformed::Slots),
        (vec![entry(0, 99, "a", -1, "aa")], Malformed::Slots),
        (vec![entry(99, 0, "a", 7001, "aa")], Malformed::Slots),
        (vec![entry(-1, 0, "a", 7001, "aa")], Malformed::Slots),
        (vec![entry(0, 16_384, "a", 7001, "aa")], Malformed::Slots),
        (vec![array([0.into(), 1.into()])], Malformed::Slots),
        (vec![array([0.into(), 1.into(), "a".into()])], Malformed::Slots),
        (vec!["a".into()], Malformed::Slots),
        (vec![one(); 16_385], Malformed::TooMany),
    ] {
        assert_eq!(read(slots, NODES), Err(fault));
    }
    let overlap = read([one(), entry(99, 200, "b", 7002, "bb")], NODES);
    assert!(matches!(overlap, Err(Malformed::TwoOwners(_))), "{overlap:?}");
    let no_text = Answer::read(array([one()]), &Value::Null, &server("asked", 7000));
    assert_eq!(no_text, Err(Malformed::Nodes));
    assert_eq!(
        Answer::read("a".into(), &NODES.into(), &server("asked", 7000)),
        Err(Malformed::Slots)
    );
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Boolean),
        (-5_i64..20_000).prop_map(Value::Integer),
        "[?a-z0-9.:]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        proptest::collection::vec(inner, 0..6).prop_map(Value::Array)
    })
}

fn any_entry() -> impl Strategy<Value = Value> {
    let owner = (any_value(), any_value(), any_value()).prop_map(|(host, port, id)| array([host, port, id]));
    (0_i64..16_384, 0_i64..16_384, owner).prop_map(|(first, last, owner)| array([first.into(), last.into(), owner]))
}

proptest! {
    #[test]
    fn any_reply_is_read_without_panic_and_within_bounds(
        slots in prop_oneof![any_value(), proptest::collection::vec(any_entry(), 0..8).prop_map(Value::Array)],
        nodes in "([a-f0-9]{2} [a-z0-9.]{0,4}(:[0-9]{0,6})?(@[0-9]{1,5})?(,[a-z.]{0,4})? [a-z,]{0,12} - 0 0 [0-9]{0,22} connected( [0-9-]{0,9})?\n){0,40}",
    ) {
        if let Ok(answer) = Answer::read(slots, &nodes.into(), &server("asked", 7000)) {
            prop_assert!(!answer.map.primaries().is_empty());
            prop_assert!(answer.map.servers().all(|server| server.port != 0 && !server.host.is_empty()));
            prop_assert!(answer.map.servers().count() <= answer.map.primaries().len() + MAX_JOINING);
        }
    }
}
