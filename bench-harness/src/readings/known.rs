//! Folders of real readings whose quirks are known. Any other file is taken as it is.

use super::series::Series;
use super::{table, time};
use std::path::{Path, PathBuf};

/// A file of readings that is known.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The folder that it comes in.
    pub folder: &'static str,
    /// Its name.
    pub file: &'static str,
    /// The stream's name in results.
    pub name: &'static str,
    time: &'static str,
    columns: &'static [&'static str],
    /// Heights of the columns' instruments in metres, where these measure the same wind.
    heights: &'static [f64],
}

const ROAD_A: [&str; 6] = ["v773953", "v718204", "v773916", "v773904", "v773927", "v761003"];
const ROAD_B: [&str; 5] = ["v767350", "v765273", "v765171", "v767053", "v765265"];
const WIND: [&str; 6] = ["Spd80mN", "Spd80mS", "Spd60mN", "Spd60mS", "Spd40mN", "Spd40mS"];
const HEIGHTS: [f64; 6] = [80.0, 80.0, 60.0, 60.0, 40.0, 40.0];
/// The height to which winds are scaled.
const HEIGHT: f64 = 60.0;
/// Winds from this speed on, in m/s, show how wind grows with height.
const WIND_MIN: f64 = 3.0;

/// All of them.
pub const ALL: [Known; 6] = [
    Known::road("cluster_a_mph.csv", "metr_la/a", &ROAD_A),
    Known::road("cluster_b_mph.csv", "metr_la/b", &ROAD_B),
    Known {
        folder: "met_mast",
        file: "mast_10min.csv",
        name: "met_mast/wind",
        time: "time",
        columns: &WIND,
        heights: &HEIGHTS,
    },
    Known::air("epa/o3", &["o3_1", "o3_2", "o3_3"]),
    Known::air("epa/pm25", &["pm25_1", "pm25_2", "pm25_3"]),
    Known::air("epa/temp", &["temp_1", "temp_2", "temp_3"]),
];

/// Their folders and that of the routes, for messages.
#[must_use]
pub fn names() -> String {
    let mut names: Vec<&str> = ALL.iter().map(|known| known.folder).collect();
    names.dedup();
    names.push(crate::routes::data::FOLDER);
    names.join(", ")
}

impl Known {
    const fn road(file: &'static str, name: &'static str, columns: &'static [&'static str]) -> Self {
        Self { folder: "metr_la_week", file, name, time: "t_s", columns, heights: &[] }
    }

    const fn air(name: &'static str, columns: &'static [&'static str]) -> Self {
        let (folder, file) = ("epa_colocation", "sensors_1min.csv");
        Self { folder, file, name, time: "t_s", columns, heights: &[] }
    }

    /// The file in `path`, which is its folder or the folder of its folder; none if it is not there.
    #[must_use]
    pub fn within(&self, path: &Path) -> Option<PathBuf> {
        [path.join(self.file), path.join(self.folder).join(self.file)].into_iter().find(|file| file.is_file())
    }

    /// Reads it and prepares it: known faults are taken away, winds scaled to one height.
    ///
    /// # Errors
    /// What is wrong with the file or with `known_faults.csv` beside it.
    pub fn read(&self, file: &Path) -> anyhow::Result<Series> {
        let columns: Vec<String> = self.columns.iter().map(|&c| c.to_owned()).collect();
        let wide = table::read(file, Some(self.time), &columns)?;
        let start = wide.times.first().copied().unwrap_or(0.0);
        let mut series = Series::new(self.name, wide)?;
        let faults = file.with_file_name("known_faults.csv");
        if faults.is_file() {
            take_away(&mut series, start, &spells(&std::fs::read_to_string(faults)?)?);
        }
        if !self.heights.is_empty() {
            scale(&mut series, self.heights);
        }
        Ok(series)
    }
}

/// A stretch of time in which instruments were faulty.
#[derive(Clone, Debug, PartialEq)]
struct Spell {
    /// Beginning of the names of the instruments.
    sensor: String,
    from_s: f64,
    to_s: f64,
}

fn spells(text: &str) -> anyhow::Result<Vec<Spell>> {
    let mut spells = Vec::new();
    for record in csv::Reader::from_reader(text.as_bytes()).records() {
        let record = record?;
        let when = |at: usize| {
            let cell = record.get(at).unwrap_or("");
            time::seconds(cell)
                .ok_or_else(|| anyhow::anyhow!("known_faults.csv: found {cell:?}, expected a time"))
        };
        spells.push(Spell {
            sensor: record.get(0).unwrap_or("").to_owned(),
            from_s: when(1)?,
            to_s: when(2)?,
        });
    }
    Ok(spells)
}

