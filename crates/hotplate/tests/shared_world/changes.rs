//! Invalidations and values in a world: what is made untrue, set, deleted and read.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hotplate::clock::Clock;
use hotplate::key::Key;
use hotplate::log::{Mode, Target};
use hotplate::share::Sought;
use hotplate::tier::shared::Head;
use hotplate::values::{Content, Form, Terms, Value};

use crate::clients::word;
use crate::tasks::{Task, Work};
use crate::world::{Change, ChangeId, Op, OpId, Read, ReadId, World};

impl World {
    /// Invalidates by one process; the future is awaited on a task of its own.
    pub fn invalidate(&mut self, process: usize, target: &Target<'_>, mode: Mode) -> ChangeId {
        let change = ChangeId(self.changes.len());
        self.tell(|| format!("{change:?}: {process} invalidates {target} {mode:?}"));
        let cache = Arc::clone(&self.processes[process].cache);
        let (_, appending) = cache.invalidate_all(std::slice::from_ref(target), mode, self.clock.now());
        self.changes.push(Change { process, acknowledged: None });
        let job = appending.expect("there is a shared tier");
        self.tasks.push(Task::new(process, Work::Append(change, job)));
        self.gather();
        change
    }

    /// Where the record of an invalidation stands in the log of all, as far as its process knows.
    pub fn head_of(&self, change: ChangeId) -> Option<Head> {
        self.changes[change.0].acknowledged.flatten()
    }

    pub fn set_value(&mut self, process: usize, key: Key, text: &str, tags: &[&str]) -> OpId {
        self.tell(|| format!("{process} sets {key} to {text}"));
        let cache = Arc::clone(&self.processes[process].cache);
        let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let body = Bytes::copy_from_slice(text.as_bytes());
        let terms = Terms {
            ttl: Duration::from_secs(60),
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            tags: &tags,
            form: Form::Plain,
        };
        let setting = cache.set_value(key, Content { own: body, shared: None }, &terms, self.clock.now());
        self.op(process, setting)
    }

    pub fn delete_value(&mut self, process: usize, key: Key) -> OpId {
        self.tell(|| format!("{process} deletes {key}"));
        let cache = Arc::clone(&self.processes[process].cache);
        let deleting = cache.delete_value(key, self.clock.now());
        self.op(process, deleting)
    }

    fn op(&mut self, process: usize, changing: Option<hotplate::values::Changing>) -> OpId {
        let op = OpId(self.ops.len());
        self.ops.push(Op { process, returned: None });
        let job = changing.expect("there is a shared tier");
        self.tasks.push(Task::new(process, Work::Set(op, job)));
        self.gather();
        op
    }

    pub fn get_value(&mut self, process: usize, key: Key) -> ReadId {
        let read = ReadId(self.reads.len());
        self.reads.push(Read { process, key, found: None });
        match self.processes[process].cache.value(key, self.clock.now()) {
            Value::Found(entry) => self.reads[read.0].found = Some(Some(text_of(entry.body()))),
            Value::Absent => self.reads[read.0].found = Some(None),
            Value::Seek(job) => {
                self.tasks.push(Task::new(process, Work::Get(read, Box::pin(job.run()))));
            }
        }
        read
    }

    /// A value, read to the end of it.
    pub fn value(&mut self, process: usize, key: Key) -> Option<String> {
        let read = self.get_value(process, key);
        self.settle();
        self.reads[read.0].found.clone().expect("the value was looked up")
    }

    pub fn land(&mut self, read: ReadId, sought: Sought) {
        let Read { process, key, .. } = self.reads[read.0];
        self.tell(|| format!("{read:?} in {process}: {}", word(&sought)));
        let found = self.processes[process].cache.landed_value(key, sought, self.clock.now());
        let found = found.map(|entry| text_of(entry.body()));
        self.tell(|| format!("{read:?} in {process} found {found:?}"));
        self.reads[read.0].found = Some(found);
    }
}

fn text_of(body: &Bytes) -> String {
    String::from_utf8(body.to_vec()).expect("text")
}
