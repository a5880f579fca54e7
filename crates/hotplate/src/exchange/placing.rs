//! Where responses stand in the local tier.
//!
//! A response that no request field selects stands under its primary key. One that `Vary` selects stands there too while it is
//! the only one ([`Slot::Sole`]): one look finds it, and the names that select take no place of their own. With the second
//! variant the primary key gets a [`VaryRecord`], and each variant stands under a key of its own. What another process loaded
//! may stand under its own key beside a sole one.
//!
//! Who changes any of it holds the lock of [`Cache::publishing`](crate::cache::Cache).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hotplate_policy::fields::Fields;
use hotplate_policy::no_vary_search::SearchVariance;

use crate::entry::{Body, Entry, SelectionParts};
use crate::exchange::load::Exchange;
use crate::exchange::lookup::HttpCache;
use crate::exchange::publish::{Draft, Stands};
use crate::key::{Key, KeyParts};
use crate::share::Sighting;
use crate::tier::local::{Slot, VaryRecord};

/// What leads a request to its stored response: its primary keys, and the fields that may select.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way<'a> {
    /// By all of the query, and by the part of it that matters, where that is known to be less.
    pub(crate) primaries: [Option<Key>; 2],
    pub(crate) fields: Fields<'a>,
}

/// What leads to a variant.
#[derive(Debug)]
pub(crate) struct Leading {
    pub(crate) primary: Key,
    /// The names that select, and which variants are known.
    pub(crate) record: Arc<VaryRecord>,
    /// The values that select it.
    text: Vec<u8>,
}

impl<B: Body> HttpCache<B> {
    pub(crate) fn way<'a>(&self, exact: Key, parts: Option<&KeyParts<'_>>, fields: Fields<'a>) -> Way<'a> {
        Way { primaries: [Some(exact), parts.and_then(|parts| self.significant(parts))], fields }
    }

    /// What stands for a key of the way: one of its primary keys, or of a variant.
    pub(crate) fn slot(&self, way: &Way<'_>, key: Key) -> Option<Slot<B>> {
        match self.sole(way, key) {
            Some((_, entry)) => Some(Slot::Response(entry)),
            None => self.cache.local.get(&key),
        }
    }

    /// The only response of a primary key of the way, if it is this variant; and that key.
    fn sole(&self, way: &Way<'_>, variant: Key) -> Option<(Key, Arc<Entry<B>>)> {
        way.primaries.into_iter().flatten().find_map(|primary| match self.cache.local.get(&primary) {
            Some(Slot::Sole(entry)) if is_variant(&entry, variant) => Some((primary, entry)),
            _ => None,
        })
    }

    /// Takes away what stands for a key of the way. What selects among the variants stays known: those who load one are found by
    /// its key.
    pub(crate) fn vacate(&self, way: &Way<'_>, key: Key) {
        let local = &self.cache.local;
        match self.sole(way, key) {
            Some((primary, entry)) => {
                if let Some(record) = VaryRecord::of_sole(&entry) {
                    local.insert(primary, Slot::Vary(Arc::new(record.without_variants())));
                }
            }
            None => local.remove(&key),
        }
    }

    /// Takes away a stored response that is of no further use, unless another one stands in its place by now.
    pub(crate) fn forget(&self, way: &Way<'_>, key: Key, entry: &Arc<Entry<B>>) {
        let _publishing = self.cache.publishing();
        if matches!(self.slot(way, key), Some(Slot::Response(present)) if Arc::ptr_eq(&present, entry)) {
            self.vacate(way, key);
        }
    }