/// Takes away what faulty instruments read. A round in which all were is excluded: what they have in common no vote can see.
fn take_away(series: &mut Series, start_s: f64, spells: &[Spell]) {
    let mut dead = vec![0usize; series.replicas.len()];
    let mut excluded = 0usize;
    for round in &mut series.rounds {
        let now = start_s + round.number as f64 * series.step_s;
        let faulty: Vec<bool> = series
            .replicas
            .iter()
            .map(|r| spells.iter().any(|s| r.starts_with(&s.sensor) && s.from_s <= now && now <= s.to_s))
            .collect();
        if faulty.iter().all(|f| *f) {
            round.excluded = true;
            excluded += 1;
            continue;
        }
        for ((value, faulty), dead) in round.values.iter_mut().zip(faulty).zip(&mut dead) {
            if faulty {
                *value = None;
                *dead += 1;
            }
        }
    }
    if excluded > 0 {
        series.notes.push(format!("{excluded} rounds left out in which a known fault had all replicas"));
    }
    for (replica, rounds) in series.replicas.iter().zip(dead).filter(|(_, rounds)| *rounds > 0) {
        series.notes.push(format!("{replica} taken as missing in {rounds} rounds of a known fault"));
    }
}

/// Scales winds at several heights to one, by v ∝ hᵅ; α is the median, over the first half's rounds of enough wind, of the slope
/// of ln v over ln h.
fn scale(series: &mut Series, heights: &[f64]) {
    let ln: Vec<f64> = heights.iter().map(|h| h.ln()).collect();
    let middle = ln.iter().sum::<f64>() / ln.len() as f64;
    let square: f64 = ln.iter().map(|l| (l - middle).powi(2)).sum();
    let mut slopes: Vec<f64> = series
        .halves()
        .0
        .iter()
        .filter(|round| !round.excluded && round.values.iter().all(|v| v.is_some_and(|v| v >= WIND_MIN)))
        .map(|round| {
            let ups = round.values.iter().flatten().zip(&ln);
            ups.map(|(v, l)| v.ln() * (l - middle)).sum::<f64>() / square
        })
        .collect();
    slopes.sort_by(f64::total_cmp);
    let power = slopes.get(slopes.len() / 2).copied().unwrap_or(0.0);
    for round in &mut series.rounds {
        for (value, height) in round.values.iter_mut().zip(heights) {
            *value = value.map(|v| v * (HEIGHT / height).powf(power));
        }
    }
    series.notes.push(format!("scaled to {HEIGHT} m by v ∝ h^{power:.3}, fitted on the first half"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readings::table::parse;

    fn mast() -> Series {
        // v = 5·(h/60)^0.2, in all but the last round.
        let mut text = "time,Spd80mN,Spd60mN,Spd40mN\n".to_owned();
        for minute in 0..20 {
            let at = |h: f64| 5.0 * (h / 60.0f64).powf(0.2);
            text += &format!("2020-01-01T00:{minute:02}:00,{},{},{}\n", at(80.0), at(60.0), at(40.0));
        }
        Series::new("wind", parse(&text, Some("time"), &[]).unwrap()).unwrap()
    }

    #[test]
    fn winds_are_scaled_to_one_height() {
        let mut series = mast();
        scale(&mut series, &[80.0, 60.0, 40.0]);
        assert!(series.rounds.iter().all(|r| r.values.iter().all(|v| (v.unwrap() - 5.0).abs() < 1e-9)));
        assert_eq!(series.notes, ["scaled to 60 m by v ∝ h^0.200, fitted on the first half"]);
    }

    #[test]
    fn known_faults_are_taken_away() {
        let faults = "Sensor,Start,Stop,Reason\nSpd,2020-01-01 00:03,2020-01-01 00:05,Icing\n\
                      Spd60mN,2020-01-01 00:09,2021-01-01 00:00,Dead\nDir,2020-01-01 00:00,2020-02-01 00:00,x\n";
        let mut series = mast();
        let start = time::seconds("2020-01-01T00:00").unwrap();
        take_away(&mut series, start, &spells(faults).unwrap());
        let excluded: Vec<i64> = series.rounds.iter().filter(|r| r.excluded).map(|r| r.number).collect();
        assert_eq!(excluded, [3, 4, 5]);
        assert!(series.rounds.iter().all(|r| r.values[1].is_none() == (r.number >= 9)));
        assert_eq!(series.notes.len(), 2);
    }
}
