//! What replicas have reported for open rounds, laid out as frames go through it.

use centauri_engine::Report;

/// Streams whose reports share lines.
pub(super) const STREAMS_A_LINE: usize = 8;

/// A report in the eight bytes of its value. Values are finite, as those of records are.
#[derive(Debug, Clone, Copy)]
struct Cell(f64);

impl Cell {
    const MISSING: Self = Self(f64::NAN);
    const EQUIVOCATED: Self = Self(f64::INFINITY);

    fn of(report: Report) -> Self {
        match report {
            Report::Missing => Self::MISSING,
            Report::Value(value) => Self(value),
            Report::Equivocated => Self::EQUIVOCATED,
        }
    }

    fn report(self) -> Report {
        if self.0.is_finite() {
            Report::Value(self.0)
        } else if self.0.is_nan() {
            Report::Missing
        } else {
            Report::Equivocated
        }
    }
}

/// What one replica has reported to one slot of neighbouring streams: a cache line.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Line([Cell; STREAMS_A_LINE]);

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
/// neighbouring streams, and not what a round's replicas do: a frame then touches an eighth of the lines. A round's reports
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
                self.lines.resize(self.lines.len() + rows, Line([Cell::MISSING; STREAMS_A_LINE]));
                Place { first, lane: 0 }
            }
        }
    }

    pub(super) fn get(&self, place: Place, row: usize) -> Option<Report> {
        self.lines.get(place.line(row))?.0.get(usize::from(place.lane)).map(|cell| cell.report())
    }

    /// Changes a report that there is; gives it as it was and as it is.
    pub(super) fn change(
        &mut self,
        place: Place,
        row: usize,
        change: impl FnOnce(&mut Report),
    ) -> Option<(Report, Report)> {
        let cell = self.lines.get_mut(place.line(row))?.0.get_mut(usize::from(place.lane))?;
        let before = cell.report();
        let mut after = before;
        change(&mut after);
        *cell = Cell::of(after);
        Some((before, after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn no_report_lies_where_another_does_and_neighbours_share_lines() {
        let mut reports = Reports::default();
        let (mut places, mut before) = (Vec::new(), None);
        for rows in [3_usize; 10].into_iter().chain([2, 2, 5]) {
            let beside = before.filter(|(known, _)| *known == rows).map(|(_, place)| place);
            let place = reports.add(rows, beside);
            before = Some((rows, place));
            places.push((rows, place));
        }
        assert_eq!(reports.lines.len(), 3 + 3 + 2 + 5, "eight and two streams of 3 rows, two of 2, one of 5");
        let cells = places.iter().flat_map(|&(rows, place)| (0..rows).map(move |row| (place, row)));
        assert_eq!(cells.clone().count(), 10 * 3 + 2 * 2 + 5);
        let values = [0.0, -0.0, f64::MAX, f64::MIN, f64::MIN_POSITIVE, f64::from_bits(1), -1.5, 3.25];
        let told = |number: usize| match number % 10 {
            8 => Report::Missing,
            9 => Report::Equivocated,
            _ => Report::Value(values.get(number).copied().unwrap_or(number as f64)),
        };
        for (number, (place, row)) in cells.clone().enumerate() {
            let changed = reports.change(place, row, |report| *report = told(number));
            assert_eq!(changed, Some((Report::Missing, told(number))));
        }
        for (number, (place, row)) in cells.enumerate() {
            assert_eq!(reports.get(place, row), Some(told(number)));
        }
        assert_eq!(reports.get(Place { first: u32::MAX, lane: 7 }, 0), None);
    }
}
