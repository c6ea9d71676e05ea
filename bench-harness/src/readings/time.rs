//! Times in readings: seconds, or a date with a time of day.

/// Seconds of `text`: a number as it is, or `YYYY-MM-DDTHH:MM[:SS[.s]]` (or with a space for the T, and with or without a Z) since
/// 1970-01-01 in its own zone.
#[must_use]
pub fn seconds(text: &str) -> Option<f64> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        return number.is_finite().then_some(number);
    }
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, clock) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    let mut date = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let mut clock = clock.splitn(3, ':');
    let hour: i64 = clock.next()?.parse().ok()?;
    let minute: i64 = clock.next()?.parse().ok()?;
    let second: f64 = clock.next().map_or(Some(0.0), |s| s.parse().ok())?;
    let real = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0.0..61.0).contains(&second)
        && (0..10_000).contains(&year);
    real.then(|| days(year, month, day) as f64 * 86_400.0 + (hour * 3_600 + minute * 60) as f64 + second)
}

/// Days from 1970-01-01 in the Gregorian calendar, counted in years that begin in March, so that a leap day is a year's last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_numbers() {
        for (text, expected) in [
            ("0", Some(0.0)),
            ("12.5", Some(12.5)),
            ("1970-01-01T00:00:00Z", Some(0.0)),
            ("2000-03-01", Some(951_868_800.0)),
            ("2012-03-01T00:05:00", Some(1_330_560_300.0)),
            ("2016-11-08 02:30", Some(1_478_572_200.0)),
            ("2019-08-01T12:11:00.5Z", Some(1_564_661_460.5)),
            ("noon", None),
            ("2019-13-01T00:00", None),
            ("2019-01-01T25:00", None),
            ("inf", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
