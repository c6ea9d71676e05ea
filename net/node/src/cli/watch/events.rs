//! Server-sent events from bytes.

/// A longer line or event is of no server like ours.
const BYTES_MAX: usize = 4 << 20;

/// An event: its name and its data.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) data: String,
}

/// Takes bytes as they come and gives events when they are whole. Lines end with a line feed, with a carriage return
/// before it or without, as such servers send them.
#[derive(Debug, Default)]
pub(super) struct Events {
    line: Vec<u8>,
    begun: Event,
}

impl Events {
    /// The events that these bytes complete.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<anyhow::Result<Event>> {
        let mut events = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if self.line.len() + self.begun.data.len() > BYTES_MAX {
                events.push(Err(anyhow::anyhow!("found an event beyond {BYTES_MAX} bytes")));
                return events;
            }
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                events.extend(
                    self.end_line(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r'])).map(Ok),
                );
            }
        }
        events
    }

    fn end_line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let mut event = std::mem::take(&mut self.begun);
            event.data.pop();
            return (!event.data.is_empty()).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.begun.name),
            "data" => {
                self.begun.data.push_str(value);
                self.begun.data.push('\n');
            }
            // Comments keep the connection alive; ids and waiting times are not needed.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_whole_however_they_are_cut() {
        let text = "retry: 5\n\n: heartbeat\n\nid: 1\nevent: decision\ndata: {\"a\":\"é: x\"}\n\nevent:missed\r\ndata:1\r\ndata: 2\r\n\r\ndata: half";
        let event = |name: &str, data: &str| Event { name: name.to_owned(), data: data.to_owned() };
        let expected = [event("decision", "{\"a\":\"é: x\"}"), event("missed", "1\n2")];
        for size in [1, 2, 3, 7, 1_000] {
            let mut events = Events::default();
            let found: Vec<Event> = text
                .as_bytes()
                .chunks(size)
                .flat_map(|piece| events.take(piece))
                .map(Result::unwrap)
                .collect();
            assert_eq!(found, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn an_event_without_end_is_an_error() {
        let mut events = Events::default();
        let errors: usize = (0..6).map(|_| events.take(&[b'x'; 1 << 20])).map(|found| found.len()).sum();
        assert!(errors > 0);
    }
}
