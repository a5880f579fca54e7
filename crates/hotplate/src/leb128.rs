//! Base-128 numbers, the lowest seven bits first; the highest bit of a byte says that more follow (LEB128).
//!
//! No number's text is the beginning of another's, so what follows one cannot be taken for a part of it.

/// Appends a number.
pub(crate) fn push(block: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        #[allow(clippy::cast_possible_truncation, reason = "the lowest seven bits are what is wanted")]
        block.push(number as u8 | 0x80);
        number >>= 7;
    }
    #[allow(clippy::cast_possible_truncation, reason = "less than 128")]
    block.push(number as u8);
}

/// The number `block` begins with, and what follows it; `None` where no whole number begins.
pub(crate) fn split(block: &[u8]) -> Option<(u32, &[u8])> {
    let mut number = 0_u64;
    for (index, byte) in block.iter().enumerate().take(5) {
        number |= u64::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((u32::try_from(number).ok()?, block.get(index + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for number in [0, 1, 127, 128, 16_383, 16_384, 65_535, 65_536, u32::MAX] {
            let mut block = Vec::new();
            push(&mut block, number);
            assert_eq!(split(&block), Some((number, &b""[..])));
        }
        for block in [&[][..], &[0x80], &[0xFF; 5], &[0xFF, 0xFF, 0xFF, 0xFF, 0x7F]] {
            assert_eq!(split(block), None, "{block:?}");
        }
    }
}