    /// Puts a response into the local tier.
    ///
    /// # Returns
    ///
    /// Where it stands; nothing where it has no key.
    pub(super) fn place(
        &self,
        exchange: &Exchange<B>,
        draft: &Draft,
        entry: &Arc<Entry<B>>,
    ) -> Option<Stands<B>> {
        let exact = exchange.primary()?;
        let (primary, key) = (draft.primary(), draft.own_key());
        let local = &self.cache.local;
        let _publishing = self.cache.publishing();
        if let Some(variance) = draft.search()
            && let Some(family) = exchange.family()
        {
            self.cache.knows_search_variance.store(true, Ordering::Relaxed);
            local.insert(family, Slot::Search(Arc::clone(variance)));
        }
        if self.is_superseded(primary, draft, entry) {
            return Some(Stands::Local);
        }
        let is_sole = self.select(primary, draft, entry);
        self.cache.note_retention(&entry.meta());
        if !self.cache.keeps_responses {
            self.cache.counters.count_stored();
            if draft.names().is_empty() {
                // A record of variants, or that the key is not storable, would hide it.
                local.remove(&primary);
            }
            if draft.search().is_none()
                && let Some(family) = exchange.family()
            {
                local.remove(&family);
            }
            return Some(Stands::Elsewhere(key, Arc::clone(entry)));
        }
        let stored = if is_sole {
            local.insert(primary, Slot::Sole(Arc::clone(entry)))
        } else {
            local.insert(key, Slot::Response(Arc::clone(entry)))
        };
        if !stored {
            return Some(Stands::Nowhere);
        }
        self.cache.counters.count_stored();
        self.cache.watch.labels.note_stored(key, || exchange.title());
        if primary != exact {
            // Found first, it would hide what was stored now.
            local.remove(&exact);
        }
        Some(Stands::Local)
    }

    /// Whether something stands whose load began later: in its own place, or such that the key varies by other fields, or by none.
    fn is_superseded(&self, primary: Key, draft: &Draft, entry: &Entry<B>) -> bool {
        let began = entry.began();
        let local = &self.cache.local;
        let key = draft.own_key();
        match local.get(&primary) {
            Some(Slot::Vary(record)) if record.names() != draft.names() && record.latest() > began => {
                return true;
            }
            Some(Slot::Sole(present))
                if (is_variant(&present, key) || !is_selected_by(&present, draft.names()))
                    && present.began() > began =>
            {
                return true;
            }
            Some(Slot::Response(present)) if present.began() > began => return true,
            _ => {}
        }
        key != primary && matches!(local.get(&key), Some(Slot::Response(present)) if present.began() > began)
    }

    /// Makes the primary key lead to a response that request fields select.
    ///
    /// # Returns
    ///
    /// Whether it is to stand under the primary key itself.
    fn select(&self, primary: Key, draft: &Draft, entry: &Entry<B>) -> bool {
        let (names, variant) = (draft.names(), draft.own_key());
        if names.is_empty() {
            return false;
        }
        let local = &self.cache.local;
        let known = match local.get(&primary) {
            Some(Slot::Vary(record)) if record.names() == names => Some(record),
            Some(Slot::Sole(present))
                if is_selected_by(&present, names) && !is_variant(&present, variant) =>
            {
                let record = VaryRecord::of_sole(&present);
                if let Some(other) = record.iter().flat_map(VaryRecord::variants).next() {
                    local.insert(*other, Slot::Response(present));
                }
                record.map(Arc::new)
            }
            _ => None,
        };
        let is_only =
            known.as_ref().is_none_or(|record| record.variants().iter().all(|other| *other == variant));
        if is_only && self.cache.keeps_responses && entry.selection().is_some() {
            local.remove(&variant);
            return true;
        }
        let (record, dropped) = match known {
            Some(known) => known.with(variant, entry.began()),
            None => VaryRecord::new(names.to_vec()).with(variant, entry.began()),
        };
        for key in &dropped {
            local.remove(key);
        }
        if let Some(share) = &self.cache.share {
            share.discard(dropped);
        }
        local.insert(primary, Slot::Vary(Arc::new(record)));
        false
    }

