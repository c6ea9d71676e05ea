//! A compiled model's tables as they lie in memory, for backends that keep copies of them elsewhere.

use crate::compile::CompiledModel;
use crate::table;

/// The rows of log-likelihoods `L(x) = ln P(report | X = x)` of one table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rows<'a> {
    /// The row of the report in bin `i` is `cells[start..start + points]`, `start = −i − from`, if it lies inside.
    Translated {
        /// Distance `s − i` in steps of the first cell.
        from: i64,
        /// L at distance `from`, `from + 1`, …
        cells: &'a [f64],
    },
    /// The row of the report in bin `i` is `cells[k·points..(k + 1)·points]`, `k = i − from`, if it lies inside.
    Each {
        /// The bin of the first row.
        from: i64,
        /// Row after row.
        cells: &'a [f64],
    },
    /// No row was computed in advance: [`CompiledModel::likelihood`] computes it.
    Computed,
}

impl Rows<'_> {
    /// Where the row of the report in bin `i` begins in the cells; `None` where it has no row in advance.
    ///
    /// ```
    /// use centauri_engine::Rows;
    ///
    /// let cells = [-2.0, -1.0, 0.0, -1.0, -2.0];
    /// let rows = Rows::Translated { from: -2, cells: &cells };
    /// // Three grid points; the report in bin 1 lies one step above the first of them.
    /// assert_eq!(rows.start(1, 3), Some(1));
    /// assert_eq!(rows.start(-1, 3), None);
    /// ```
    #[must_use]
    pub fn start(&self, bin: i64, points: usize) -> Option<usize> {
        let (start, cells) = match self {
            Self::Translated { from, cells } => (usize::try_from(-bin - from).ok()?, cells),
            Self::Each { from, cells } => (usize::try_from(bin - from).ok()?.checked_mul(points)?, cells),
            Self::Computed => return None,
        };
        (start.checked_add(points)? <= cells.len()).then_some(start)
    }

    /// All cells; none where rows are computed.
    #[must_use]
    pub fn cells(&self) -> &[f64] {
        match self {
            Self::Translated { cells, .. } | Self::Each { cells, .. } => cells,
            Self::Computed => &[],
        }
    }
}

impl CompiledModel {
    /// The number of different tables: replicas that share a link and a noise share one.
    #[must_use]
    pub fn table_count(&self) -> usize {
        self.tables().len()
    }

    /// Which table the replica at `position` has.
    ///
    /// # Panics
    /// Where there is no such replica.
    #[must_use]
    pub fn table_index(&self, position: usize) -> usize {
        usize::from(self.table_of()[position])
    }

    /// The rows of table `table` that were computed in advance.
    ///
    /// # Panics
    /// Where there is no such table.
    #[must_use]
    pub fn table_rows(&self, table: usize) -> Rows<'_> {
        match self.tables()[table].rows() {
            table::Rows::Translated { from, cells } => Rows::Translated { from: *from, cells },
            table::Rows::Each { reports, cells } => Rows::Each { from: reports.start, cells },
            table::Rows::None => Rows::Computed,
        }
    }

    /// `ln P(missing)` of the replicas of table `table`, the same for every grid point.
    ///
    /// # Panics
    /// Where there is no such table.
    #[must_use]
    pub fn ln_missing(&self, table: usize) -> f64 {
        self.tables()[table].ln_missing()
    }
}
