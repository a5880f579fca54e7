//! The way to a cluster: one of its nodes alone, then all of them.

use std::sync::Arc;

use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{ProtocolVersion, RedisResult};

use super::errors::{ConnectError, Noted, Obstacle};
use super::link::Wire;
use super::{Link, Purpose, Way, tcp, unhurried};
use crate::tier::redis::config::Host;

/// Attempts of one command in a cluster that is moving, and the milliseconds between them.
const CLUSTER_RETRIES: u32 = 2;
const CLUSTER_SHORTEST_WAIT: u64 = 5;
const CLUSTER_LONGEST_WAIT: u64 = 20;

impl Way<'_> {
    /// All nodes of a cluster. One of them is asked alone first: what a cluster's client reports does not say why.
    pub(super) async fn to_cluster(&self, nodes: &[Host], noted: &mut Noted) -> Result<Link, ConnectError> {
        let share = self.share(nodes.len());
        let mut found = None;
        for node in nodes {
            match self.within(share, &node.to_string(), self.open(&self.address(node), &unhurried())).await {
                Ok((_, hello)) => {
                    found = Some(hello);
                    break;
                }
                Err(error) if error.obstacle == Obstacle::Unreachable => noted.note(error),
                Err(error) => return Err(error),
            }
        }
        let Some(hello) = found else {
            return Err(self.given_up(noted));
        };
        if hello.mode != "cluster" {
            let address = &hello.server.address;
            let sentence = format!("{address} is not a node of a cluster: write redis:// in the URL");
            return Err(ConnectError::new(Obstacle::Unsupported, sentence));
        }
        let connection = self.cluster(nodes).await.map_err(|error| self.failed(&self.target(), error))?;
        Ok(Link { wire: Wire::Cluster(connection), server: Arc::new(hello.server) })
    }

    async fn cluster(&self, nodes: &[Host]) -> RedisResult<ClusterConnection> {
        let nodes = nodes.iter().map(|node| self.info(&self.address(node), self.login()));
        let mut builder = ClusterClient::builder(nodes.collect::<RedisResult<Vec<_>>>()?)
            .use_protocol(ProtocolVersion::RESP3)
            .tcp_settings(tcp())
            .retries(CLUSTER_RETRIES)
            .min_retry_wait(CLUSTER_SHORTEST_WAIT)
            .max_retry_wait(CLUSTER_LONGEST_WAIT)
            // The nodes of the URL are waited for, then the nodes they name: twice, with time to spare.
            .connection_timeout(self.settings.connect_timeout / 4);
        if self.purpose == Purpose::Commands {
            builder = builder.response_timeout(self.settings.command_timeout);
        }
        if let Some(pushes) = &self.pushes {
            builder = builder.push_sender(Arc::clone(pushes));
        }
        if let Some(certificates) = &self.certificates {
            builder = builder.certs(certificates.clone());
        }
        builder.build()?.get_async_connection().await
    }
}
