//! The parts of a multipart body while they come (RFC 2046 §5.1), in constant memory: whatever stands between two
//! boundaries is handed on as it arrives, and nothing of it is looked into.

use bytes::{Bytes, BytesMut};

/// The longest head of a part, and the most that may stand before the first.
const LONGEST_HEAD: usize = 8 * 1024;
/// The longest boundary (RFC 2046 §5.1.1 has 70).
const LONGEST_BOUNDARY: usize = 200;

/// What comes next in a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A part begins; its `Content-Type`.
    Part(String),
    /// Bytes of the part.
    Data(Bytes),
    /// The part ends.
    PartEnd,
    /// The last part has ended; what follows means nothing.
    End,
}

/// Why a body is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// What is to stand between parts is not.
    #[error("the boundary is empty or too long")]
    Boundary,
    /// The head of a part, or what stands before the first, is too long.
    #[error("the head of a part is longer than {LONGEST_HEAD} bytes")]
    Head,
    /// Something else stands behind a boundary.
    #[error("behind a boundary stands what is neither a line end nor `--`")]
    Delimiter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first boundary.
    Preamble,
    /// Behind a boundary.
    Delimiter,
    /// In the head of a part.
    Head,
    /// In a part.
    Body,
    /// Behind the last.
    Done,
}

/// Tells the parts apart.
#[derive(Debug)]
pub struct Splitter {
    /// `\r\n--boundary`.
    mark: Vec<u8>,
    buffer: BytesMut,
    state: State,
}

impl Splitter {
    /// For the `boundary` of the content type.
    pub fn new(boundary: &str) -> Result<Splitter, Malformed> {
        if boundary.is_empty() || boundary.len() > LONGEST_BOUNDARY {
            return Err(Malformed::Boundary);
        }
        // The first boundary may stand at the very beginning: a line end before it is taken for granted.
        let mark = [b"\r\n--", boundary.as_bytes()].concat();
        Ok(Splitter { mark, buffer: BytesMut::from(&b"\r\n"[..]), state: State::Preamble })
    }

    /// Takes what has come.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.state != State::Done {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next event, if what has come suffices for one.
    pub fn event(&mut self) -> Result<Option<Event>, Malformed> {
        loop {
            match self.state {
                State::Done => return Ok(None),
                State::Preamble => match find(&self.buffer, &self.mark) {
                    Some(at) => {
                        drop(self.buffer.split_to(at + self.mark.len()));
                        self.state = State::Delimiter;
                    }
                    None if self.buffer.len() > LONGEST_HEAD => return Err(Malformed::Head),
                    None => return Ok(None),
                },
                State::Delimiter => {
                    let blanks = self.buffer.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
                    let rest = self.buffer.get(blanks..).unwrap_or_default();
                    if blanks == 0 && rest.starts_with(b"--") {
                        self.state = State::Done;
                        self.buffer.clear();
                        return Ok(Some(Event::End));
                    }
                    if rest.len() < 2 && blanks <= LONGEST_HEAD {
                        return Ok(None);
                    }
                    if !rest.starts_with(b"\r\n") {
                        return Err(Malformed::Delimiter);
                    }
                    // The line end stays: a head without any line ends with it and another one.
                    drop(self.buffer.split_to(blanks));
                    self.state = State::Head;
                }
                State::Head => match find(&self.buffer, b"\r\n\r\n") {
                    Some(at) if at <= LONGEST_HEAD => {
                        let head = self.buffer.split_to(at + 4);
                        self.state = State::Body;
                        return Ok(Some(Event::Part(content_type(&head))));
                    }
                    None if self.buffer.len() <= LONGEST_HEAD => return Ok(None),
                    _ => return Err(Malformed::Head),
                },
                State::Body => return Ok(self.body()),
            }
        }
    }

    fn body(&mut self) -> Option<Event> {
        match find(&self.buffer, &self.mark) {
            Some(0) => {
                drop(self.buffer.split_to(self.mark.len()));
                self.state = State::Delimiter;
                Some(Event::PartEnd)
            }
            Some(at) => Some(Event::Data(self.buffer.split_to(at).freeze())),
            None => {
                // The end may be the beginning of a boundary.
                let sure = self.buffer.len().saturating_sub(self.mark.len() - 1);
                (sure > 0).then(|| Event::Data(self.buffer.split_to(sure).freeze()))
            }
        }
    }
}

