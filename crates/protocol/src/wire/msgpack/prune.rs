//! Pruning of MessagePack that nests deeper than it is read.

/// Copies one value, with nil for each array and map inside of more than `depth` others; what follows the value is copied as it
/// is. `None` where the bytes end within the value.
pub(super) fn pruned(mut bytes: &[u8], depth: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    // Values still missing, in the whole and in each open array or map.
    let mut missing = vec![1_u64];
    while let Some(left) = missing.last_mut() {
        let Some(now) = left.checked_sub(1) else {
            missing.pop();
            continue;
        };
        *left = now;
        let (head, children, rest) = split(bytes)?;
        bytes = rest;
        match children {
            None => out.extend_from_slice(head),
            Some(children) if missing.len() <= depth => {
                out.extend_from_slice(head);
                missing.push(children);
            }
            Some(children) => {
                out.push(NIL);
                bytes = skipped(bytes, children)?;
            }
        }
    }
    out.extend_from_slice(bytes);
    Some(out)
}

const NIL: u8 = 0xc0;

/// Bytes after a number of values.
fn skipped(mut bytes: &[u8], mut values: u64) -> Option<&[u8]> {
    while let Some(left) = values.checked_sub(1) {
        let (_, children, rest) = split(bytes)?;
        bytes = rest;
        values = left.checked_add(children.unwrap_or_default())?;
    }
    Some(bytes)
}

/// Splits off the next value without its children. The second part is the number of children of an array or a map.
fn split(bytes: &[u8]) -> Option<(&[u8], Option<u64>, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let number = |width: usize| {
        let digits = rest.get(..width)?;
        Some(
            digits
                .iter()
                .fold(0_u64, |number, byte| (number << 8) | u64::from(*byte)),
        )
    };
    // Bytes after the first, and children.
    let scalar = |bytes: u64| Some((bytes, None));
    let prefixed = |width: usize, more: u64| Some((number(width)? + width as u64 + more, None));
    let (len, children) = match *first {
        0x00..=0x7f | 0xc0..=0xc3 | 0xe0..=0xff => scalar(0),
        few @ 0x80..=0x8f => Some((0, Some(2 * u64::from(few & 0x0f)))),
        few @ 0x90..=0x9f => Some((0, Some(u64::from(few & 0x0f)))),
        few @ 0xa0..=0xbf => scalar(u64::from(few & 0x1f)),
        0xc4 | 0xd9 => prefixed(1, 0),
        0xc5 | 0xda => prefixed(2, 0),
        0xc6 | 0xdb => prefixed(4, 0),
        0xc7 => prefixed(1, 1),
        0xc8 => prefixed(2, 1),
        0xc9 => prefixed(4, 1),
        0xcc | 0xd0 => scalar(1),
        0xcd | 0xd1 | 0xd4 => scalar(2),
        0xd5 => scalar(3),
        0xca | 0xce | 0xd2 => scalar(4),
        0xd6 => scalar(5),
        0xcb | 0xcf | 0xd3 => scalar(8),
        0xd7 => scalar(9),
        0xd8 => scalar(17),
        0xdc => Some((2, Some(number(2)?))),
        0xdd => Some((4, Some(number(4)?))),
        0xde => Some((2, Some(2 * number(2)?))),
        0xdf => Some((4, Some(2 * number(4)?))),
    }?;
    let (head, rest) = bytes.split_at_checked(1 + usize::try_from(len).ok()?)?;
    Some((head, children, rest))
}

#[cfg(test)]
mod tests {
    use rmpv::Value;

    use super::*;

    fn packed(value: &Value) -> Vec<u8> {
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, value).unwrap();
        bytes
    }

    #[test]
    fn every_format_is_copied_and_containers_too_deep_become_nil() {
        let text = |len: usize| Value::from("x".repeat(len));
        let bytes = |len: usize| Value::Binary(vec![7; len]);
        let many = |len: u32| Value::Array((0..len).map(Value::from).collect());
        let map = |len: u32| Value::Map((0..len).map(|key| (key.into(), Value::Nil)).collect());
        let scalars = [
            Value::Nil,
            true.into(),
            0.into(),
            127.into(),
            (-32).into(),
            (-33).into(),
            200.into(),
            40_000.into(),
            (-200).into(),
            (-40_000).into(),
            u32::MAX.into(),
            i64::MIN.into(),
            u64::MAX.into(),
            Value::F32(0.5),
            Value::F64(0.5),
            text(0),
            text(31),
            text(32),
            text(300),
            text(70_000),
            bytes(3),
            bytes(300),
            bytes(70_000),
        ];
        let extensions = [1, 2, 4, 8, 16, 3, 300, 70_000].map(|len| Value::Ext(5, vec![0; len]));
        let containers = [
            many(0),
            many(15),
            many(16),
            many(70_000),
            map(1),
            map(15),
            map(16),
            map(70_000),
        ];
        let all = Value::Array([&scalars[..], &extensions, &containers].concat());
        let whole = packed(&all);
        assert_eq!(pruned(&whole, 2).unwrap(), whole);

        let nils = vec![Value::Nil; containers.len()];
        let flat = Value::Array([&scalars[..], &extensions, &nils].concat());
        assert_eq!(pruned(&whole, 1).unwrap(), packed(&flat));
        assert_eq!(pruned(&whole, 0).unwrap(), [NIL]);
        let followed = [whole.as_slice(), b"more"].concat();
        assert_eq!(pruned(&followed, 0).unwrap(), b"\xc0more");
    }

    #[test]
    fn bytes_that_end_within_the_value_are_refused() {
        for cut in [
            b"".as_slice(),
            b"\x91",
            b"\x91\x91",
            b"\x81\xa1x",
            b"\xa2x",
            b"\xdb\xff\xff\xff\xff",
            b"\xdd\xff\xff\xff\xff",
            b"\xdf\xff\xff\xff\xff\xc0",
            b"\xc9\x00\x00\x00\x05\x00",
            b"\xd8\x00",
            b"\xcf\x00",
        ] {
            assert_eq!(pruned(cut, 1), None, "{cut:x?}");
        }
    }
}
