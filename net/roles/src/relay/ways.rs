//! On whose behalf the client's part of a relay asks: the streams that wait for what it decides.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use centauri_wire::{NodeId, StreamId};

use crate::requests::Reason;
use crate::{
    Client, ClientConfig, ComputationUpstream, ConfigError, Query, Replica, ReplicaConfig, StreamQuery,
    SubscriberLimits, Upstream,
};

/// A request on behalf of the replica's streams.
#[derive(Debug)]
struct Way {
    node: NodeId,
    address: SocketAddr,
    /// Without its `via`.
    query: Query,
    times: (i64, i64),
    /// What is decided of what comes: the replica computes the same streams from each.
    decided: Vec<StreamId>,
}

/// The requests of the client's part that the replica's streams wait for.
///
/// Each says so in its `via`, as the replica's own requests do, so that a circle is found that goes through what is decided. Streams
/// for which the same wait are asked for together; where a node would have to be asked in more ways than it allows, the last
/// streams are asked for without telling on whose behalf.
#[derive(Debug)]
pub(super) struct Ways(Vec<Way>);

impl Ways {
    /// Takes out of what the client is told to ask those requests for which a stream of the replica waits.
    ///
    /// # Errors
    /// A computation that cannot be asked for.
    pub(super) fn take(
        client: &mut ClientConfig,
        replica: &ReplicaConfig,
        own: NodeId,
    ) -> Result<Self, ConfigError> {
        let waiting = |stream: StreamId| -> Vec<StreamId> {
            let of = |known: &&crate::ReplicaStream| {
                known.sources.iter().any(|source| (source.node, source.stream) == (own, stream))
            };
            replica.streams.iter().filter(of).map(|known| known.stream).collect()
        };
        let mut ways = Vec::new();
        let mut plain = Vec::new();
        for upstream in std::mem::take(&mut client.upstreams) {
            let computations = client.computations.iter().filter(|asked| asked.node == upstream.node);
            let computed: Vec<StreamId> = computations.map(ComputationUpstream::stream).collect();
            // One is left for what is asked for in the plain way.
            let most = SubscriberLimits::default().per_node_max.saturating_sub(computed.len() + 1);
            let mut groups: BTreeMap<Vec<StreamId>, Vec<StreamId>> = BTreeMap::new();
            for decided in &client.streams {
                let stream = decided.stream;
                let is_asked = decided.replicas.contains(&upstream.node) && upstream.query.contains(stream);
                if is_asked && !computed.contains(&stream) {
                    let by = waiting(stream);
                    let has_room = groups.contains_key(&by) || groups.len() < most;
                    groups.entry(if has_room { by } else { Vec::new() }).or_default().push(stream);
                }
            }
            let mut rest = groups.remove(&[][..]).unwrap_or_default();
            let Upstream { node, address, .. } = upstream;
            let times = (client.request.period_ns, client.request.validity_ns);
            let before = ways.len();
            for decided in groups.into_values() {
                match StreamQuery::of(decided.iter().copied()) {
                    // Too many to list. Asked for all on behalf of some, the node could find circles that there are not.
                    StreamQuery::All => rest.extend(decided),
                    query => ways.push(Way { node, address, query: query.into(), times, decided }),
                }
            }
            if ways.len() == before {
                plain.push(upstream);
            } else if !rest.is_empty() {
                plain.push(Upstream { node, address, query: StreamQuery::of(rest) });
            }
        }
        client.upstreams = plain;
        let is_waited_for = |asked: &mut ComputationUpstream| !waiting(asked.stream()).is_empty();
        for asked in client.computations.extract_if(.., is_waited_for) {
            asked.check()?;
            let (stream, times) = (asked.stream(), (asked.every_ns, asked.validity_ns));
            let (node, address, query) = (asked.node, asked.address, asked.query.into());
            ways.push(Way { node, address, query, times, decided: vec![stream] });
        }
        Ok(Self(ways))
    }

    /// Has the client ask on behalf of those who wait now.
    pub(super) fn ask(&self, now_ns: i64, replica: &Replica, client: &mut Client) {
        for Way { node, address, query, times, decided } in &self.0 {
            let Some(first) = decided.first() else { continue };
            let query = Query { via: replica.waiting_for_decided(decided), ..query.clone() };
            client.need((*node, Reason::Stream(*first)), *address, query, *times, now_ns);
        }
    }
}