fn content_type(head: &[u8]) -> String {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(name, _)| name.trim().eq_ignore_ascii_case("content-type"));
    found.map_or(String::new(), |(_, value)| value.trim().to_owned())
}

/// Where one text of bytes stands in another.
fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let (&first, rest) = wanted.split_first()?;
    let mut from = 0;
    loop {
        let ahead = bytes.get(from..)?;
        from += ahead.iter().position(|&byte| byte == first)? + 1;
        if bytes.get(from..)?.starts_with(rest) {
            return Some(from - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Told = (Vec<(String, Vec<u8>)>, bool);

    /// What is told of a body that comes in pieces of this size: the content type and the bytes of each part.
    fn parts(body: &[u8], piece: usize) -> Result<Told, Malformed> {
        let mut splitter = Splitter::new("mark").unwrap();
        let (mut parts, mut open, mut ended) = (Vec::new(), None, false);
        for piece in body.chunks(piece) {
            splitter.push(piece);
            while let Some(event) = splitter.event()? {
                match event {
                    Event::Part(kind) => open = Some((kind, Vec::new())),
                    Event::Data(data) => open.as_mut().unwrap().1.extend_from_slice(&data),
                    Event::PartEnd => parts.extend(open.take()),
                    Event::End => ended = true,
                }
            }
        }
        Ok((parts, ended))
    }

    #[test]
    fn parts_are_told_apart_however_they_come() {
        let body =
            b"preamble\r\n--mark\r\nContent-Type: application/dicom\r\nX: y\r\n\r\nab\r\n--mar\r\n\r\n--mark  \r\n\r\n\
            \r\n--mark--\r\nepilogue\r\n--mark\r\n\r\nnothing";
        let expected = vec![("application/dicom".to_owned(), b"ab\r\n--mar\r\n".to_vec()), (String::new(), Vec::new())];
        for piece in 1..body.len() {
            assert_eq!(parts(body, piece), Ok((expected.clone(), true)), "pieces of {piece}");
        }
        assert_eq!(parts(b"--mark\r\n\r\nx\r\n--mark--", 3).unwrap().0, [(String::new(), b"x".to_vec())]);
        assert_eq!(parts(b"--mark\r\n\r\nx", 3), Ok((Vec::new(), false)), "cut short");
    }

    #[test]
    fn what_has_no_end_is_refused() {
        let long = vec![b'x'; 2 * LONGEST_HEAD];
        assert_eq!(parts(&long, 100), Err(Malformed::Head));
        assert_eq!(parts(&[b"--mark\r\n", long.as_slice()].concat(), 100), Err(Malformed::Head));
        assert_eq!(parts(b"--marked\r\n\r\n", 100), Err(Malformed::Delimiter));
        assert!(parts(&[b"--mark", vec![b' '; 2 * LONGEST_HEAD].as_slice()].concat(), 100).is_err());
        assert!(Splitter::new("").is_err() && Splitter::new(&"x".repeat(201)).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_come_through_as_they_are(bytes in proptest::collection::vec(any::<u8>(), 0..200), piece in 1usize..50) {
            let body = [b"--mark\r\n\r\n", bytes.as_slice(), b"\r\n--mark--"].concat();
            prop_assume!(find(&[bytes.as_slice(), b"\r\n"].concat(), b"\r\n--mark").is_none());
            prop_assert_eq!(parts(&body, piece).unwrap(), (vec![(String::new(), bytes)], true));
        }

        #[test]
        fn nothing_makes_it_panic(bytes in proptest::collection::vec(prop_oneof![Just(b'-'), Just(b'\r'), Just(b'\n'), Just(b'm'), any::<u8>()], 0..300), piece in 1usize..50) {
            let _any = parts(&[b"--mark\r\n", bytes.as_slice()].concat(), piece);
        }
    }
}
