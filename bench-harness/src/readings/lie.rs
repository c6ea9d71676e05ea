//! What replicas of real readings that an adversary holds report instead of what they measured.

use super::series::{Measured, Series};
use centauri_engine::Report;

/// What liars do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Nobody lies.
    None,
    /// 30 sd away, each on its own by what it measured.
    Far,
    /// All the same value, 3 sd from the mean of the honest on one side.
    Collude3,
    /// What they measured a week before, or as many whole days before as there are.
    LastWeek,
    /// What they measured in the block's first round, all along.
    Stuck,
    /// Nothing.
    Silent,
}

/// How far back a replayed or stuck value is looked for where there is none at its own time, in rounds.
const BACK: i64 = 288;
const DAY_S: f64 = 86_400.0;
/// Days of [`Lie::LastWeek`], where there are as many.
const WEEK: f64 = 7.0;

impl Lie {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::None, Self::Far, Self::Collude3, Self::LastWeek, Self::Stuck, Self::Silent];

    /// The name in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Far => "far",
            Self::Collude3 => "collude_3sd",
            Self::LastWeek => "last_week",
            Self::Stuck => "stuck",
            Self::Silent => "silent",
        }
    }

    /// Who of those held lies.
    #[must_use]
    pub fn liars(self, held: &[bool]) -> Vec<bool> {
        if self == Self::None { vec![false; held.len()] } else { held.to_vec() }
    }
}

/// By how many rounds [`Lie::LastWeek`] is late: a week, or the whole days of readings that lie before the half that is judged, or,
/// if these are less than a day, half of them.
#[must_use]
pub fn lag(series: &Series) -> i64 {
    let (first, second) = series.halves();
    let number = |rounds: &[Measured]| rounds.first().map_or(0, |round| round.number);
    let before = number(second) - number(first);
    let days = (before as f64 * series.step_s / DAY_S).floor().min(WEEK);
    if days >= 1.0 { (days * DAY_S / series.step_s).round() as i64 } else { (before / 2).max(1) }
}

/// A round as it is played: what is reported, and what it is judged by.
#[derive(Clone, Debug, PartialEq)]
pub struct Played {
    /// Number of the round.
    pub number: i64,
    /// The reports; all missing in a round that is not judged.
    pub reports: Vec<Report>,
    /// Mean of the honest replicas' readings, and of all replicas'; none where the round is not judged.
    pub means: Option<(f64, f64)>,
}

/// A stretch of rounds with the same liars.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Who is held by the adversary.
    pub held: Vec<bool>,
    /// The side, +1 or −1, to which it pushes.
    pub side: f64,
    /// Its rounds, as places in the series.
    pub rounds: std::ops::Range<usize>,
}

impl Block {
    /// The rounds under `lie`; `sd` is the unit of its distances and `lag` what [`lag`] gave.
    #[must_use]
    pub fn play(&self, series: &Series, lie: Lie, sd: f64, lag: i64) -> Vec<Played> {
        let liars = lie.liars(&self.held);
        let rounds = &series.rounds[self.rounds.clone()];
        let first = rounds.first().map_or(0, |round| round.number);
        // A replica stays at the first reading that it has in the block.
        let stuck: Vec<Option<f64>> = (0..liars.len())
            .map(|i| rounds.iter().find_map(|round| round.values[i]).or(series.reading(i, first, BACK)))
            .collect();
        rounds
            .iter()
            .map(|round| {
                let missing = || vec![Report::Missing; liars.len()];
                let judged = round.mean(|i| !liars[i]).zip(round.mean(|_| true));
                let Some((honest, all)) = judged.filter(|_| !round.excluded) else {
                    return Played { number: round.number, reports: missing(), means: None };
                };
                let report = |i: usize| {
                    let own = round.values[i];
                    let told = match lie {
                        _ if !liars[i] => own,
                        Lie::None => own,
                        Lie::Far => Some(own.unwrap_or(honest) + self.side * 30.0 * sd),
                        Lie::Collude3 => Some(honest + self.side * 3.0 * sd),
                        Lie::LastWeek => series.reading(i, round.number - lag, BACK).or(own),
                        Lie::Stuck => stuck[i],
                        Lie::Silent => None,
                    };
                    told.map_or(Report::Missing, Report::Value)
                };
                let reports = (0..liars.len()).map(report).collect();
                Played { number: round.number, reports, means: Some((honest, all)) }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readings::table::parse;

    fn series() -> Series {
        // One round an hour for eight days; replica c is always 3 above a and b.
        let mut text = "t,a,b,c\n".to_owned();
        for hour in 0..192 {
            text += &format!("{},{hour},{hour},{}\n", hour * 3_600, hour + 3);
        }
        Series::new("s", parse(&text, None, &[]).unwrap()).unwrap()
    }

    fn told(lie: Lie) -> Vec<(f64, f64, Report)> {
        let series = series();
        let lag = lag(&series);
        assert_eq!(lag, 96, "four days are before the second half");
        let block = Block { held: vec![false, false, true], side: -1.0, rounds: 96..120 };
        let played = block.play(&series, lie, 2.0, lag);
        assert_eq!(played.len(), 24);
        played
            .iter()
            .map(|p| {
                assert_eq!(p.reports[0], Report::Value(p.number as f64), "honest reports stay");
                let (honest, all) = p.means.unwrap();
                (honest - p.number as f64, all - p.number as f64, p.reports[2])
            })
            .collect()
    }

    #[test]
    fn liars_do_what_they_say() {
        for (lie, tenth) in [
            (Lie::None, Report::Value(109.0)),
            (Lie::Far, Report::Value(49.0)),
            (Lie::Collude3, Report::Value(100.0)),
            (Lie::LastWeek, Report::Value(13.0)),
            (Lie::Stuck, Report::Value(99.0)),
            (Lie::Silent, Report::Missing),
        ] {
            let told = told(lie);
            let (honest, all, report) = told[10];
            assert_eq!(report, tenth, "{lie:?}");
            assert_eq!((honest, all), (if lie == Lie::None { 1.0 } else { 0.0 }, 1.0), "{lie:?}");
        }
    }

    #[test]
    fn excluded_rounds_are_not_judged() {
        let mut series = series();
        series.rounds[100].excluded = true;
        let block = Block { held: vec![true, false, false], side: 1.0, rounds: 100..102 };
        let played = block.play(&series, Lie::Far, 1.0, 24);
        assert_eq!((played[0].means, &played[0].reports), (None, &vec![Report::Missing; 3]));
        assert!(played[1].means.is_some());
    }
}
