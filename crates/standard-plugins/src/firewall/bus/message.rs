//! Messages of D-Bus, as far as a caller needs them: method calls with strings, and the answers to them (D-Bus
//! Specification, "Message Protocol").

/// The bytes before the header's fields: order, kind, flags, version, length of the body, serial, length of the fields.
pub(super) const FIXED_BYTES: usize = 16;
/// The most that an answer may have behind those, in bytes. firewalld's have less than a hundred.
pub(super) const ANSWER_LIMIT: usize = 1 << 16;

const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;
const VERSION: u8 = 1;
/// Do not start the service for this.
const NO_AUTO_START: u8 = 2;

/// The header's fields.
mod field {
    pub(super) const PATH: u8 = 1;
    pub(super) const INTERFACE: u8 = 2;
    pub(super) const MEMBER: u8 = 3;
    pub(super) const ERROR_NAME: u8 = 4;
    pub(super) const REPLY_SERIAL: u8 = 5;
    pub(super) const DESTINATION: u8 = 6;
    pub(super) const SIGNATURE: u8 = 8;
}

/// A method with arguments that are strings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MethodCall<'a> {
    pub(crate) destination: &'a str,
    pub(crate) path: &'a str,
    pub(crate) interface: &'a str,
    pub(crate) member: &'a str,
    pub(crate) arguments: &'a [&'a str],
    /// Whether the service is started for it where it does not run.
    pub(crate) may_start: bool,
}

/// What a method returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Returned {
    /// A string, the first of what was returned.
    Text(String),
    Flag(bool),
    /// Nothing, or something else.
    Other,
}

/// An answer to the call with this serial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) to: u32,
    /// What was returned, or the name of an error and what it says.
    pub(super) outcome: Result<Returned, (String, String)>,
}

impl MethodCall<'_> {
    /// The message; none where a string is longer than any message may be.
    pub(super) fn to_bytes(self, serial: u32) -> Option<Vec<u8>> {
        let mut body = Writer::default();
        for argument in self.arguments {
            body.text(argument)?;
        }
        let mut message = Writer::default();
        let flags = if self.may_start { 0 } else { NO_AUTO_START };
        message.0.extend([b'l', METHOD_CALL, flags, VERSION]);
        message.number(u32::try_from(body.0.len()).ok()?);
        message.number(serial);
        let signature = "s".repeat(self.arguments.len());
        let mut fields = Writer::default();
        for (code, kind, value) in [
            (field::PATH, b'o', self.path),
            (field::INTERFACE, b's', self.interface),
            (field::MEMBER, b's', self.member),
            (field::DESTINATION, b's', self.destination),
        ] {
            fields.align(8);
            fields.0.extend([code, 1, kind, 0]);
            fields.text(value)?;
        }
        if !signature.is_empty() {
            fields.align(8);
            fields.0.extend([field::SIGNATURE, 1, b'g', 0, u8::try_from(signature.len()).ok()?]);
            fields.0.extend(signature.bytes().chain([0]));
        }
        message.number(u32::try_from(fields.0.len()).ok()?);
        message.0.extend(fields.0);
        message.align(8);
        message.0.extend(body.0);
        Some(message.0)
    }
}

/// How many bytes there are behind the fixed ones; none where that is no message.
pub(super) fn rest_of(fixed: &[u8; FIXED_BYTES]) -> Option<usize> {
    let mut reader = Reader::new(fixed)?;
    reader.skip(4)?;
    let body = usize::try_from(reader.number()?).ok()?;
    reader.skip(4)?;
    let fields = usize::try_from(reader.number()?).ok()?;
    fields.checked_next_multiple_of(8)?.checked_add(body).filter(|rest| *rest <= ANSWER_LIMIT)
}

/// Reads a whole message; none where it is no answer, or none that can be read.
pub(super) fn answer(message: &[u8]) -> Option<Answer> {
    let mut reader = Reader::new(message)?;
    let kind = *message.get(1)?;
    reader.skip(12)?;
    let fields_end = FIXED_BYTES.checked_add(usize::try_from(reader.number()?).ok()?)?;
    let (mut to, mut error_name, mut signature) = (None, String::new(), String::new());
    while reader.at < fields_end {
        reader.align(8)?;
        let code = reader.byte()?;
        match (code, reader.signature()?.as_str()) {
            (field::REPLY_SERIAL, "u") => to = Some(reader.number()?),
            (field::ERROR_NAME, "s") => error_name = reader.text()?,
            (field::SIGNATURE, "g") => signature = reader.signature()?,
            (_, "s" | "o") => drop(reader.text()?),
            (_, "g") => drop(reader.signature()?),
            (_, "u") => drop(reader.number()?),
            _ => return None,
        }
    }
    reader.align(8)?;
    let returned = match signature.bytes().next() {
        Some(b's' | b'o') => Returned::Text(reader.text()?),
        Some(b'b') => Returned::Flag(reader.number()? != 0),
        _ => Returned::Other,
    };
    let outcome = match (kind, returned) {
        (METHOD_RETURN, returned) => Ok(returned),
        (ERROR, Returned::Text(words)) => Err((error_name, words)),
        (ERROR, _) => Err((error_name, String::new())),
        _ => return None,
    };
    Some(Answer { to: to?, outcome })
}

/// Values behind each other, little-endian, each at a multiple of its size.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    fn number(&mut self, value: u32) {
        self.align(4);
        self.0.extend(value.to_le_bytes());
    }

    fn text(&mut self, value: &str) -> Option<()> {
        self.number(u32::try_from(value.len()).ok()?);
        self.0.extend(value.bytes().chain([0]));
        Some(())
    }
}

/// Values of a message in its own byte order.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    is_little: bool,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let is_little = match bytes.first()? {
            b'l' => true,
            b'B' => false,
            _ => return None,
        };
        Some(Self { bytes, at: 0, is_little })
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.take(count).map(drop)
    }

    fn align(&mut self, to: usize) -> Option<()> {
        self.skip(self.at.checked_next_multiple_of(to)? - self.at)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u32> {
        self.align(4)?;
        let bytes = self.take(4)?.try_into().ok()?;
        Some(if self.is_little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.number()?).ok()?;
        self.ended_text(length)
    }

    fn signature(&mut self) -> Option<String> {
        let length = usize::from(self.byte()?);
        self.ended_text(length)
    }

    fn ended_text(&mut self, length: usize) -> Option<String> {
        let text = self.take(length)?;
        (self.byte()? == 0).then(|| String::from_utf8_lossy(text).into_owned())
    }
}

#[cfg(test)]
mod tests;
