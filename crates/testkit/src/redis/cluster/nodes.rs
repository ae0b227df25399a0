//! Reply to CLUSTER NODES: the map of a cluster as one node knows it.

use std::collections::BTreeMap;

/// All nodes that one node knows.
#[derive(Debug)]
pub(super) struct NodesReply {
    lines: Vec<Line>,
}

/// One node: `<id> <ip>:<port>@<bus port> <flags> <primary> <ping> <pong> <epoch> <link> <slots>...`.
#[derive(Debug)]
pub(super) struct Line {
    id: String,
    port: u16,
    flags: Vec<String>,
    primary: String,
    pub(super) epoch: u64,
    /// First and last slots of its ranges.
    ranges: Vec<(u16, u16)>,
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split_whitespace();
        let mut next = || fields.next();
        let (id, address, flags, primary) = (next()?, next()?, next()?, next()?);
        let (_ping, _pong, epoch, _link) = (next()?, next()?, next()?, next()?);
        let (_, port) = address.split('@').next()?.rsplit_once(':')?;
        // A slot that moves is `[slot->-id]` or `[slot-<-id]`, besides the range that contains it.
        let ranges = fields.filter(|range| !range.starts_with('['));
        let range = |range: &str| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            Some((first.parse().ok()?, last.parse().ok()?))
        };
        Some(Self {
            id: id.to_owned(),
            port: port.parse().ok()?,
            flags: flags.split(',').map(str::to_owned).collect(),
            primary: primary.to_owned(),
            epoch: epoch.parse().ok()?,
            ranges: ranges.filter_map(range).collect(),
        })
    }

    /// Reports whether the node is a primary with this slot.
    pub(super) fn owns(&self, slot: u16) -> bool {
        self.is("master") && self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&slot))
    }

    /// Reports whether the node is a primary with any slot.
    pub(super) fn is_owner(&self) -> bool {
        self.is("master") && !self.ranges.is_empty()
    }

    /// First and last slots of the ranges that the node owns.
    pub(super) fn owned(&self) -> Vec<(u16, u16)> {
        if self.is("master") {
            self.ranges.clone()
        } else {
            Vec::new()
        }
    }

    fn is(&self, flag: &str) -> bool {
        self.flags.iter().any(|other| other == flag)
    }
}

impl NodesReply {
    pub(super) fn parse(text: &str) -> Self {
        Self {
            lines: text.lines().filter_map(Line::parse).collect(),
        }
    }

    /// The node that replied.
    pub(super) fn myself(&self) -> Option<&Line> {
        self.lines.iter().find(|line| line.is("myself"))
    }

    /// Reports whether the node knows this number of nodes, all by their ids.
    pub(super) fn is_complete(&self, nodes: usize) -> bool {
        self.lines.len() == nodes && self.lines.iter().all(|line| !line.is("handshake"))
    }

    /// Primary and slots of each node, by its port.
    pub(super) fn layout(&self) -> BTreeMap<u16, (String, Vec<(u16, u16)>)> {
        let node = |line: &Line| (line.port, (line.primary.clone(), line.ranges.clone()));
        self.lines.iter().map(node).collect()
    }

    /// Port of the primary that owns a slot.
    pub(super) fn owner_port(&self, slot: u16) -> Option<u16> {
        self.lines.iter().find(|line| line.owns(slot)).map(|line| line.port)
    }

    /// Port of a replica of the node that replied.
    pub(super) fn replica_port(&self) -> Option<u16> {
        let own = &self.myself()?.id;
        let replica = self.lines.iter().find(|line| line.primary == *own && !line.is("fail"));
        replica.map(|line| line.port)
    }
}
