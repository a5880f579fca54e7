//! What a path begins with, compared with the beginnings of many patterns at once.
//!
//! An application has dozens of rules, of which one speaks. That the others do not is seen by their first bytes: one
//! comparison of two registers for each, without a look at the rule.

use super::{Pattern, Piece};

/// So many bytes are looked at.
const WIDTH: usize = 16;

/// The first bytes of a path; where there are fewer, zeros.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening(u128);

impl Opening {
    pub(crate) fn of(path: &str) -> Self {
        Self(number(path.as_bytes()))
    }
}

/// The literal text a pattern begins with, as far as it is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beginning {
    text: u128,
    mask: u128,
}

impl Beginning {
    pub(crate) fn of(pattern: &Pattern) -> Self {
        let text = match pattern.pieces.first() {
            Some(Piece::Text(text)) => text.as_bytes(),
            _ => b"",
        };
        let mask = number(&[u8::MAX; WIDTH][..text.len().min(WIDTH)]);
        Self { text: number(text), mask }
    }

    /// Whether a path that begins so may match the pattern. `false` is certain.
    pub(crate) const fn admits(self, opening: Opening) -> bool {
        (opening.0 ^ self.text) & self.mask == 0
    }
}

fn number(bytes: &[u8]) -> u128 {
    let mut first = [0; WIDTH];
    let length = bytes.len().min(WIDTH);
    first[..length].copy_from_slice(&bytes[..length]);
    u128::from_le_bytes(first)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn admits(pattern: &str, path: &str) -> bool {
        Beginning::of(&Pattern::whole("rule", pattern).unwrap()).admits(Opening::of(path))
    }

    #[test]
    fn another_beginning_is_seen_within_sixteen_bytes() {
        for (pattern, path, expected) in [
            ("/products/{id}", "/products/42", true),
            ("/products/{id}", "/products", false),
            ("/products/{id}", "/orders/42", false),
            ("/abcdefghijklmnop/x", "/abcdefghijklmnop/y", true),
            ("*", "/orders", true),
            ("/{kind}", "/orders", true),
            ("/{kind}", "", false),
        ] {
            assert_eq!(admits(pattern, path), expected, "{pattern} on {path}");
        }
    }

    proptest! {
        #[test]
        fn a_path_that_matches_is_always_admitted(text in "/[/a*{}x\0]{0,24}", path in "/[/ax\0]{0,24}") {
            if let Ok(pattern) = Pattern::whole("rule", &text)
                && pattern.matches(&path)
            {
                prop_assert!(admits(&text, &path));
            }
        }
    }
}
