//! The server's output as it comes: pieces of lines, of which only the stream's number and the round's are read.

use super::site::STREAM_PREFIX;

/// A line longer than this is no decision.
const LINE_BYTES_MAX: usize = 1 << 20;

/// What begins a decision, up to the digits of the stream's name.
const HEAD: &[u8] = b"{\"stream\":\"";

/// Makes whole lines of pieces.
#[derive(Debug, Default)]
pub struct Lines {
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
}

impl Lines {
    /// Gives each line that ends in `piece`, without its end.
    ///
    /// # Errors
    /// A line that does not end.
    pub fn take(&mut self, mut piece: &[u8], mut each: impl FnMut(&[u8])) -> anyhow::Result<()> {
        while let Some(end) = memchr::memchr(b'\n', piece) {
            let (line, rest) = piece.split_at(end);
            if self.begun.is_empty() {
                each(line);
            } else {
                self.begun.extend_from_slice(line);
                each(&self.begun);
                self.begun.clear();
            }
            piece = rest.get(1..).unwrap_or_default();
        }
        self.begun.extend_from_slice(piece);
        anyhow::ensure!(
            self.begun.len() <= LINE_BYTES_MAX,
            "the server's output has a line of more than {LINE_BYTES_MAX} bytes"
        );
        Ok(())
    }
}

/// The numbers of the stream and the round that a line of output is about; `None` if it is no decision on a stream of the run.
///
/// ```
/// use centauri_bench::serving::lines::subject;
/// assert_eq!(subject(br#"{"stream":"s000042","round":-7,"status":"decided"}"#), Some((42, -7)));
/// ```
#[must_use]
pub fn subject(line: &[u8]) -> Option<(usize, i64)> {
    let rest = line.strip_prefix(HEAD)?.strip_prefix(STREAM_PREFIX.as_bytes())?;
    let (stream, rest) = digits(rest)?;
    let rest = rest.strip_prefix(b"\",\"round\":")?;
    let (sign, rest) = match rest.strip_prefix(b"-") {
        Some(rest) => (-1, rest),
        None => (1, rest),
    };
    let (round, rest) = digits(rest)?;
    rest.starts_with(b",").then_some(())?;
    Some((usize::try_from(stream).ok()?, sign * i64::try_from(round).ok()?))
}

/// A number and what is behind it.
fn digits(text: &[u8]) -> Option<(u64, &[u8])> {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = text.split_at(count);
    (1..=18).contains(&count).then_some(())?;
    Some((number.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_however_they_come() {
        let text = b"one\n\nthree is longer\nfour";
        for size in 1..=text.len() {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            for piece in text.chunks(size) {
                lines.take(piece, |line| found.push(line.to_vec())).unwrap();
            }
            assert_eq!(found, [b"one".to_vec(), Vec::new(), b"three is longer".to_vec()], "{size}");
        }
    }

    #[test]
    fn a_line_without_an_end_is_an_error() {
        let mut lines = Lines::default();
        let piece = vec![b'x'; LINE_BYTES_MAX / 2 + 1];
        assert!(lines.take(&piece, |_| ()).is_ok());
        assert!(lines.take(&piece, |_| ()).is_err());
    }

    #[test]
    fn only_decisions_on_streams_of_the_run_have_a_subject() {
        assert_eq!(subject(br#"{"stream":"s7","round":1764181500,"st"#), Some((7, 1_764_181_500)));
        for line in [
            "",
            "{}",
            r#"{"stream":"s","round":1,"#,
            r#"{"stream":"x1","round":1,"#,
            r#"{"stream":"s1","round":,"#,
            r#"{"stream":"s1","round":1.5,"#,
            r#"{"stream":"s1","round":1"#,
            r#"{"stream":"s1234567890123456789","round":1,"#,
            r#" {"stream":"s1","round":1,"#,
        ] {
            assert_eq!(subject(line.as_bytes()), None, "{line}");
        }
    }
}
