//! What a key stands for, in words: a key is a digest, and people want to know of what.
//!
//! So many are kept: those of what is asked for most. A label costs nothing on most hits: it is kept when something is
//! stored, as long as there is room, and when its number of hits reaches a power of two.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::key::Key;

/// So many labels are kept.
const MOST: usize = 2048;

/// A longer label is cut.
const MOST_BYTES: usize = 256;

/// From so many hits on a key pushes out the label of one that has fewer.
const OFTEN: u32 = 16;

/// Whether this many hits are a reason to note a label: so that a key that is asked for often is noted again and again, ever
/// more rarely.
pub(crate) const fn is_due(hits: u32) -> bool {
    hits >= OFTEN && hits.is_power_of_two()
}

/// Labels of keys.
#[derive(Debug, Default)]
pub(crate) struct Labels(Mutex<HashMap<Key, Label>>);

#[derive(Debug)]
struct Label {
    text: Box<str>,
    hits: u32,
}

impl Labels {
    /// Notes what a key stands for, which had so many hits. Where there is no room, the one with the fewest hits goes, if
    /// it has fewer.
    pub(crate) fn note(&self, key: Key, hits: u32, text: impl FnOnce() -> String) {
        let mut labels = self.lock();
        if let Some(label) = labels.get_mut(&key) {
            label.hits = label.hits.max(hits);
            return;
        }
        if labels.len() >= MOST {
            let fewest =
                labels.iter().min_by_key(|(_, label)| label.hits).map(|(key, label)| (*key, label.hits));
            match fewest {
                Some((least, fewest)) if fewest < hits => labels.remove(&least),
                _ => return,
            };
        }
        let mut text = text();
        if text.len() > MOST_BYTES {
            let end = (0..=MOST_BYTES).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
            text.truncate(end);
            text.push('…');
        }
        labels.insert(key, Label { text: text.into(), hits });
    }

    /// Notes what a key stands for that is stored, if there is room.
    pub(crate) fn note_stored(&self, key: Key, text: impl FnOnce() -> String) {
        if self.lock().len() < MOST {
            self.note(key, 0, text);
        }
    }

    /// What a key stands for; the key itself where that is not known.
    pub(crate) fn of(&self, key: Key) -> String {
        self.lock().get(&key).map_or_else(|| key.to_string(), |label| label.text.to_string())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Label>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_without_a_label_is_shown_as_itself() {
        assert_eq!(Labels::default().of(Key::from_u128(7)), Key::from_u128(7).to_string());
    }

    #[test]
    fn the_most_used_push_out_the_least_used_and_nobody_else() {
        let labels = Labels::default();
        for number in 0..MOST as u128 {
            labels.note_stored(Key::from_u128(number), || format!("stored {number}"));
        }
        let late = Key::from_u128(u128::MAX);
        labels.note_stored(late, || "late".into());
        assert_eq!(labels.of(late), late.to_string());
        labels.note(late, 16, || "often".into());
        assert_eq!(labels.of(late), "often");
        assert_eq!(labels.lock().len(), MOST);
    }

    #[test]
    fn a_long_label_is_cut_between_characters() {
        let labels = Labels::default();
        labels.note(Key::from_u128(1), 0, || "ä".repeat(1000));
        let text = labels.of(Key::from_u128(1));
        assert_eq!(text, format!("{}…", "ä".repeat(128)));
    }

    #[test]
    fn a_label_is_due_at_powers_of_two() {
        let due: Vec<u32> = (0..200).filter(|hits| is_due(*hits)).collect();
        assert_eq!(due, [16, 32, 64, 128]);
    }
}
