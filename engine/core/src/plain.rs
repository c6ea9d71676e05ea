//! Numbers in sentences for people.

/// The shortest decimal that reads back as the same float64.
pub(crate) fn exact(value: f64) -> String {
    let text = format!("{value:?}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// About three significant digits.
pub(crate) fn figure(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-3..1e6).contains(&size) {
        return format!("{value:.2e}");
    }
    let digits = if size == 0.0 { 0 } else { (2 - size.log10().floor() as i32).max(0) as usize };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A probability that is not certain is never shown as 1.
pub(crate) fn probability(p: f64) -> String {
    if p > 0.999 && p < 1.0 { format!("1 − {}", figure(1.0 - p)) } else { figure(p) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_keep_their_size() {
        let cases = [
            (0.0, "0"),
            (50.0, "50"),
            (-2.345_67, "-2.35"),
            (123_456.7, "123457"),
            (0.012_345, "0.0123"),
            (1e-90, "1.00e-90"),
            (-2.5e8, "-2.50e8"),
        ];
        for (value, text) in cases {
            assert_eq!(figure(value), text);
        }
        assert_eq!(probability(1.0), "1");
        assert_eq!(probability(1.0 - 1e-7), "1 − 1.00e-7");
        assert_eq!(exact(50.0), "50");
        assert_eq!(exact(0.1), "0.1");
        assert_eq!(exact(1e300), "1e300");
    }
}
