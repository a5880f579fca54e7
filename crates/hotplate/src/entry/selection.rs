//! What of a request selects a stored response among those of its primary key (RFC 9111 §4.1).
//!
//! At the beginning of an entry's head: how many bytes it is in all (2, little-endian), the selecting text as its length and
//! bytes, and each name. A name is its number in [`NAMES`], or 0, its length and text. The key of the variant is kept beside
//! the head. It is of this process and no part of the form in which entries leave it: who reads one comes to it by the names.

use crate::key::Key;
use crate::leb128;

/// The request fields that responses mostly vary by have numbers, from 1. They are not read as text at each hit.
const NAMES: [&str; 8] = [
    "accept-encoding",
    "accept-language",
    "accept",
    "origin",
    "cookie",
    "authorization",
    "user-agent",
    "x-requested-with",
];

const LENGTH_BYTES: usize = 2;

/// What a [`Selection`] is made of.
#[derive(Clone, Copy, Debug)]
pub struct SelectionParts<'a> {
    /// The key of the variant.
    pub variant: Key,
    /// The values that select, in the canonical text of which `variant` is made.
    pub text: &'a [u8],
    /// The request fields that select: lower case, sorted, each once.
    pub names: &'a [Box<str>],
}

/// The selection of an entry, borrowed from it.
#[derive(Clone, Copy, Debug)]
pub struct Selection<'a> {
    variant: Key,
    text: &'a [u8],
    names: &'a [u8],
}

impl<'a> Selection<'a> {
    /// The key of the variant.
    #[must_use]
    pub fn variant(&self) -> Key {
        self.variant
    }

    /// The values that select, in the canonical text of which the variant's key is made.
    #[must_use]
    pub fn text(&self) -> &'a [u8] {
        self.text
    }

    /// The request fields that select: lower case, sorted, each once.
    pub fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut rest = self.names;
        std::iter::from_fn(move || {
            let (number, after) = rest.split_first()?;
            let (name, after) = match number {
                0 => {
                    let (name, after) = split(after)?;
                    (std::str::from_utf8(name).ok()?, after)
                }
                number => (*NAMES.get(usize::from(*number) - 1)?, after),
            };
            rest = after;
            Some(name)
        })
    }

    /// The one at the beginning of a head, of this variant.
    pub(super) fn first(variant: Key, head: &'a [u8]) -> Option<Self> {
        let block = head.get(LENGTH_BYTES..Self::bytes(head))?;
        let (text, names) = split(block)?;
        Some(Self { variant, text, names })
    }

    /// How many bytes the one at the beginning of a head takes.
    pub(super) fn bytes(head: &[u8]) -> usize {
        head.first_chunk().map_or(0, |length| u16::from_le_bytes(*length).into())
    }
}

/// Writes one at the beginning of an empty head. Nothing is written, and `false` returned, when it is over 64 KiB.
pub(super) fn push(head: &mut Vec<u8>, parts: SelectionParts<'_>) -> bool {
    head.extend_from_slice(&[0; LENGTH_BYTES]);
    push_block(head, parts.text);
    for name in parts.names {
        match NAMES.iter().position(|known| **known == **name).and_then(|index| u8::try_from(index + 1).ok())
        {
            Some(number) => head.push(number),
            None => {
                head.push(0);
                push_block(head, name.as_bytes());
            }
        }
    }
    let Ok(length) = u16::try_from(head.len()) else {
        head.clear();
        return false;
    };
    head[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    true
}

/// What is over 4 GiB makes the whole too long whatever its length says.
fn push_block(head: &mut Vec<u8>, block: &[u8]) {
    leb128::push(head, u32::try_from(block.len()).unwrap_or(u32::MAX));
    head.extend_from_slice(block);
}

fn split(block: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = leb128::split(block)?;
    rest.split_at_checked(usize::try_from(length).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_selection_comes_back_as_it_was(
            key in any::<u128>(),
            text in prop::collection::vec(any::<u8>(), 0..300),
            names in prop::collection::vec("[a-z-]{0,200}|accept-encoding|x-requested-with", 0..5),
            behind in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let names: Vec<Box<str>> = names.into_iter().map(Into::into).collect();
            let mut head = Vec::new();
            let variant = Key::from_u128(key);
            let parts = SelectionParts { variant, text: &text, names: &names };
            prop_assert!(push(&mut head, parts), "so much can be kept");
            let bytes = head.len();
            head.extend_from_slice(&behind);
            let read = Selection::first(variant, &head).unwrap();
            prop_assert_eq!(Selection::bytes(&head), bytes);
            prop_assert_eq!((read.variant(), read.text()), (variant, text.as_slice()));
            prop_assert!(read.names().eq(names.iter().map(|name| &**name)));
        }

        #[test]
        fn any_head_is_read_to_some_end(head in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Selection::first(Key::from_u128(1), &head).map(|selection| selection.names().count());
        }
    }

    #[test]
    fn what_selects_without_end_is_not_kept() {
        let variant = Key::from_u128(1);
        let long = vec![Box::from("x".repeat(1_000)); 66];
        for parts in [
            SelectionParts { variant, text: b"", names: &long },
            SelectionParts { variant, text: &[b'x'; 1 << 16], names: &[] },
        ] {
            let mut head = Vec::new();
            assert!(!push(&mut head, parts));
            assert!(head.is_empty());
        }
    }
}
