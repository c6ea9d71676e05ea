//! What replicas have reported for open rounds, laid out as frames go through it.

use centauri_engine::Report;

/// Streams whose reports share lines.
pub(super) const STREAMS_A_LINE: usize = 4;

/// What one replica has reported to one slot of neighbouring streams: a cache line.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
struct Line([Report; STREAMS_A_LINE]);

const _: () = assert!(size_of::<Line>() == 64);

/// Where a stream's reports are: a line for each replica of each slot, which it shares with its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    first: u32,
    lane: u8,
}

impl Place {
    fn line(self, row: usize) -> usize {
        self.first as usize + row
    }
}

/// Reports of streams that come one after the other in frames.
///
/// A frame brings one replica's values for one round of many streams. So what lies together is what a replica reports of
/// neighbouring streams, and not what a round's replicas do: a frame then touches a fourth of the lines. A round's reports
/// are put together when it is decided; the streams beside it mostly are due then too.
#[derive(Debug, Default)]
pub(super) struct Reports {
    lines: Vec<Line>,
}

impl Reports {
    /// Room for one more stream of so many rows. It is put beside `neighbour` if that is given (the stream added before, of
    /// as many rows) and has a place left.
    pub(super) fn add(&mut self, rows: usize, neighbour: Option<Place>) -> Place {
        match neighbour {
            Some(Place { first, lane }) if usize::from(lane) + 1 < STREAMS_A_LINE => {
                Place { first, lane: lane + 1 }
            }
            _ => {
                let first = u32::try_from(self.lines.len()).unwrap_or(u32::MAX);
                self.lines.resize(self.lines.len() + rows, Line::default());
                Place { first, lane: 0 }
            }
        }
    }

    pub(super) fn get(&self, place: Place, row: usize) -> Option<&Report> {
        self.lines.get(place.line(row))?.0.get(usize::from(place.lane))
    }

    pub(super) fn get_mut(&mut self, place: Place, row: usize) -> Option<&mut Report> {
        self.lines.get_mut(place.line(row))?.0.get_mut(usize::from(place.lane))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_report_lies_where_another_does_and_neighbours_share_lines() {
        let mut reports = Reports::default();
        let (mut places, mut before) = (Vec::new(), None);
        for rows in [3_usize, 3, 3, 3, 3, 3, 2, 2, 5] {
            let beside = before.filter(|(known, _)| *known == rows).map(|(_, place)| place);
            let place = reports.add(rows, beside);
            before = Some((rows, place));
            places.push((rows, place));
        }
        assert_eq!(reports.lines.len(), 3 + 3 + 2 + 5);
        let cells = places.iter().flat_map(|&(rows, place)| (0..rows).map(move |row| (place, row)));
        let addresses: BTreeSet<*const Report> =
            cells.clone().map(|(place, row)| std::ptr::from_ref(reports.get(place, row).unwrap())).collect();
        assert_eq!(addresses.len(), 6 * 3 + 2 * 2 + 5);
        for (number, (place, row)) in cells.clone().enumerate() {
            *reports.get_mut(place, row).unwrap() = Report::Value(number as f64);
        }
        for (number, (place, row)) in cells.enumerate() {
            assert_eq!(reports.get(place, row), Some(&Report::Value(number as f64)));
        }
    }
}
