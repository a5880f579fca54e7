//! What the application's content leads to: chunks that pass while they are kept, and at the last one a stored response.

use std::sync::Arc;

use hotplate_policy::reason::Reason;
use hotplate_policy::time::Timestamp;

use super::{Came, ChunkStep, Edits, Exchange, Purpose, Recording, State};
use crate::cache::Outcome;
use crate::entry::Body;
use crate::exchange::publish::Draft;
use crate::fill::End;

impl<B: Body> Exchange<B> {
    pub(super) fn pass_chunk(&mut self) -> ChunkStep<B> {
        let State::Recording(recording) = &mut self.state else { return ChunkStep::Send };
        let was_held = std::mem::take(&mut recording.held);
        match &self.state {
            _ if self.answered => ChunkStep::Drop,
            State::Recording(Recording { purpose: Purpose::Store(draft), .. }) if was_held => {
                ChunkStep::SendHead(self.edits_of(draft))
            }
            _ => ChunkStep::Send,
        }
    }

    pub(super) fn give_up(&mut self, reason: Reason, now: Timestamp) -> ChunkStep<B> {
        match self.stop_recording(reason, now) {
            _ if self.answered => ChunkStep::Drop,
            Some(edits) => ChunkStep::SendHead(edits),
            None => ChunkStep::Send,
        }
    }

    /// Returns the edits for a head that was held, which the client gets now.
    pub(super) fn stop_recording(&mut self, reason: Reason, now: Timestamp) -> Option<Edits> {
        let State::Recording(recording) = std::mem::replace(&mut self.state, State::Passing) else {
            return None;
        };
        self.remember_not_storable(reason, now);
        recording.held.then(|| self.edits(reason, false))
    }

    pub(super) fn complete(&mut self, now: Timestamp) -> ChunkStep<B> {
        let State::Recording(recording) = std::mem::replace(&mut self.state, State::Passing) else {
            return ChunkStep::Send;
        };
        let body = B::join(recording.chunks);
        let (entry, stored) = match recording.purpose {
            Purpose::Share(status, lines) => {
                let entry = Draft::unstored(self, status, &lines, now).entry(self, body);
                let stale = self.origin.stale.clone();
                self.finish_permit(End::Failed(Outcome::Response(Arc::new(entry), stale)));
                return if self.answered { ChunkStep::Drop } else { ChunkStep::Send };
            }
            Purpose::Store(mut draft) => {
                draft.make_etag(body.as_slice());
                let entry = Arc::new(draft.entry(self, body));
                let http = Arc::clone(&self.http);
                let stored = http.publish(self, &draft, Arc::clone(&entry));
                if let Some(end) = stored.end() {
                    self.finish_permit(end);
                } else {
                    self.remember_not_storable(Reason::TooLarge, now);
                }
                (entry, stored.is_stored())
            }
        };
        self.http.cache.retries.clear(self.origin.key);
        match (self.answered, recording.held) {
            (true, _) => ChunkStep::Drop,
            (false, false) => ChunkStep::Send,
            (false, true) => {
                self.answered = true;
                ChunkStep::Answer(self.answer_from(entry, now, Came { confirmed: false, stored }))
            }
        }
    }
}
