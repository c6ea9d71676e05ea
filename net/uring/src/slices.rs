//! What has come, on its way to the sink: trains divided into their datagrams, datagrams put together to slices.

use crate::Datagram;
use crate::socket::Socket;
use std::net::SocketAddr;
use std::num::NonZeroUsize;

/// Most datagrams that the sink gets at a time.
pub(crate) const SLICE_MAX: usize = 64;

/// A buffer that has come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Came<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) from: SocketAddr,
    /// Whether there was more than the buffer holds.
    pub(crate) truncated: bool,
    /// The size of its datagrams, if it is a train.
    pub(crate) train_of: Option<NonZeroUsize>,
}

/// Gathers datagrams and hands them over, [`SLICE_MAX`] at a time; [`finish`](Self::finish) hands over the rest.
pub(crate) struct Slices<'a, 's> {
    gathered: [Datagram<'a>; SLICE_MAX],
    count: usize,
    handed: usize,
    sink: &'s mut dyn FnMut(&[Datagram<'_>]),
}

impl<'a, 's> Slices<'a, 's> {
    pub(crate) fn new(sink: &'s mut dyn FnMut(&[Datagram<'_>])) -> Self {
        Self { gathered: [Datagram::NONE; SLICE_MAX], count: 0, handed: 0, sink }
    }

    /// Takes the datagrams of a buffer, and counts them.
    pub(crate) fn push(&mut self, socket: &mut Socket, came: Came<'a>) {
        let Came { bytes, from, truncated, .. } = came;
        // A size that leaves all in one piece makes no train.
        let Some(size) = came.train_of.map(NonZeroUsize::get).filter(|size| *size < bytes.len()) else {
            let datagram = Datagram { bytes, from, truncated };
            socket.count_received(&datagram);
            self.gather(datagram);
            return;
        };
        socket.counters_mut().received_trains += 1;
        let mut pieces = bytes.chunks(size).peekable();
        while let Some(piece) = pieces.next() {
            // What was cut off was at the end.
            let datagram = Datagram { bytes: piece, from, truncated: truncated && pieces.peek().is_none() };
            socket.count_received(&datagram);
            self.gather(datagram);
        }
    }

    /// Hands over what is left; returns how many datagrams were handed over in all.
    pub(crate) fn finish(mut self) -> usize {
        self.flush();
        self.handed
    }

    fn gather(&mut self, datagram: Datagram<'a>) {
        if let Some(place) = self.gathered.get_mut(self.count) {
            *place = datagram;
            self.count += 1;
        }
        if self.count == SLICE_MAX {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if let Some(slice) = self.gathered.get(..self.count).filter(|slice| !slice.is_empty()) {
            (self.sink)(slice);
        }
        self.handed += self.count;
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DriverConfig;

    fn bound() -> Socket {
        Socket::bind("127.0.0.1:0".parse().unwrap(), &DriverConfig::default()).unwrap()
    }

    /// Lengths and marks of what `buffers` (length, size of its datagrams, cut) make, slice by slice.
    fn slices(socket: &mut Socket, buffers: &[(usize, usize, bool)]) -> Vec<Vec<(usize, bool)>> {
        let bytes: Vec<u8> = (0..70_000).map(|n| n as u8).collect();
        let mut seen = Vec::new();
        let mut sink = |slice: &[Datagram<'_>]| {
            seen.push(slice.iter().map(|datagram| (datagram.bytes.len(), datagram.truncated)).collect());
        };
        let mut slices = Slices::new(&mut sink);
        for &(len, size, truncated) in buffers {
            let from = "127.0.0.1:9".parse().unwrap();
            let came = Came { bytes: &bytes[..len], from, truncated, train_of: NonZeroUsize::new(size) };
            slices.push(socket, came);
        }
        let handed = slices.finish();
        assert_eq!(handed, seen.iter().map(Vec::len).sum::<usize>());
        seen
    }

    #[test]
    fn trains_are_divided() {
        let mut socket = bound();
        for (buffer, expected) in [
            ((0, 0, false), vec![(0, false)]),
            ((0, 5, false), vec![(0, false)]),
            ((9, 0, false), vec![(9, false)]),
            ((9, 0, true), vec![(9, true)]),
            ((9, 9, false), vec![(9, false)]),
            ((9, 10, false), vec![(9, false)]),
            ((9, usize::MAX, true), vec![(9, true)]),
            ((9, 5, false), vec![(5, false), (4, false)]),
            ((10, 5, true), vec![(5, false), (5, true)]),
            ((3, 1, false), vec![(1, false); 3]),
        ] {
            assert_eq!(slices(&mut socket, &[buffer]), [expected], "{buffer:?}");
        }
        let counters = socket.counters();
        assert_eq!((counters.datagrams, counters.received_trains, counters.truncated), (14, 3, 3));
        assert_eq!(counters.bytes, 6 * 9 + 10 + 3);
    }

    #[test]
    fn slices_have_a_limit() {
        let mut socket = bound();
        let mut lens = |buffers: &[(usize, usize, bool)]| -> Vec<usize> {
            slices(&mut socket, buffers).iter().map(Vec::len).collect()
        };
        assert_eq!(lens(&[]), []);
        assert_eq!(lens(&[(63, 1, false)]), [63]);
        assert_eq!(lens(&[(64, 1, false)]), [64]);
        assert_eq!(lens(&[(65, 1, false)]), [64, 1]);
        assert_eq!(lens(&[(7, 0, false), (200, 1, false), (7, 0, false)]), [64, 64, 64, 10]);
        let longest = lens(&[(65_507, 1, false)]);
        assert!(longest.iter().all(|count| *count <= SLICE_MAX));
        assert_eq!(longest.iter().sum::<usize>(), 65_507);
    }

    #[test]
    fn bytes_are_in_their_places() {
        let mut socket = bound();
        let bytes: Vec<u8> = (0..200).collect();
        let mut joined: Vec<u8> = Vec::new();
        let mut sink = |slice: &[Datagram<'_>]| slice.iter().for_each(|one| joined.extend(one.bytes));
        let mut slices = Slices::new(&mut sink);
        let from = "127.0.0.1:9".parse().unwrap();
        slices.push(
            &mut socket,
            Came { bytes: &bytes, from, truncated: false, train_of: NonZeroUsize::new(3) },
        );
        assert_eq!(slices.finish(), 67);
        assert_eq!(joined, bytes);
    }
}
