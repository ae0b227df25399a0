//! Answers of the nodes of a cluster: slots with their owners (CLUSTER SLOTS), and the newest configuration epoch (CLUSTER NODES).

use std::ops::RangeInclusive;

use fred::types::Value;

use crate::redis::client::slots::{MAX_SLOT, SlotMap, TwoOwners};
use crate::redis::settings::Endpoint;

/// Layout of a cluster as one node knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) map: SlotMap,
    /// Configuration epoch of the newest owner: each failover and each moved slot has a higher one.
    pub(super) epoch: u64,
    /// Replicas, which may become owners.
    pub(super) replicas: Vec<Endpoint>,
}

/// Answer that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::redis::client) enum Malformed {
    /// Entry of CLUSTER SLOTS without range, address or port.
    #[error("an entry of CLUSTER SLOTS is not readable")]
    Slots,
    /// More entries than slots.
    #[error("CLUSTER SLOTS has more entries than there are slots")]
    TooMany,
    /// Slot with several owners.
    #[error("CLUSTER SLOTS contradicts itself")]
    TwoOwners(#[from] TwoOwners),
    /// No owner at all: the node is in no cluster.
    #[error("no node owns slots")]
    NoOwner,
    /// Reply of another type.
    #[error("CLUSTER NODES is no text")]
    Nodes,
}

impl Answer {
    /// Reads the replies of a node, whose own address stands for those that are left out.
    pub(super) fn read(slots: Value, nodes: &Value, asked: &Endpoint) -> Result<Self, Malformed> {
        let Value::Array(entries) = slots else {
            return Err(Malformed::Slots);
        };
        if entries.len() > usize::from(MAX_SLOT) + 1 {
            return Err(Malformed::TooMany);
        }
        let (mut owned, mut servers, mut replicas) = (Vec::new(), Vec::new(), Vec::new());
        for entry in entries {
            let (range, of_entry) = entry_of(entry, asked)?;
            let mut of_entry = of_entry.into_iter();
            // An owner whose address is unknown cannot be asked.
            if let Some((Some(owner), id)) = of_entry.next() {
                owned.push((range, owner.clone()));
                servers.push((owner, id));
            }
            replicas.extend(of_entry.filter_map(|(replica, _)| replica));
        }
        if owned.is_empty() {
            return Err(Malformed::NoOwner);
        }
        let lines = nodes.as_str().ok_or(Malformed::Nodes)?;
        let primaries: Vec<Line<'_>> = lines.lines().filter_map(Line::of_primary).collect();
        let epoch = primaries.iter().map(|line| line.epoch).max().unwrap_or_default();
        // Nodes that announce names in place of addresses do so in redirections too.
        let uses_names = primaries.iter().any(|line| {
            let owner = servers.iter().find(|(_, id)| id == line.id);
            owner.is_some_and(|(owner, _)| line.name == Some(owner.host.as_str()))
        });
        let joining = primaries.iter().filter(|line| !line.has_slots);
        let joining = joining.filter_map(|line| line.server(uses_names)).take(MAX_JOINING);
        let map = SlotMap::new(owned, joining.collect())?;
        Ok(Self { map, epoch, replicas })
    }
}

/// Server in an entry, if its address is known, and its id.
type Server = (Option<Endpoint>, String);

/// Range and servers of an entry of CLUSTER SLOTS, the owner first.
fn entry_of(entry: Value, asked: &Endpoint) -> Result<(RangeInclusive<u16>, Vec<Server>), Malformed> {
    let Value::Array(fields) = entry else {
        return Err(Malformed::Slots);
    };
    let mut fields = fields.into_iter();
    let mut slot = || {
        let slot = fields.next().as_ref().and_then(Value::as_u64);
        slot.and_then(|slot| u16::try_from(slot).ok())
            .filter(|slot| *slot <= MAX_SLOT)
    };
    let (Some(first), Some(last)) = (slot(), slot()) else {
        return Err(Malformed::Slots);
    };
    let servers: Vec<Server> = fields
        .take(MAX_SERVERS)
        .map(|server| server_of(server, asked))
        .collect::<Result<_, _>>()?;
    if first > last || servers.is_empty() {
        return Err(Malformed::Slots);
    }
    Ok((first..=last, servers))
}

/// Server in the fields address, port, id, and others.
fn server_of(server: Value, asked: &Endpoint) -> Result<Server, Malformed> {
    let Value::Array(fields) = server else {
        return Err(Malformed::Slots);
    };
    let mut fields = fields.into_iter();
    let (host, port) = (fields.next(), fields.next());
    let port = port.as_ref().and_then(Value::as_u64);
    let port = port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
    let port = port.ok_or(Malformed::Slots)?;
    let id = fields.next().as_ref().and_then(Value::as_string).unwrap_or_default();
    let host = match host {
        // `cluster-preferred-endpoint-type unknown-endpoint`: the address by which the node was asked.
        Some(Value::Null) => asked.host.clone(),
        Some(host) => match host.as_str().ok_or(Malformed::Slots)?.as_ref() {
            "" => asked.host.clone(),
            // A name that the node does not know yet.
            "?" => return Ok((None, id)),
            host => host.to_owned(),
        },
        None => return Err(Malformed::Slots),
    };
    Ok((Some(Endpoint { host, port }), id))
}

/// Primary in a line of CLUSTER NODES.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    id: &'a str,
    address: &'a str,
    name: Option<&'a str>,
    port: u16,
    epoch: u64,
    has_slots: bool,
}

impl<'a> Line<'a> {
    /// Reads `<id> <address:port@bus[,name]> <flags> <primary> <ping> <pong> <epoch> <link> [slots]`; none for replicas and for nodes
    /// that have failed or are not part of the cluster yet.
    fn of_primary(line: &'a str) -> Option<Self> {
        let mut words = line.split(' ');
        let (id, addresses, flags) = (words.next()?, words.next()?, words.next()?);
        let mut flags = flags.split(',');
        let is_usable = |flag: &str| !matches!(flag, "slave" | "fail" | "handshake" | "noaddr");
        if !flags.all(is_usable) {
            return None;
        }
        let (client, rest) = addresses.split_once('@')?;
        let (address, port) = client.rsplit_once(':')?;
        let name = rest.split(',').nth(1).filter(|name| !name.is_empty());
        let epoch = words.nth(3)?.parse().ok()?;
        let _link = words.next()?;
        // The last, in brackets, are slots that move.
        let has_slots = words.any(|word| !word.is_empty() && !word.starts_with('['));
        let port = port.parse().ok().filter(|port| *port != 0)?;
        Some(Self {
            id,
            address,
            name,
            port,
            epoch,
            has_slots,
        })
    }

    fn server(&self, by_name: bool) -> Option<Endpoint> {
        let host = self.name.filter(|_| by_name).unwrap_or(self.address);
        (!host.is_empty()).then(|| Endpoint {
            host: host.to_owned(),
            port: self.port,
        })
    }
}

/// Bound of servers in one entry: an owner and its replicas.
const MAX_SERVERS: usize = 32;
/// Bound of servers that may receive slots.
const MAX_JOINING: usize = 32;

#[cfg(test)]
mod tests;
