//! One text for all `Accept-Encoding` or `Accept-Language` values that ask for the same thing.
//!
//! The weights are turned into ranks: members of one weight are put in order by name and joined by `,`; groups of
//! falling weight are joined by `>`; what is refused (`q=0`) follows `!`. So `br;q=1, gzip;q=0.8` and
//! `gzip; q=0.5, BR` are both `br>gzip`. Nothing a client accepts or refuses is dropped, so two values share
//! a text only if the same answers satisfy both.
//!
//! Reading list: RFC 9110 §12.4.2 (weights), §12.5.3 (`Accept-Encoding`), §12.5.4 (`Accept-Language`),
//! RFC 9111 §4.1 (when two values match).

use crate::fields::{Fields, is_token, trim_ows};

/// A field that ranks what a client prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preference {
    /// `Accept-Encoding`: content codings.
    Encoding,
    /// `Accept-Language`: language ranges. The order of equal weights is not significant (RFC 9110 §12.5.4).
    Language,
}

/// A member and its weight in thousandths.
type Weighted<'a> = (u16, &'a [u8]);

/// More members than this are not worth sorting; such a value is left as it is.
const MOST_MEMBERS: usize = 64;

impl Preference {
    const fn field(self) -> &'static str {
        match self {
            Self::Encoding => "accept-encoding",
            Self::Language => "accept-language",
        }
    }

    /// Appends the canonical text of the request's preference; `false`, with nothing appended, when the field is
    /// absent or any member of it cannot be read.
    pub(crate) fn write(self, request: Fields<'_>, out: &mut Vec<u8>) -> bool {
        let mut members: Vec<Weighted<'_>> = Vec::new();
        let mut present = false;
        for line in request.lines(self.field()) {
            present = true;
            for member in line.split(|byte| *byte == b',').map(trim_ows).filter(|member| !member.is_empty()) {
                match weighted(member) {
                    Some(member) if members.len() < MOST_MEMBERS => members.push(member),
                    _ => return false,
                }
            }
        }
        if !present {
            return false;
        }
        for (_, name) in &mut members {
            *name = self.alias(name);
        }
        members.sort_unstable_by(|(one, a), (two, b)| two.cmp(one).then_with(|| lower(a).cmp(lower(b))));
        members.dedup_by(|(one, a), (two, b)| one == two && a.eq_ignore_ascii_case(b));
        // A name with two weights has no defined meaning; leave it to the origin to read such a value.
        let named_twice = members.iter().enumerate().any(|(index, (_, name))| {
            members[..index].iter().any(|(_, earlier)| earlier.eq_ignore_ascii_case(name))
        });
        if named_twice {
            return false;
        }
        let mut before: Option<u16> = None;
        for (weight, name) in members {
            match before {
                _ if weight == 0 => out.push(b'!'),
                None => {}
                Some(same) if same == weight => out.push(b','),
                Some(_) => out.push(b'>'),
            }
            out.extend(lower(name));
            before = Some(weight);
        }
        true
    }

    /// `x-gzip` and `x-compress` are other names for `gzip` and `compress` (RFC 9110 §8.4.1).
    fn alias(self, name: &[u8]) -> &[u8] {
        match self {
            Self::Encoding if name.eq_ignore_ascii_case(b"x-gzip") => b"gzip",
            Self::Encoding if name.eq_ignore_ascii_case(b"x-compress") => b"compress",
            _ => name,
        }
    }
}

fn lower(name: &[u8]) -> impl Iterator<Item = u8> {
    name.iter().map(u8::to_ascii_lowercase)
}

/// `name [ OWS ";" OWS "q=" qvalue ]`, and nothing else.
fn weighted(member: &[u8]) -> Option<Weighted<'_>> {
    let Some(semicolon) = member.iter().position(|byte| *byte == b';') else {
        return is_token(member).then_some((1_000, member));
    };
    let (name, parameter) = member.split_at(semicolon);
    let name = trim_ows(name);
    match trim_ows(&parameter[1..]) {
        [b'q' | b'Q', b'=', value @ ..] if is_token(name) => Some((thousandths(value)?, name)),
        _ => None,
    }
}

/// A qvalue in thousandths: `0`, `1`, or with up to three decimals (RFC 9110 §12.4.2).
fn thousandths(value: &[u8]) -> Option<u16> {
    let (whole, decimals) = match value {
        [whole] => (whole, &[][..]),
        [whole, b'.', decimals @ ..] if decimals.len() <= 3 => (whole, decimals),
        _ => return None,
    };
    let mut result = match whole {
        b'0' => 0,
        b'1' => 1_000,
        _ => return None,
    };
    let mut unit = 100;
    for digit in decimals {
        result += digit.is_ascii_digit().then(|| u16::from(digit - b'0') * unit)?;
        unit /= 10;
    }
    (result <= 1_000).then_some(result)
}
