//! Many caches over one shared tier, in a simulated world: every interleaving of what they do can be played, on one
//! thread and by hand.
//!
//! * `distant`: the tier in memory as it looks from far away: answers take their time, and may get lost.
//! * `tasks`: what runs: jobs of lookups, the readers of the log, what the caches spawn. Nothing runs unless it is polled.
//! * `world`: processes, the clock and the tasks of all; `clients`: their requests; `changes`: what is invalidated, set and
//!   read beside them; `runs`: what the application does.
//! * `random`: schedules drawn by a seed, and `properties`: what must be true after each step of them.
//! * The others: one idea each, by name.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests panic; each file uses its part of the world"
)]

#[path = "world/answer.rs"]
mod answer;
#[path = "world/ask.rs"]
mod ask;
#[path = "shared_world/changes.rs"]
mod changes;
#[path = "shared_world/clients.rs"]
mod clients;
#[path = "shared_world/distant.rs"]
mod distant;
#[path = "shared_world/endings.rs"]
mod endings;
#[path = "shared_world/followed.rs"]
mod followed;
#[path = "shared_world/outages.rs"]
mod outages;
#[path = "shared_world/properties.rs"]
mod properties;
#[path = "shared_world/random.rs"]
mod random;
#[path = "shared_world/reading.rs"]
mod reading;
#[path = "shared_world/refreshes.rs"]
mod refreshes;
#[path = "world/reply.rs"]
mod reply;
#[path = "shared_world/runs.rs"]
mod runs;
#[path = "world/targets.rs"]
mod targets;
#[path = "shared_world/tasks.rs"]
mod tasks;
#[path = "shared_world/values.rs"]
mod values;
#[path = "shared_world/variants.rs"]
mod variants;
#[path = "shared_world/waiting.rs"]
mod waiting;
#[path = "shared_world/world.rs"]
mod world;
