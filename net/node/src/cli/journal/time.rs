//! Times on the command line.

/// Nanoseconds since the Unix epoch, from a time such as `2026-11-26T17:00:00Z` or from seconds since the epoch.
pub(super) fn parse(text: &str) -> Result<i64, String> {
    let expected = "expected a time such as 2026-11-26T17:00:00Z, or seconds since 1970";
    let in_reach = |ns: i128| i64::try_from(ns).map_err(|_| format!("out of reach: {expected}"));
    if let Ok(seconds) = text.parse::<f64>() {
        // Float-to-integer conversion keeps to the bounds; nanoseconds are rounded as the seconds' digits allow.
        return if seconds.is_finite() {
            in_reach((seconds * 1e9).round() as i128)
        } else {
            Err(expected.to_owned())
        };
    }
    let time: jiff::Timestamp = text.parse().map_err(|_| expected.to_owned())?;
    in_reach(time.as_nanosecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms() {
        for (text, seconds) in [
            ("1970-01-01T00:00:01Z", 1.0),
            ("2026-11-26T17:00:00Z", 1_795_712_400.0),
            ("2026-11-26T18:00:00+01:00", 1_795_712_400.0),
            ("1795712400", 1_795_712_400.0),
            ("1795712400.5", 1_795_712_400.5),
            ("-3", -3.0),
        ] {
            assert_eq!(parse(text), Ok((seconds * 1e9) as i64), "{text}");
        }
        for text in ["", "yesterday", "nan", "inf", "1e30", "2026-11-26", "2026-13-01T00:00:00Z"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
