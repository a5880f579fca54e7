//! What an invalidation would reach in this process.

use serde::Serialize;

use crate::cache::Cache;
use crate::entry::Body;
use crate::log::{Standing, Target};

/// What would become untrue.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Preview {
    /// Stored responses and values.
    pub entries: u64,
    /// What they weigh.
    pub bytes: u64,
    /// What some of them are.
    pub names: Vec<String>,
}

impl<B: Body> Cache<B> {
    /// What of this process's memory an invalidation of `targets` would reach, and the names of `most` of it.
    ///
    /// **Cost**: looks at everything that is stored here. Not for a thread that others wait for.
    #[must_use]
    pub fn preview(&self, targets: &[Target<'_>], most: usize) -> Preview {
        let ids: Vec<_> = targets.iter().map(|target| self.log.id_of(target)).collect();
        let mut preview = Preview::default();
        self.local.for_each_response(|key, entry| {
            let is_named = ids.iter().any(|id| id.is_none_or(|id| entry.footprint().contains(id)));
            if !is_named || self.log.standing(entry.footprint(), entry.position) == Standing::Invalid {
                return;
            }
            preview.entries += 1;
            preview.bytes += entry.weight();
            if preview.names.len() < most {
                preview.names.push(self.watch.labels.of(key));
            }
        });
        preview
    }
}
