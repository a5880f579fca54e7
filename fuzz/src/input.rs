//! Bytes taken apart into the parts a check needs: lines of text, and numbers.

/// The rest of an input. Every reading succeeds: after the end there are empty lines and zeros.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// All of these bytes.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What comes before the next line feed.
    pub fn line(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| *byte == b'\n').unwrap_or(self.0.len());
        let line = &self.0[..end];
        self.0 = self.0.get(end + 1..).unwrap_or_default();
        line
    }

    /// The next line as text; what is not UTF-8 becomes U+FFFD.
    pub fn text(&mut self) -> String {
        String::from_utf8_lossy(self.line()).into_owned()
    }

    /// The lines up to an empty one or the end.
    pub fn block(&mut self) -> Vec<&'a [u8]> {
        std::iter::from_fn(|| Some(self.line()).filter(|line| !line.is_empty())).collect()
    }

    /// The field lines up to an empty line: `name: value`, or a name alone.
    pub fn fields(&mut self) -> Vec<(&'a [u8], &'a [u8])> {
        self.block()
            .into_iter()
            .map(|line| {
                let end = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
                (&line[..end], line.get(end + 1..).unwrap_or_default())
            })
            .collect()
    }

    /// The next line as a number: a decimal one, or else its first eight bytes.
    pub fn number(&mut self) -> i64 {
        let line = self.line();
        let decimal = std::str::from_utf8(line).ok().and_then(|text| text.parse().ok());
        decimal.unwrap_or_else(|| {
            let mut eight = [0; 8];
            for (to, from) in eight.iter_mut().zip(line) {
                *to = *from;
            }
            i64::from_le_bytes(eight)
        })
    }

    /// Everything that was not read.
    #[must_use]
    pub const fn rest(self) -> &'a [u8] {
        self.0
    }
}

/// Field lines of one name.
#[must_use]
pub fn lines_of<'a>(name: &'a [u8], values: &[&'a [u8]]) -> Vec<(&'a [u8], &'a [u8])> {
    values.iter().map(|value| (name, *value)).collect()
}
