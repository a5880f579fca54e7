//! Keys of names that are asked for often: to digest a name takes longer than to look up what is stored under it.
//!
//! Each thread remembers the keys of the names it has asked for last, one for each place of a table. Which place is a
//! name's own a fast hash says, that anybody can compute: names that meet there push each other out, and are digested.

use std::cell::RefCell;

use xxhash_rust::xxh3::xxh3_64;

use super::Key;

/// So many names are remembered; a power of two.
const PLACES: usize = 2048;

/// Longer names are digested each time. With this, what is remembered of one name fills one line of the processor's cache.
const MOST_BYTES: usize = 47;

/// A name and its key.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Known {
    key: [u8; 16],
    length: u8,
    text: [u8; MOST_BYTES],
}

thread_local! {
    static KNOWN: RefCell<Vec<Known>> = const { RefCell::new(Vec::new()) };
}

/// As [`Key::named`], for a name that may be asked for again and again.
#[must_use]
pub fn named_often(name: &str) -> Key {
    let name = name.as_bytes();
    if name.is_empty() || name.len() > MOST_BYTES {
        return Key::named(name);
    }
    // While a thread ends there is no table any more.
    KNOWN.try_with(|known| find(&mut known.borrow_mut(), name)).unwrap_or_else(|_| Key::named(name))
}

fn find(known: &mut Vec<Known>, name: &[u8]) -> Key {
    if known.is_empty() {
        known.resize(PLACES, Known { key: [0; 16], length: 0, text: [0; MOST_BYTES] });
    }
    #[allow(clippy::cast_possible_truncation, reason = "the low bits are what is wanted")]
    let place = xxh3_64(name) as usize % PLACES;
    let known = &mut known[place];
    if known.text.get(..usize::from(known.length)) == Some(name) {
        return Key(u128::from_le_bytes(known.key));
    }
    let key = Key::named(name);
    known.key = key.0.to_le_bytes();
    known.length = u8::try_from(name.len()).unwrap_or_default();
    known.text[..name.len()].copy_from_slice(name);
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn more_names_than_places_have_their_own_keys_each_time() {
        for _ in 0..2 {
            for number in 0..3 * PLACES {
                let name = format!("product:{number}");
                assert_eq!(named_often(&name), Key::named(name.as_bytes()));
                assert_eq!(named_often(&name), Key::named(name.as_bytes()), "remembered");
            }
        }
    }

    proptest! {
        #[test]
        fn it_is_the_key_of_the_name(names in proptest::collection::vec(".{0,60}", 1..8)) {
            for name in names.iter().chain(&names) {
                prop_assert_eq!(named_often(name), Key::named(name.as_bytes()));
            }
        }
    }
}