    /// Puts a response from the shared tier where lookups find it, unless a newer one is there.
    ///
    /// # Returns
    ///
    /// The response, if the caller has to keep it: responses are not kept in the local tier, or it is too large for it.
    pub(crate) fn land(&self, way: &Way<'_>, sighting: Sighting) -> Option<(Key, Arc<Entry<B>>)> {
        let Sighting { key, entry, position, soft, .. } = sighting;
        let local = &self.cache.local;
        let request_time = entry.meta().request_time;
        if !self.cache.keeps_responses {
            if matches!(local.get(&key), Some(Slot::Vary(known)) if known.latest().request_time <= request_time)
            {
                // The key does not vary any more.
                local.remove(&key);
            }
            return Some((key, Arc::new(entry.landed(position, soft, None))));
        }
        let _publishing = self.cache.publishing();
        self.cache.note_retention(&entry.meta());
        let home = self.home(way, key);
        let selection = home.as_ref().map(|home| SelectionParts {
            variant: key,
            text: &home.text,
            names: home.record.names(),
        });
        let entry = Arc::new(entry.landed(position, soft, selection));
        let stands = match self.slot(way, key) {
            Some(Slot::Response(present)) if present.meta().request_time > request_time => true,
            Some(Slot::Vary(known)) if known.latest().request_time > request_time => false,
            Some(Slot::Sole(other)) if other.meta().request_time > request_time => false,
            _ => match home {
                Some(home) if entry.selection().is_some() => {
                    local.remove(&key);
                    local.insert(home.primary, Slot::Sole(Arc::clone(&entry)))
                }
                _ => local.insert(key, Slot::Response(Arc::clone(&entry))),
            },
        };
        (!stands).then_some((key, entry))
    }

    /// Where this variant may stand as the only one of a primary key of the way.
    fn home(&self, way: &Way<'_>, variant: Key) -> Option<Leading> {
        let leading = self.leading(way, variant)?;
        leading.record.variants().iter().all(|other| *other == variant).then_some(leading)
    }

    /// What leads to this variant on the way.
    pub(crate) fn leading(&self, way: &Way<'_>, variant: Key) -> Option<Leading> {
        way.primaries.into_iter().flatten().find_map(|primary| {
            let record = match self.cache.local.get(&primary)? {
                Slot::Vary(record) => record,
                Slot::Sole(entry) => Arc::new(VaryRecord::of_sole(&entry)?),
                _ => return None,
            };
            let text = self.selecting(record.names().iter().map(|name| &**name), way.fields);
            (primary.variant(&text) == variant).then_some(Leading { primary, record, text })
        })
    }

    /// Another process found which part of the query matters.
    pub(crate) fn learn_search(&self, parts: &KeyParts<'_>, text: &[u8]) {
        let lines = [(&b"no-vary-search"[..], text)];
        let variance = SearchVariance::parse(Fields::new(&lines));
        self.cache.knows_search_variance.store(true, Ordering::Relaxed);
        self.cache.local.insert(Key::family(parts), Slot::Search(Arc::new(variance)));
    }

    /// Another process found that the responses of a key vary by these request fields.
    pub(crate) fn learn_variants(&self, primary: Key, names: Vec<Box<str>>) {
        let local = &self.cache.local;
        let _publishing = self.cache.publishing();
        let is_known = match local.get(&primary) {
            Some(Slot::Vary(known)) => *known.names() == *names,
            Some(Slot::Sole(present)) => is_selected_by(&present, &names),
            _ => false,
        };
        if !is_known {
            local.insert(primary, Slot::Vary(Arc::new(VaryRecord::new(names))));
        }
    }
}

/// Whether it is the response of this variant.
fn is_variant<B: Body>(entry: &Entry<B>, variant: Key) -> bool {
    entry.selection().is_some_and(|selection| selection.variant() == variant)
}

/// Whether these request fields select it.
fn is_selected_by<B: Body>(entry: &Entry<B>, names: &[Box<str>]) -> bool {
    entry.selection().is_some_and(|selection| selection.names().eq(names.iter().map(|name| &**name)))
}
