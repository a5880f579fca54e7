//! Where keys stand in a table.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Mixes a key with numbers of one table. Keys are digests, but anybody can compute them: without the mixing,
/// URLs could be searched for whose keys all fall into one place of the table.
#[derive(Clone, Debug)]
pub struct Spreading {
    low: u64,
    high: u64,
}

impl Default for Spreading {
    /// With numbers nobody else knows.
    fn default() -> Self {
        let random = RandomState::new();
        Self { low: random.hash_one(0), high: random.hash_one(1) }
    }
}

impl BuildHasher for Spreading {
    type Hasher = Spread;

    fn build_hasher(&self) -> Spread {
        Spread { low: self.low, high: self.high }
    }
}

/// A key on its way to its place: see [`Spreading`].
#[derive(Debug)]
pub struct Spread {
    low: u64,
    high: u64,
}

/// An odd number whose bits look random.
const MIXER: u64 = 0xA076_1D64_78BD_642F;

/// Both halves of a product, one over the other.
fn folded(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    let (low, high) = halves(product);
    low ^ high
}

#[allow(clippy::cast_possible_truncation, reason = "halves of a number are what is wanted")]
fn halves(number: u128) -> (u64, u64) {
    (number as u64, (number >> 64) as u64)
}

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        // One multiplication leaves patterns in the low bits where only a few bits of the keys differ.
        folded(folded(self.low, self.high), MIXER)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    /// The halves of a key, one after the other.
    fn write_u64(&mut self, number: u64) {
        (self.low, self.high) = (self.high, self.low.rotate_left(32) ^ number);
    }

    fn write_u128(&mut self, number: u128) {
        let (low, high) = halves(number);
        self.write_u64(low);
        self.write_u64(high);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;

    #[test]
    fn keys_that_share_half_their_bits_spread_over_the_table() {
        let places = [0, u128::from(u64::MAX), u128::MAX << 64];
        for (fixed, _) in places.into_iter().flat_map(|fixed| (0..100).map(move |draw| (fixed, draw))) {
            let spreading = Spreading::default();
            let mut low_bits: Vec<u64> = (0..4096_u128)
                .map(|number| spreading.hash_one(Key::from_u128(fixed ^ (number << 40))) % 4096)
                .collect();
            low_bits.sort_unstable();
            low_bits.dedup();
            assert!(low_bits.len() > 1_000, "{}", low_bits.len());
        }
    }

    #[test]
    fn every_table_has_its_own_order() {
        let key = Key::from_u128(7);
        assert_ne!(Spreading::default().hash_one(key), Spreading::default().hash_one(key));
    }
}
