//! What the request itself makes untrue: a write that went through.

use hotplate_policy::fields::Fields;
use hotplate_policy::groups;
use hotplate_policy::invalidation;
use hotplate_policy::time::Timestamp;

use super::Exchange;
use crate::entry::Body;
use crate::exchange::publish::group_tag;
use crate::log::{Mode, Target};

/// What a write has made untrue.
#[derive(Debug)]
pub(super) struct Written {
    /// Paths on the request's host, as rules see them.
    paths: Vec<String>,
    tags: Vec<String>,
    /// When its response began.
    at: Timestamp,
}

impl<B: Body> Drop for Exchange<B> {
    fn drop(&mut self) {
        self.finish_write();
    }
}

impl<B: Body> Exchange<B> {
    /// A write went through: its URI, the paths of the same origin it names (RFC 9111 §4.4) and the groups it names
    /// (RFC 9875 §3) are no longer true. They are named again when the application is done with it.
    pub(super) fn wrote(&mut self, fields: Fields<'_>, at: Timestamp) {
        let request = &self.request;
        let further =
            invalidation::further_targets(&request.scheme, &request.authority, &request.raw_path, fields);
        let mut paths: Vec<String> = further.map(|path| request.relative(&path)).collect();
        paths.push((*request.path).to_owned());
        let groups = groups::invalidated_groups(fields, false);
        let tags = groups.iter().map(|group| group_tag(&request.scheme, &request.authority, group)).collect();
        let written = Written { paths, tags, at };
        self.invalidate(&written);
        self.written = Some(written);
    }

    /// What a handler commits after its response has begun is not in what was loaded in between.
    pub(super) fn finish_write(&mut self) {
        if let Some(written) = self.written.take() {
            self.invalidate(&written);
        }
    }

    fn invalidate(&self, written: &Written) {
        let authority = &self.request.authority;
        let paths = written.paths.iter().map(|path| Target::Uri { authority, path: path.as_bytes() });
        let targets: Vec<Target<'_>> = paths.chain(written.tags.iter().map(|tag| Target::Tag(tag))).collect();
        // Nobody waits for the other processes to hear of it: it is on its way before the client has its answer.
        drop(self.http.cache.invalidate_all(&targets, Mode::Hard, written.at));
    }
}
