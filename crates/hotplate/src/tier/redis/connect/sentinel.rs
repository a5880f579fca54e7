//! The way by sentinels: one that knows the master, then the master.

use redis::{Cmd, RedisConnectionInfo};

use super::errors::{ConnectError, Noted, Obstacle};
use super::{Link, Way, unhurried};
use crate::tier::redis::config::Host;

impl Way<'_> {
    /// The master the sentinels name. Each step has its share of the time, so that one that hangs does not take it all.
    pub(super) async fn by_sentinels(
        &self,
        sentinels: &[Host],
        service: &str,
        login: &RedisConnectionInfo,
        noted: &mut Noted,
    ) -> Result<Link, ConnectError> {
        let share = self.share(sentinels.len());
        let mut tried = Vec::new();
        for sentinel in sentinels {
            let address = format!("the sentinel {sentinel}");
            let master =
                match self.within(share, &address, self.ask(sentinel, service, login, &address)).await {
                    Ok(master) if tried.contains(&master) => continue,
                    Ok(master) => master,
                    Err(error) => {
                        noted.note(error);
                        continue;
                    }
                };
            match self.within(share, &master.to_string(), self.to_master(&self.address(&master))).await {
                Ok(link) => return Ok(link),
                Err(error) => noted.note(error),
            }
            tried.push(master);
        }
        Err(self.given_up(noted))
    }

    /// Where a sentinel says the master is.
    async fn ask(
        &self,
        sentinel: &Host,
        service: &str,
        login: &RedisConnectionInfo,
        address: &str,
    ) -> Result<Host, ConnectError> {
        let asked = async {
            let client = self.client(&self.address(sentinel), login.clone())?;
            let mut connection = client.get_multiplexed_async_connection_with_config(&unhurried()).await?;
            let mut command = Cmd::new();
            command.arg("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(service);
            command.query_async::<Option<(String, u16)>>(&mut connection).await
        };
        match asked.await {
            Ok(Some((name, port))) => Ok(Host { name, port }),
            Ok(None) => {
                let sentence = format!("{address} knows no master \"{service}\"");
                Err(ConnectError::new(Obstacle::NotMaster, sentence))
            }
            Err(error) if error.detail().is_some_and(|detail| detail.contains("command 'SENTINEL'")) => {
                let sentence = format!("{address} is no sentinel: write redis:// in the URL");
                Err(ConnectError::new(Obstacle::Unsupported, sentence))
            }
            Err(error) => Err(self.failed(address, error)),
        }
    }
}
