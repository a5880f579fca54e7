//! What Redis answers, read without trust: whatever is not as expected is [`Fault::Garbled`].

use bytes::Bytes;
use redis::Value;

use crate::key::Key;
use crate::log::{Mode, TargetId};
use crate::tier::shared::{Cursor, Fault, Fetched, Head, LeaseEnd, Leased, Notice, Record, Snapshot, Tail};
use std::time::Duration;

fn garbled<T>() -> Result<T, Fault> {
    Err(Fault::Garbled)
}

fn bytes(value: Value) -> Result<Option<Vec<u8>>, Fault> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes)),
        Value::SimpleString(text) => Ok(Some(text.into_bytes())),
        _ => garbled(),
    }
}

fn text(value: Value) -> Result<String, Fault> {
    let bytes = bytes(value)?.ok_or(Fault::Garbled)?;
    String::from_utf8(bytes).map_err(|_| Fault::Garbled)
}

fn number(value: Value) -> Result<u64, Fault> {
    match value {
        Value::Int(number) => u64::try_from(number).map_err(|_| Fault::Garbled),
        value => text(value)?.parse().map_err(|_| Fault::Garbled),
    }
}

fn list(value: Value) -> Result<Vec<Value>, Fault> {
    match value {
        Value::Array(items) => Ok(items),
        // RESP3 gives maps where RESP2 gave lists.
        Value::Map(pairs) => Ok(pairs.into_iter().flat_map(|(name, value)| [name, value]).collect()),
        _ => garbled(),
    }
}

/// `EPOCH:POSITION`.
fn head_text(text: &[u8]) -> Result<Head, Fault> {
    let text = std::str::from_utf8(text).map_err(|_| Fault::Garbled)?;
    let (epoch, position) = text.split_once(':').ok_or(Fault::Garbled)?;
    let number = |text: &str| text.parse().map_err(|_| Fault::Garbled);
    Ok(Head { epoch: number(epoch)?, position: number(position)? })
}

fn head(value: Value) -> Result<Option<Head>, Fault> {
    bytes(value)?.map(|text| head_text(&text)).transpose()
}

/// Whether an answer is the number 1.
pub(super) fn yes(value: Value) -> Result<bool, Fault> {
    number(value).map(|number| number == 1)
}

/// `tally.lua`.
pub(super) fn count(value: Value) -> Result<i64, Fault> {
    match value {
        Value::Int(count) => Ok(count),
        Value::Nil => Err(Fault::Refused),
        _ => garbled(),
    }
}

/// `reports.lua`.
pub(super) fn reports(value: Value) -> Result<Vec<Bytes>, Fault> {
    list(value)?.into_iter().map(|report| Ok(Bytes::from(bytes(report)?.ok_or(Fault::Garbled)?))).collect()
}

/// `MGET head value …`, of so many values.
pub(super) fn fetched(value: Value, count: usize) -> Result<Vec<Fetched>, Fault> {
    let items = list(value)?;
    if items.len() != count + 1 {
        return garbled();
    }
    let mut items = items.into_iter();
    let head = head(items.next().unwrap_or(Value::Nil))?;
    items.map(|item| Ok(Fetched { value: bytes(item)?.map(Bytes::from), head })).collect()
}

/// `MGET head` and `MGET value`.
pub(super) fn fetched_apart((head_of, value): (Value, Value)) -> Result<Fetched, Fault> {
    let only = |value: Value| <[Value; 1]>::try_from(list(value)?).map_err(|_| Fault::Garbled);
    let ([head_of], [value]) = (only(head_of)?, only(value)?);
    Ok(Fetched { value: bytes(value)?.map(Bytes::from), head: head(head_of)? })
}

/// `cursor.lua`.
pub(super) fn cursor(value: Value) -> Result<Option<Cursor>, Fault> {
    if value == Value::Nil {
        return Ok(None);
    }
    let Ok([epoch, position, nonce]) = <[Value; 3]>::try_from(list(value)?) else { return garbled() };
    let head = Head { epoch: number(epoch)?, position: number(position)? };
    Ok(Some(Cursor { head, nonce: nonce_text(&text(nonce)?)? }))
}

/// `append.lua`.
pub(super) fn appended(value: Value) -> Result<Head, Fault> {
    let Ok([epoch, position]) = <[Value; 2]>::try_from(list(value)?) else { return garbled() };
    Ok(Head { epoch: number(epoch)?, position: number(position)? })
}

/// `lease.lua`.
pub(super) fn leased(value: Value) -> Result<Leased, Fault> {
    let Ok([what, left]) = <[Value; 2]>::try_from(list(value)?) else { return garbled() };
    match what {
        Value::Int(0) => Ok(Leased::Granted),
        Value::Int(1) => {
            // Negative: it expired while the script ran.
            let left = if let Value::Int(left) = left { u64::try_from(left).unwrap_or(1) } else { 1 };
            Ok(Leased::Held(Duration::from_millis(left)))
        }
        Value::Int(2) => Ok(Leased::Changed),
        _ => garbled(),
    }
}

