//! The scripts that make each change of several keys one step, and how they are called.

use redis::aio::ConnectionLike;
use redis::{Cmd, RedisError, ServerErrorKind, Value};

use super::connect::Link;
use crate::tier::sealed::{STAMP_AT, STAMP_BYTES};

/// A script: called by its digest, and sent whole only to a server that does not know it.
#[derive(Debug)]
pub(super) struct Script {
    code: String,
    digest: String,
}

/// Every script. See `lua/` for what each does, takes and returns.
#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) append: Script,
    pub(super) snapshot: Script,
    pub(super) cursor: Script,
    pub(super) retain: Script,
    pub(super) publish: Script,
    pub(super) lease: Script,
    pub(super) remove_older: Script,
    pub(super) remove_seen: Script,
    pub(super) renew: Script,
    pub(super) release: Script,
    pub(super) tally: Script,
    pub(super) report: Script,
    pub(super) reports: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        let log = include_str!("lua/log.lua");
        let stamp = include_str!("lua/stamp.lua");
        Self {
            append: Script::new(log, include_str!("lua/append.lua")),
            cursor: Script::new(log, include_str!("lua/cursor.lua")),
            snapshot: Script::new(log, include_str!("lua/snapshot.lua")),
            retain: Script::new(log, include_str!("lua/retain.lua")),
            publish: Script::new(stamp, include_str!("lua/publish.lua")),
            lease: Script::new(stamp, include_str!("lua/lease.lua")),
            remove_older: Script::new(stamp, include_str!("lua/remove_older.lua")),
            remove_seen: Script::new(stamp, include_str!("lua/remove_seen.lua")),
            renew: Script::new("", include_str!("lua/renew.lua")),
            release: Script::new("", include_str!("lua/release.lua")),
            tally: Script::new("", include_str!("lua/tally.lua")),
            report: Script::new("", include_str!("lua/report.lua")),
            reports: Script::new("", include_str!("lua/reports.lua")),
        }
    }
}

impl Script {
    /// `before`: what stands before the script, but after its first line if that says how to run it.
    fn new(before: &str, script: &str) -> Self {
        let (shebang, body) = match script.split_once('\n') {
            Some((first, rest)) if first.starts_with("#!") => (first, rest),
            _ => ("", script),
        };
        let stamp_end = STAMP_AT + STAMP_BYTES - 1;
        let numbers = format!("local STAMP_AT = {STAMP_AT}\nlocal STAMP_END = {stamp_end}");
        let code = format!("{shebang}\n{numbers}\n{before}{body}");
        let digest = redis::Script::new(&code).get_hash().to_owned();
        Self { code, digest }
    }

    fn command(&self, name: &str, script: &str, keys: &[&[u8]], arguments: &[&[u8]]) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(keys.len());
        for part in keys.iter().chain(arguments) {
            command.arg(*part);
        }
        command
    }

    /// Runs the script.
    pub(super) async fn run(
        &self,
        link: &mut Link,
        keys: &[&[u8]],
        arguments: &[&[u8]],
    ) -> Result<Value, RedisError> {
        let known = self.command("EVALSHA", &self.digest, keys, arguments);
        match ask(link, &known).await {
            Err(error) if error.kind() == redis::ErrorKind::Server(ServerErrorKind::NoScript) => {
                ask(link, &self.command("EVAL", &self.code, keys, arguments)).await
            }
            answer => answer,
        }
    }
}

/// Runs a command. What the server refuses is an error, too.
pub(super) async fn ask(link: &mut Link, command: &Cmd) -> Result<Value, RedisError> {
    link.req_packed_command(command).await?.extract_error()
}
