//! What is used most, and what is largest.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use serde::Serialize;

use crate::cache::Cache;
use crate::entry::Body;
use crate::key::Key;
use crate::log::Standing;

/// More different tags than this are not told apart: those that come first are.
const MOST_TAGS: usize = 100_000;

/// A key, or a tag with all that has it.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Top {
    /// What the key stands for, or the tag.
    pub name: String,
    /// 32 hexadecimal digits; nothing for a tag.
    pub key: String,
    /// How often it was served.
    pub hits: u64,
    /// What it weighs.
    pub bytes: u64,
    /// How many stored responses and values that is.
    pub entries: u64,
}

/// The first few of each kind.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Tops {
    /// Keys that are served often.
    pub keys_by_hits: Vec<Top>,
    /// Keys that are large.
    pub keys_by_bytes: Vec<Top>,
    /// Tags that are served often.
    pub tags_by_hits: Vec<Top>,
    /// Tags that are large.
    pub tags_by_bytes: Vec<Top>,
}

/// The greatest of many, a few at a time.
struct Greatest {
    most: usize,
    found: BinaryHeap<Reverse<(u64, Key, u64)>>,
}

impl Greatest {
    fn new(most: usize) -> Self {
        Self { most, found: BinaryHeap::with_capacity(most + 1) }
    }

    fn offer(&mut self, rank: u64, key: Key, beside: u64) {
        if rank == 0
            || (self.found.len() == self.most && self.found.peek().is_some_and(|least| least.0.0 >= rank))
        {
            return;
        }
        self.found.push(Reverse((rank, key, beside)));
        if self.found.len() > self.most {
            self.found.pop();
        }
    }

    /// The greatest first: rank, key, what was beside it.
    fn sorted(self) -> impl Iterator<Item = (u64, Key, u64)> {
        // Ascending by `Reverse` is descending.
        self.found.into_sorted_vec().into_iter().map(|Reverse(found)| found)
    }
}

impl<B: Body> Cache<B> {
    /// What this process serves most often, and what takes most of its memory: `most` of each kind.
    ///
    /// **Cost**: looks at everything that is stored here. Not for a thread that others wait for.
    #[must_use]
    pub fn tops(&self, most: usize) -> Tops {
        let (mut by_hits, mut by_bytes) = (Greatest::new(most), Greatest::new(most));
        let mut tags: HashMap<String, Top> = HashMap::new();
        self.local.for_each_response(|key, entry| {
            if self.log.standing(entry.footprint(), entry.position) == Standing::Invalid {
                return;
            }
            let (hits, bytes) = (u64::from(entry.hits()), entry.weight());
            by_hits.offer(hits, key, bytes);
            by_bytes.offer(bytes, key, hits);
            for tag in entry.tags() {
                if !tags.contains_key(tag) {
                    if tags.len() == MOST_TAGS {
                        continue;
                    }
                    tags.insert(tag.to_owned(), Top::default());
                }
                let Some(top) = tags.get_mut(tag) else { continue };
                top.hits += hits;
                top.bytes += bytes;
                top.entries += 1;
            }
        });
        let of_key = |key: Key, hits, bytes| Top {
            name: self.watch.labels.of(key),
            key: key.to_string(),
            hits,
            bytes,
            entries: 1,
        };
        let mut tags: Vec<Top> = tags.into_iter().map(|(name, top)| Top { name, ..top }).collect();
        let mut first = |rank: fn(&Top) -> u64| {
            tags.sort_unstable_by(|one, other| rank(other).cmp(&rank(one)).then(one.name.cmp(&other.name)));
            tags.iter().filter(|top| rank(top) > 0).take(most).cloned().collect::<Vec<_>>()
        };
        Tops {
            keys_by_hits: by_hits.sorted().map(|(hits, key, bytes)| of_key(key, hits, bytes)).collect(),
            keys_by_bytes: by_bytes.sorted().map(|(bytes, key, hits)| of_key(key, hits, bytes)).collect(),
            tags_by_hits: first(|top| top.hits),
            tags_by_bytes: first(|top| top.bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_come_first_and_nothing_that_is_nothing() {
        let mut greatest = Greatest::new(3);
        for rank in [5, 0, 9, 1, 7, 3] {
            greatest.offer(rank, Key::from_u128(rank.into()), 0);
        }
        assert_eq!(greatest.sorted().map(|(rank, ..)| rank).collect::<Vec<_>>(), [9, 7, 5]);
    }
}