/// `snapshot.lua`.
pub(super) fn snapshot(value: Value) -> Result<Snapshot, Fault> {
    let Ok([epoch, position, nonce, floor, older, younger]) = <[Value; 6]>::try_from(list(value)?) else {
        return garbled();
    };
    let head = Head { epoch: number(epoch)?, position: number(position)? };
    let mut markers = std::collections::BTreeMap::<_, u64>::new();
    for generation in [older, younger] {
        let mut items = list(generation)?.into_iter();
        while let (Some(field), Some(position)) = (items.next(), items.next()) {
            let field = text(field)?;
            if field == "#" {
                continue;
            }
            let mode = mode(field.get(..1))?;
            let target = target(field.get(1..).unwrap_or_default())?;
            let last = markers.entry((target.map(TargetId::as_u64), mode == Mode::Hard)).or_default();
            *last = number(position)?.max(*last);
        }
    }
    let nonce = nonce_text(&text(nonce)?)?;
    let mode = |hard| if hard { Mode::Hard } else { Mode::Soft };
    let markers = markers
        .into_iter()
        .map(|((target, hard), position)| (target.map(TargetId::from_u64), mode(hard), position))
        .collect();
    Ok(Snapshot { cursor: Cursor { head, nonce }, floor: number(floor)?, markers })
}

/// What `XREAD` gives for the one stream: `None` where nothing came.
pub(super) fn tail(value: Value, after: Cursor) -> Result<Option<Tail>, Fault> {
    if value == Value::Nil {
        return Ok(None);
    }
    let mut streams = list(value)?;
    // RESP2 nests name and entries in a list of their own.
    let entries = match streams.pop() {
        Some(Value::Array(mut pair)) if streams.is_empty() => pair.pop().map_or_else(garbled, list)?,
        Some(entries) => list(entries)?,
        None => return Ok(None),
    };
    let mut records = Vec::with_capacity(entries.len());
    let (mut expected, mut before) = (after.head.position, after.nonce);
    for entry in entries {
        let Ok([id, fields]) = <[Value; 2]>::try_from(list(entry)?) else { return garbled() };
        let id = text(id)?;
        let Ok([_, nonce, _, previous, _, mode_word, _, targets]) = <[Value; 8]>::try_from(list(fields)?)
        else {
            return garbled();
        };
        expected += 1;
        let follows = id == format!("{}-{expected}", after.head.epoch);
        if !follows || nonce_text(&text(previous)?)? != before {
            return Ok(Some(Tail::Gap));
        }
        let nonce = nonce_text(&text(nonce)?)?;
        let targets = text(targets)?;
        let targets: Vec<Option<TargetId>> =
            targets.split(' ').filter(|text| !text.is_empty()).map(target).collect::<Result<_, _>>()?;
        records.push(Record { nonce, mode: mode(text(mode_word)?.get(..1))?, targets });
        before = nonce;
    }
    Ok(Some(Tail::Records(records)))
}

/// A message of the channel of notices: the key's 16 bytes and a letter.
pub(super) fn notice(message: &[u8]) -> Option<Notice> {
    let (key, end) = message.split_at_checked(16)?;
    let key = Key::from_u128(u128::from_be_bytes(key.try_into().ok()?));
    let end = match end {
        b"s" => LeaseEnd::Stored,
        b"n" => LeaseEnd::NotStorable,
        b"f" => LeaseEnd::Failed,
        b"a" => LeaseEnd::Abandoned,
        _ => return None,
    };
    Some(Notice { key, end })
}

/// What [`notice`] reads.
pub(super) fn notice_message(key: Key, end: LeaseEnd) -> Vec<u8> {
    let mut message = key.as_u128().to_be_bytes().to_vec();
    message.push(match end {
        LeaseEnd::Stored => b's',
        LeaseEnd::NotStorable => b'n',
        LeaseEnd::Failed => b'f',
        LeaseEnd::Abandoned => b'a',
    });
    message
}

/// A target as scripts and streams have it.
pub(super) fn target_text(target: Option<TargetId>) -> String {
    target.map_or_else(|| "*".to_owned(), |target| format!("{:016x}", target.as_u64()))
}

fn target(text: &str) -> Result<Option<TargetId>, Fault> {
    if text == "*" {
        return Ok(None);
    }
    u64::from_str_radix(text, 16).map(|number| Some(TargetId::from_u64(number))).map_err(|_| Fault::Garbled)
}

fn mode(letter: Option<&str>) -> Result<Mode, Fault> {
    match letter {
        Some("h") => Ok(Mode::Hard),
        Some("s") => Ok(Mode::Soft),
        _ => garbled(),
    }
}

/// A mode as scripts and streams have it.
pub(super) fn mode_text(mode: Mode) -> &'static str {
    match mode {
        Mode::Hard => "h",
        Mode::Soft => "s",
    }
}

/// A nonce as scripts and streams have it.
pub(super) fn nonce_text_of(nonce: u64) -> String {
    format!("{nonce:x}")
}

fn nonce_text(text: &str) -> Result<u64, Fault> {
    u64::from_str_radix(text, 16).map_err(|_| Fault::Garbled)
}
