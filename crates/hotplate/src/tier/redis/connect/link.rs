//! A connection that is ready, whatever it leads to.

use std::fmt;
use std::sync::Arc;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, Pipeline, RedisFuture, RedisResult, Value};

use super::server::Server;

/// A connection, shared by its clones. It ends when the last of them is dropped.
#[derive(Clone)]
pub(in crate::tier::redis) struct Link {
    pub(super) wire: Wire,
    pub(super) server: Arc<Server>,
}

#[derive(Clone)]
pub(super) enum Wire {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Link {
    /// Who answers.
    pub(in crate::tier::redis) fn server(&self) -> &Server {
        &self.server
    }

    /// Whether all keys are in one place.
    pub(in crate::tier::redis) fn is_one(&self) -> bool {
        matches!(self.wire, Wire::One(_))
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.server)
    }
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match &mut self.wire {
            Wire::One(connection) => connection.req_packed_command(cmd),
            Wire::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match &mut self.wire {
            Wire::One(connection) => connection.req_packed_commands(pipeline, offset, count),
            Wire::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match &self.wire {
            Wire::One(connection) => connection.get_db(),
            Wire::Cluster(connection) => connection.get_db(),
        }
    }
}

/// Subscribes to a channel. Its messages come to the [`Pushes`](super::Pushes) the link was made with.
///
/// # Errors
///
/// As any command: the connection is gone, the answer is late, the user has no permission.
pub(in crate::tier::redis) async fn subscribe(link: &mut Link, channel: &str) -> RedisResult<()> {
    match &mut link.wire {
        Wire::One(connection) => connection.subscribe(channel).await,
        Wire::Cluster(connection) => connection.subscribe(channel).await,
    }
}
